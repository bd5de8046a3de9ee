"""Names for subjectAltName."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from ca import hosts
from ca.errors import InvalidRequest

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,9}(\.[a-z][a-z0-9]{0,9}){0,3}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ca.example.org", "ca.example.org"),
        ("CA.Example.org", "ca.example.org"),
        ("swarm-ca", "swarm-ca"),
        ("node_1", "node_1"),
        ("10.0.0.1", IPv4Address("10.0.0.1")),
        ("::1", IPv6Address("::1")),
        ("2001:DB8::1", IPv6Address("2001:db8::1")),
    ],
)
def test_names_and_addresses(text: str, expected: hosts.Host) -> None:
    assert hosts.parse_host(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "-a",
        "a-",
        "*.example.org",
        "a b",
        "a\n",
        "a/b",
        "a@b",
        "é.example",
        "\u212a",
        "x" * 64,
        ".".join(["x" * 63] * 4),
        "10.0.0",
        "10.0.0.256",
        "1.2.3.4.5",
        "0x7f000001",
        "1",
        "fe80::1%eth0",
        "[::1]",
        "10.0.0.1/8",
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="expected"):
        hosts.parse_host(text)


def test_repeated_names_are_kept_once_in_order() -> None:
    assert hosts.parse_hosts(["b", "a", "B", "::1", "0::1"]) == ("b", "a", IPv6Address("::1"))


@pytest.mark.parametrize("texts", [[], [f"host{number}" for number in range(101)]])
def test_the_number_of_names_is_bounded(texts: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="1 to 100 names"):
        hosts.parse_hosts(texts)


@given(st.lists(NAMES | st.ip_addresses().map(str), min_size=1, max_size=8))
def test_names_are_written_as_cryptography_does(texts: list[str]) -> None:
    parsed = hosts.parse_hosts(texts)
    expected = x509.SubjectAlternativeName(hosts.general_names(parsed)).public_bytes()
    assert hosts.general_names_der(parsed) == expected


@given(st.text(max_size=80))
def test_arbitrary_text_is_refused_or_a_name(text: str) -> None:
    try:
        host = hosts.parse_host(text)
    except InvalidRequest:
        return
    assert hosts.parse_host(str(host)) == host
