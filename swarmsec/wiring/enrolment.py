"""The node's side of joining: believe nothing before the root bundle matches the token, make the key here.

A directory without a certificate is one where joining was interrupted, and the same command goes on with the same key.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ca.identity import NodeIdentity
from ca.tokens import JoinToken
from swarmsec.errors import AlreadyExists
from swarmsec.wiring.answers import Issued, verify_answer
from swarmsec.wiring.authorityclient import ask, fetch_bundle, parse_server, signing_request
from swarmsec.wiring.nodefiles import (
    CERTIFICATE,
    KEY,
    forget_renewal,
    make_key,
    write_certificate,
    write_roots,
    writing,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What a node is from now on."""

    identity: NodeIdentity
    certificate: x509.Certificate
    directory: Path


def join(server: str, token_text: str, directory: Path, name: str | None) -> Joined:
    """Get a node's first certificate.

    Args:
        server: ``https://HOST:PORT`` of the authority.
        token_text: the join token.
        directory: where the files go; made if missing.
        name: the node id wished for; the authority picks one where there is none.

    Returns:
        the new identity; everything is on disk.

    Raises:
        UsageProblem: the server's address, or files that are not a node's.
        ca.errors.InvalidToken: not a token.
        AlreadyExists: the directory holds a certificate.
        Denied: the authority is not the token's, or refuses.
        Unavailable: it cannot be reached, or a file cannot be written.
    """
    token = JoinToken.parse(token_text)
    base = parse_server(server)
    if (directory / CERTIFICATE).exists():
        raise AlreadyExists(f"{directory / CERTIFICATE} exists", hint="name another --dir, or remove it to join again")
    bundle = fetch_bundle(base, token)
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        forget_renewal(directory)
        key = make_key(directory / KEY)
        issued = _redeem(base, bundle, token, key, name)
        write_roots(directory, bundle)
        write_certificate(directory, issued.certificate)
    return Joined(identity=issued.identity, certificate=issued.certificate, directory=directory)


def _redeem(base: str, bundle: bytes, token: JoinToken, key: ec.EllipticCurvePrivateKey, name: str | None) -> Issued:
    members: dict[str, object] = {"token": token.format(), "csr": signing_request(key)}
    if name is not None:
        members["name"] = name
    answer = ask(base, "/api/v1/node/join", members, roots=bundle)
    return verify_answer(answer, key, bundle=bundle)
