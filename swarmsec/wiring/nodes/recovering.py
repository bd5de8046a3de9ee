"""The node's side of coming back with an expired certificate: a token in its place, and the key that it had.

The key file is only read: for a node of a Swarm it holds more than a key, and Docker takes the new certificate for the
key that it knows. The key signs the request; one that Docker has locked cannot, so the certificate itself is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from ca.identity import NodeIdentity
from ca.tokens import JoinToken
from swarmsec.errors import Denied
from swarmsec.wiring.nodes.answers import Issued, verify_answer
from swarmsec.wiring.nodes.authorityclient import ask, certificate_pem, fetch_bundle, parse_server, signing_request
from swarmsec.wiring.nodes.nodefiles import alone, locked_node, open_node_files, write_certificate, write_roots, writing
from swarmsec.wiring.nodes.renewing import Now, utc_now, verify_same_node


def recover(server: str, token_text: str, directory: Path, *, now: Now = utc_now) -> Issued:
    """Get a new certificate for a node's present key.

    Args:
        server: ``https://HOST:PORT`` of the authority.
        token_text: of role recover, for this node.
        directory: of the node's files.
        now: the wall clock.

    Raises:
        NotFound: the directory holds no node's files.
        UsageProblem: the address, or files that are not a node's.
        ca.errors.InvalidToken: not a token.
        Denied: the certificate has not expired, the authority is not the token's, or it refuses.
        Unavailable: it cannot be reached, a file cannot be written, or another process is at work.
    """
    token = JoinToken.parse(token_text)
    base = parse_server(server)
    with alone(directory):
        node = _open(directory)
        ends = node.certificate.not_valid_after_utc
        if now() < ends:
            raise Denied(
                f"the certificate of {node.identity.node_id} counts until {ends:%Y-%m-%dT%H:%M:%SZ}",
                hint=f"renew it with: swarmsec node renew --server URL --dir {directory}",
            )
        bundle = fetch_bundle(base, token)
        members = {"token": token.format(), **node.proof}
        answer = ask(base, "/api/v1/node/recover", members, roots=bundle)
        issued = verify_answer(answer, node.certificate.public_key(), trusted=bundle, now=now())
        verify_same_node(node.certificate, issued)
        with writing(directory):
            if issued.bundle != node.roots:
                write_roots(directory, issued.bundle)
            write_certificate(directory, issued.chain)
    return issued


@dataclass(frozen=True, slots=True, kw_only=True)
class _Node:
    """A node that comes back. ``proof`` is the member of the request that stands for its key."""

    certificate: x509.Certificate
    identity: NodeIdentity
    roots: bytes
    proof: Mapping[str, str]


def _open(directory: Path) -> _Node:
    locked = locked_node(directory)
    if locked is not None:
        shown = {"certificate": certificate_pem(locked.certificate).decode("ascii")}
        return _Node(certificate=locked.certificate, identity=locked.identity, roots=locked.roots, proof=shown)
    files = open_node_files(directory)
    signed = {"csr": signing_request(files.pair.key)}
    return _Node(certificate=files.pair.certificate, identity=files.identity, roots=files.roots, proof=signed)
