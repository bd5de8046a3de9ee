"""What the TLS contexts speak, and material that cannot be used."""

from __future__ import annotations

import ssl
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from swarmsec.errors import UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.server.ports import TlsMaterial
from swarmsec.server.tls import build_context, removes_roots
from tests.integration.server_world import Authority, Identity, encode_key

AUTHORITY = Authority("swarm-ca")
LEAF = AUTHORITY.issue("server", server=True)


def material(**changes: bytes) -> TlsMaterial:
    values = {"chain": LEAF.certificate_pem, "key": LEAF.key_pem, "roots": AUTHORITY.root_pem} | changes
    return TlsMaterial(
        certificate_chain_pem=values["chain"],
        key_pem=SecretBytes(values["key"]),
        client_roots_pem=values["roots"],
        generation=1,
    )


def test_what_is_spoken() -> None:
    context = build_context(material())
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_OPTIONAL
    assert context.num_tickets == 0
    for option in (ssl.OP_NO_TICKET, ssl.OP_NO_COMPRESSION, ssl.OP_NO_RENEGOTIATION):
        assert context.options & option
    for cipher in context.get_ciphers():
        assert cipher["aead"]
        assert cipher["kea"] in {"kx-ecdhe", "kx-any"}
    assert {cipher["protocol"] for cipher in context.get_ciphers()} == {"TLSv1.2", "TLSv1.3"}


def test_several_roots_and_none() -> None:
    other = Authority("swarm-ca-2")
    context = build_context(material(roots=AUTHORITY.root_pem + other.root_pem))
    assert len(context.get_ca_certs()) == 2
    assert build_context(material(roots=b"")).get_ca_certs() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"key": b""},
        {"key": b"not a key"},
        {"key": encode_key(ec.generate_private_key(ec.SECP256R1()))},
        {"chain": b""},
        {"chain": b"not a certificate"},
        {"roots": b"not a certificate"},
        {"roots": b"\xff"},
    ],
)
def test_material_that_cannot_be_used(changes: dict[str, bytes]) -> None:
    with pytest.raises(UsageProblem) as caught:
        build_context(material(**changes))
    assert caught.value.__suppress_context__


def test_the_key_is_read_from_memory_and_the_descriptor_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    read_from: list[str] = []
    load = ssl.SSLContext.load_cert_chain

    def watch(self: ssl.SSLContext, path: str) -> None:
        read_from.append(str(Path(path).readlink()))
        load(self, path)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", watch)
    before = set(Path("/proc/self/fd").iterdir())
    build_context(material())
    assert read_from == ["/memfd:tls (deleted)"]
    assert len(set(Path("/proc/self/fd").iterdir())) == len(before)


def test_a_root_that_is_not_among_the_new_ones_was_removed() -> None:
    first, second = AUTHORITY.root_pem, Authority("swarm-ca-2").root_pem
    assert not removes_roots(first, first)
    assert not removes_roots(first, first + second)
    assert not removes_roots(first + second, second + first)
    assert not removes_roots(b"", first)
    assert removes_roots(first, b"")
    assert removes_roots(first, second)
    assert removes_roots(first + second, first)
    # Who cannot tell ends what is under way.
    assert removes_roots(first, first.replace(b"\n", b"\r\n"))


@pytest.mark.parametrize("client", [None, AUTHORITY.issue("client")])
def test_a_peer_s_certificate_is_given_out_as_octets_alone(client: Identity | None, tmp_path: Path) -> None:
    wanted = ssl.create_default_context(cadata=AUTHORITY.root_pem.decode())
    wanted.check_hostname = False
    if client is not None:
        file = tmp_path / "client.pem"
        file.write_bytes(client.key_pem + client.certificate_pem)
        wanted.load_cert_chain(file)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = build_context(material()).wrap_bio(up, down, server_side=True)
    theirs = wanted.wrap_bio(down, up)
    for side in (theirs, ours, theirs, ours):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()

    assert ours.getpeercert(True) == (None if client is None else client.der)
    assert ours.getpeercert() is None
    assert theirs.getpeercert(True) is not None
