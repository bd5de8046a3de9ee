"""Attacks on logins for registries: redirects, challenges, token servers, credential helpers.

The numbers are those of the list that the trust service was designed against; see ``test_attacks_on_registry``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from swarmsec.registry.challenges import may_have_login
from swarmsec.registry.hosts import Origin
from tests.integration.trust_world import OCI_MANIFEST, TrustWorld, manifest
from tests.peers.hostile_http import HostileServer, Reply, Seen, hostile_server

MANIFEST = "/v2/team/app/manifests/1.4"
PASSWORD = "canary-Passw0rd"


@pytest.fixture(autouse=True)
def signed(trust: TrustWorld) -> None:
    trust.sign()
    trust.publish()


@pytest.fixture
def elsewhere() -> Iterator[HostileServer]:
    """Another host, by its port."""
    with hostile_server() as server:
        yield server


def log_in(trust: TrustWorld, monkeypatch: pytest.MonkeyPatch, host: str | None = None) -> None:
    """Give this machine a login for the registry, as ``docker login`` keeps it."""
    auth = base64.b64encode(f"robot:{PASSWORD}".encode()).decode()
    config = {"auths": {host or trust.server.host: {"auth": auth}}}
    (trust.program.directory / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("DOCKER_CONFIG", str(trust.program.directory))


def test_55_a_redirect_to_another_host_loses_the_login(
    trust: TrustWorld, elsewhere: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_in(trust, monkeypatch)
    good = trust.server.answers[MANIFEST]
    assert isinstance(good, Reply)
    elsewhere.answers["/blob"] = good

    def answer(seen: Seen) -> Reply:
        if "authorization" not in seen.headers:
            return Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})
        return Reply(status=307, headers={"Location": f"{elsewhere.url}/blob"})

    trust.server.answers[MANIFEST] = answer
    trust.trusted()
    assert elsewhere.paths() == ["/blob"]
    assert "authorization" not in elsewhere.seen[0].headers
    assert PASSWORD not in json.dumps([dict(seen.headers) for seen in elsewhere.seen])


def test_55_a_redirect_on_the_same_host_keeps_it(trust: TrustWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    log_in(trust, monkeypatch)
    good = trust.server.answers[MANIFEST]
    assert isinstance(good, Reply)

    def guarded(then: Reply) -> Callable[[Seen], Reply]:
        challenge = Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})
        return lambda seen: then if "authorization" in seen.headers else challenge

    trust.server.answers[MANIFEST] = guarded(Reply(status=302, headers={"Location": "/moved"}))
    trust.server.answers["/moved"] = guarded(good)
    trust.trusted()


@pytest.mark.parametrize(
    ("location", "code", "words"),
    [
        ("http://registry.example/blob", 1, "expected https, got plain HTTP"),
        ("file:///etc/passwd", 1, "expected"),
        ("//evil.example/blob", 1, "expected"),
        ("", 1, "expected"),
        ("http://user:secret@127.0.0.1/blob", 1, "expected"),
        (MANIFEST, 1, "at most 3 redirects"),
    ],
)
def test_55_redirects_that_lead_nowhere_good(trust: TrustWorld, location: str, code: int, words: str) -> None:
    trust.server.answers[MANIFEST] = Reply(status=302, headers={"Location": location})
    answer = trust.refused(code, words)
    assert "secret" not in answer.err


def bearer(realm: str) -> Callable[[Seen], Reply]:
    """A registry that wants a token."""
    challenge = f'Bearer realm="{realm}",service="registry",scope="repository:team/app:pull,push"'

    def answer(seen: Seen) -> Reply:
        if seen.headers.get("authorization") == "Bearer good-token":
            return Reply(headers={"Content-Type": OCI_MANIFEST}, body=manifest())
        return Reply(status=401, headers={"WWW-Authenticate": challenge})

    return answer


def test_56_a_token_is_asked_for_with_the_login(trust: TrustWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    log_in(trust, monkeypatch)
    trust.server.answers[MANIFEST] = bearer(f"{trust.server.url}/token")
    trust.server.answers["/token"] = Reply(body=b'{"token":"good-token"}')
    trust.trusted()
    (asked,) = [seen for seen in trust.server.seen if seen.path.startswith("/token")]
    assert asked.path == "/token?service=registry&scope=repository%3Ateam%2Fapp%3Apull", "to pull, whatever is offered"
    assert asked.headers["authorization"].startswith("Basic ")


def test_56_a_token_server_elsewhere_gets_no_login(
    trust: TrustWorld, elsewhere: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry is this machine by name, the token server is not: only an insecure host may be spoken to at all."""
    log_in(trust, monkeypatch)
    trust.server.answers[MANIFEST] = bearer("http://auth.example:1/token")
    trust.refused(1, "expected https, got plain HTTP to auth.example:1")
    assert elsewhere.seen == []


def test_56_the_login_is_not_for_every_name(trust: TrustWorld) -> None:
    def near(registry: str, realm: str) -> bool:
        one, other = (Origin(scheme="https", host=host, port=443) for host in (registry, realm))
        return may_have_login(one, other)

    assert near("registry-1.docker.io", "auth.docker.io")
    assert near("registry.gitlab.com", "gitlab.com")
    assert near("registry.shop.example", "auth.shop.example")
    assert not near("registry.example", "auth.example"), "a shared top-level domain is no shared domain"
    assert not near("registry-1.docker.io", "auth.docker.io.evil.example")
    assert not near("registry-1.docker.io", "evildocker.io")
    assert not near("10.0.0.1", "10.9.0.1")
    assert not near("localhost", "evil.localhost.example")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"token":""}', "expected a token"),
        (b"{}", "expected a token"),
        (b"<html>", "expected a token"),
        (b'{"token":"a\\r\\nX-Evil: 1"}', "expected a token"),
        (b'{"token":"' + b"a" * 70_000 + b'"}', "expected at most 65536 bytes"),
    ],
)
def test_56_a_token_that_is_none(trust: TrustWorld, body: bytes, words: str) -> None:
    trust.server.answers[MANIFEST] = bearer(f"{trust.server.url}/token")
    trust.server.answers["/token"] = Reply(body=body)
    answer = trust.verify()
    assert answer.code in {1, 3}
    assert words in answer.err


def test_56_a_token_that_does_not_count_is_not_tried_for_ever(trust: TrustWorld) -> None:
    trust.server.answers[MANIFEST] = bearer(f"{trust.server.url}/token")
    trust.server.answers["/token"] = Reply(body=b'{"access_token":"stale"}')
    trust.refused(3, "HTTP status 401")
    assert len(trust.server.paths("/token")) == 1


def helper(trust: TrustWorld, monkeypatch: pytest.MonkeyPatch, script: str, **config: Any) -> None:
    """Install a credential helper and a configuration that names it."""
    program = trust.program.directory / "bin" / "docker-credential-canary"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("DOCKER_CONFIG", str(trust.program.directory))
    (trust.program.directory / "config.json").write_text(json.dumps(config or {"credsStore": "canary"}))


def guarded(trust: TrustWorld) -> None:
    """A registry that wants the login of the test."""
    expected = "Basic " + base64.b64encode(f"robot:{PASSWORD}".encode()).decode()

    def answer(seen: Seen) -> Reply:
        if seen.headers.get("authorization") == expected:
            return Reply(headers={"Content-Type": OCI_MANIFEST}, body=manifest())
        return Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})

    trust.server.answers[MANIFEST] = answer


def test_a_credential_helper_is_asked(trust: TrustWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded(trust)
    answer = json.dumps({"ServerURL": "x", "Username": "robot", "Secret": PASSWORD})
    script = f'test "$1" = get && test "$(cat)" = "{trust.server.host}" && echo \'{answer}\''
    helper(trust, monkeypatch, script, credHelpers={trust.server.host: "canary"})
    trust.trusted()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (f"echo {PASSWORD}; exit 1", "docker-credential-canary failed with status 1"),
        (f"echo {PASSWORD}", "expected a login from the credential helper"),
        ("echo credentials not found in native keychain; exit 1", "asks for a login"),
    ],
)
def test_a_credential_helper_that_fails(
    trust: TrustWorld, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    guarded(trust)
    helper(trust, monkeypatch, script)
    answer = trust.refused(3, words)
    assert PASSWORD not in answer.err


@pytest.mark.parametrize("name", ["../../bin/sh", "nowhere", ""])
def test_a_credential_helper_with_a_strange_name(trust: TrustWorld, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    guarded(trust)
    helper(trust, monkeypatch, "exit 0", credsStore=name)
    answer = trust.verify()
    assert answer.code == (3 if not name else 2)


def test_a_login_never_shows(trust: TrustWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    log_in(trust, monkeypatch)
    trust.server.answers[MANIFEST] = Reply(status=401, headers={"WWW-Authenticate": 'Basic realm="r"'})
    answer = trust.refused(3, "HTTP status 401")
    assert PASSWORD not in answer.err + answer.out
    assert base64.b64encode(f"robot:{PASSWORD}".encode()).decode() not in answer.err + answer.out
