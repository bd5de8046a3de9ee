"""Addresses of the signing endpoint, and the handshake that shows who is there."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from swarmsec.errors import UsageProblem
from swarmsec.wiring.swarm.signing_endpoint import SigningUrl, dial
from tests.unit.swarmsec.wiring.ca.foreignroots import build_root
from tests.unit.swarmsec.wiring.swarm.conftest import World

PATH = "/api/v1/cfssl/sign"


@pytest.mark.parametrize(
    ("text", "written", "port"),
    [
        ("https://ca:8443", f"https://ca:8443{PATH}", 8443),
        ("https://ca/", f"https://ca{PATH}", 443),
        ("https://ca/other/sign", "https://ca/other/sign", 443),
        ("https://[2001:db8::1]:1", f"https://[2001:db8::1]:1{PATH}", 1),
    ],
)
def test_an_address_without_a_path_gets_ours(text: str, written: str, port: int) -> None:
    url = SigningUrl.parse(text)
    assert (url.text, url.port) == (written, port)
    assert SigningUrl.parse(url.text) == url


@pytest.mark.parametrize("text", ["", "ca:8443", "http://ca", "https://ca:0", "https://ca:65536", "https://ca?a=b"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageProblem, match="expected --url https://HOST:PORT"):
        SigningUrl.parse(text)


def test_a_login_is_not_repeated() -> None:
    with pytest.raises(UsageProblem, match="got one with a login") as caught:
        SigningUrl.parse("https://user:secret@ca:8443")
    assert "secret" not in str(caught.value)


def test_a_handshake_tells_whose_server_it_is(world: World) -> None:
    root = world.desk.authority.bundle_pem.decode()
    dialled = dial(world.url, root)
    assert (dialled.answers, dialled.cluster_id) == (True, world.desk.authority.cluster_id)


def test_another_root_another_name_and_nobody_are_told_apart(world: World) -> None:
    other = build_root(ec.generate_private_key(ec.SECP256R1())).decode()
    assert "its certificate is refused" in dial(world.url, other).problem
    root = world.desk.authority.bundle_pem.decode()
    by_address = SigningUrl.parse(f"https://127.0.0.1:{world.server.port}")
    assert "its certificate is refused" in dial(by_address, root).problem
    world.server.close()
    assert dial(world.url, root).problem == "connection refused"
