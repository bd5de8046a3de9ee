"""Hosts and URLs: where plain HTTP is allowed, and what is no URL."""

from __future__ import annotations

import pytest

from swarmsec.errors import Denied, UsageProblem
from swarmsec.registry.hosts import is_loopback, parse_url, registry_origins


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("https://trust.example", "https://trust.example/"),
        ("https://Trust.Example:443/a?b=c", "https://trust.example/a?b=c"),
        ("https://[::1]:8443/x", "https://[::1]:8443/x"),
        ("http://127.0.0.1:5000/v2/", "http://127.0.0.1:5000/v2/"),
        ("http://localhost/", "http://localhost/"),
        ("http://lab.example:81/", "http://lab.example:81/"),
    ],
)
def test_a_url_that_may_be_asked(text: str, written: str) -> None:
    assert str(parse_url(text, insecure=("lab.example",))) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "trust.example",
        "ftp://trust.example",
        "https://",
        "https://user:secret@trust.example/",
        "https://trust.example:0/",
        "https://trust.example:99999/",
        "https://trust.example/a b",
        "https://trust.example/\r\nX: y",
        "https://trust.example/é",
        "https://tr ust.example/",
        "https://trust.example/" + "a" * 9000,
    ],
)
def test_what_is_no_url(text: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        parse_url(text, insecure=())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("host", ["registry.example", "10.0.0.1", "127.0.0.1.evil.example", "localhost.evil.example"])
def test_plain_http_is_for_loopback_and_named_hosts(host: str) -> None:
    with pytest.raises(Denied, match=f"plain HTTP to {host}:80"):
        parse_url(f"http://{host}/", insecure=("other.example",))
    assert parse_url(f"http://{host}/", insecure=(host,)).origin.host == host
    assert parse_url(f"http://{host}:5000/", insecure=(f"{host}:5000",)).origin.port == 5000
    with pytest.raises(Denied):
        parse_url(f"http://{host}:5001/", insecure=(f"{host}:5000",))


def test_loopback_by_name_and_address() -> None:
    assert [is_loopback(host) for host in ("localhost", "127.0.0.1", "127.9.9.9", "::1")] == [True] * 4
    assert [is_loopback(host) for host in ("example", "10.0.0.1", "::2", "0.0.0.0", "127.1")] == [False] * 5


@pytest.mark.parametrize(
    ("domain", "origins"),
    [
        ("docker.io", ["https://registry-1.docker.io"]),
        ("registry.example", ["https://registry.example"]),
        ("registry.example:5000", ["https://registry.example:5000"]),
        ("localhost:5000", ["https://localhost:5000", "http://localhost:5000"]),
        ("[::1]:5000", ["https://[::1]:5000", "http://[::1]:5000"]),
        ("lab.example", ["https://lab.example", "http://lab.example"]),
    ],
)
def test_where_a_registry_is(domain: str, origins: list[str]) -> None:
    assert [str(origin) for origin in registry_origins(domain, insecure=("lab.example",))] == origins
