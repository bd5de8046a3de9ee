"""The node's side of joining: believe nothing before the root bundle matches the token, make the key here.

A directory without a certificate is one where joining was interrupted, and the same command goes on with the same key.
So it is where a manager waits for approval: it asks again and again, and stopping it loses nothing.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ca.errors import CaError
from ca.identity import NodeIdentity, parse_node_id
from ca.tokens import JoinToken
from swarmsec.atomicfile import make_private_directory
from swarmsec.errors import AlreadyExists, Denied, Unavailable, UsageProblem
from swarmsec.wiring.nodes.answers import Issued, verify_answer
from swarmsec.wiring.nodes.authorityclient import exchange, fetch_bundle, parse_server, signing_request, spki_of
from swarmsec.wiring.nodes.nodefiles import (
    CERTIFICATE,
    KEY,
    forget_renewal,
    make_key,
    write_certificate,
    write_roots,
    writing,
)

MAX_PAUSE_SECONDS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What a node is from now on."""

    identity: NodeIdentity
    certificate: x509.Certificate
    directory: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The authority's word that a person has to approve this node; ``seconds`` is when to ask again."""

    node_id: str
    spki_sha256: str
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How to wait for approval.

    Args:
        limit: how long at most.
        tell: called once, with what waits.
    """

    limit: timedelta = timedelta(0)
    tell: Callable[[Held], None] = field(default=lambda held: None)
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic


def join(server: str, token_text: str, directory: Path, name: str | None, patience: Patience | None = None) -> Joined:
    """Get a node's first certificate.

    Args:
        server: ``https://HOST:PORT`` of the authority.
        token_text: the join token.
        directory: where the files go; made if missing.
        name: the node id wished for; the authority picks one where there is none.
        patience: how long to wait where a person has to approve the node; not at all without it.

    Returns:
        the new identity; everything is on disk.

    Raises:
        UsageProblem: the server's address or the name, or files that are not a node's.
        ca.errors.InvalidToken: not a token.
        AlreadyExists: the directory holds a certificate.
        Denied: the authority is not the token's, or refuses.
        Unavailable: it cannot be reached, a file cannot be written, or nobody approved the node in time.
    """
    token = JoinToken.parse(token_text)
    base = parse_server(server)
    _verify_name(name)
    if (directory / CERTIFICATE).exists():
        raise AlreadyExists(f"{directory / CERTIFICATE} exists", hint="name another --dir, or remove it to join again")
    bundle = fetch_bundle(base, token)
    with writing(directory):
        make_private_directory(directory)
        forget_renewal(directory)
        key = make_key(directory / KEY)
        issued = _until_approved(lambda: _redeem(base, bundle, token, key, name), patience or Patience())
        write_roots(directory, issued.bundle)
        write_certificate(directory, issued.chain)
    return Joined(identity=issued.identity, certificate=issued.certificate, directory=directory)


def _verify_name(name: str | None) -> None:
    try:
        if name is not None:
            parse_node_id(name)
    except CaError as error:
        raise UsageProblem(str(error), hint="name another --name, or none: the authority picks one") from None


def _until_approved(redeem: Callable[[], Issued | Held], patience: Patience) -> Issued:
    ends = patience.monotonic() + patience.limit.total_seconds()
    held: Held | None = None
    while True:
        try:
            answer = redeem()
        except Unavailable:
            if held is None:
                raise
            # Who waits for a person outlasts a restart of the server.
            answer = held
        if isinstance(answer, Issued):
            return answer
        if held is None:
            patience.tell(answer)
        held = answer
        if patience.monotonic() + held.seconds > ends:
            raise Unavailable(
                f"{held.node_id} waits for approval, its key has the fingerprint {held.spki_sha256}",
                hint=f"on the authority: swarmsec node approve {held.node_id}; then repeat this command",
            )
        patience.sleep(held.seconds)


def _redeem(
    base: str, bundle: bytes, token: JoinToken, key: ec.EllipticCurvePrivateKey, name: str | None
) -> Issued | Held:
    members: dict[str, object] = {"token": token.format(), "csr": signing_request(key)}
    if name is not None:
        members["name"] = name
    status, answer = exchange(base, "/api/v1/node/join", members, roots=bundle)
    if status == HTTPStatus.ACCEPTED:
        return _held(answer, key)
    return verify_answer(answer, key.public_key(), trusted=bundle, now=datetime.now(UTC))


def _held(answer: Mapping[str, Any], key: ec.EllipticCurvePrivateKey) -> Held:
    """Believe that this node waits only if it is our own key that does; a person will compare it."""
    own = hashlib.sha256(spki_of(key.public_key())).hexdigest()
    seconds = answer.get("retry_after_seconds")
    try:
        node_id = parse_node_id(str(answer.get("node_id")))
    except CaError:
        node_id = ""
    is_time = isinstance(seconds, int) and not isinstance(seconds, bool) and 1 <= seconds <= MAX_PAUSE_SECONDS
    if not node_id or not is_time or answer.get("spki_sha256") != own:
        raise Denied("the authority answered that another node waits", hint="report this to its operator")
    return Held(node_id=node_id, spki_sha256=own, seconds=int(str(seconds)))
