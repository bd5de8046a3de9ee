"""Signing through a server: as a CI job with a token, or as somebody with an identity."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from notary.changefiles import ChangeFile, SignaturesFile, parse_change
from notary.errors import ChangeRefused, InvalidMetadata
from swarmsec.errors import Unavailable
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.trust.sign_image import NamedImage
from swarmsec.wiring.nodes.authorityclient import KeyPair, ask, send

MAX_PENDING_BYTES = 64 * 1024 * 1024
SIGN_PATH = "/api/v1/trust/images"
PENDING_PATH = "/api/v1/trust/changes"
SIGNATURES_PATH = "/api/v1/trust/signatures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A server, the roots that it is verified under, and what is shown to it."""

    base: str
    roots: bytes
    pair: KeyPair | None = None


def sign_remotely(peer: Peer, named: NamedImage, token: SecretBytes | None) -> dict[str, Any]:
    """Have the server sign an image.

    Returns:
        the answer's members: ``image``, ``digest``, ``published``, ``change``.

    Raises:
        Denied, UsageProblem, Unavailable: as the server says.
    """
    image = named.image
    members: dict[str, object] = {
        "image": str(named),
        "digest": str(image.digest),
        "size": image.size,
        "media_type": image.media_type,
        "platforms": [
            {"os": item.os, "architecture": item.architecture, "variant": item.variant, "digest": str(item.digest)}
            for item in image.platforms
        ],
    }
    if token is not None:
        members["token"] = token.reveal().decode("ascii", "replace")
    answer = ask(peer.base, SIGN_PATH, members, roots=peer.roots, pair=peer.pair)
    if answer.get("digest") != str(image.digest) or not isinstance(answer.get("published"), bool):
        raise Unavailable("expected the server to say what it signed, got something else")
    return answer


class _Missing(msgspec.Struct, frozen=True):
    keys: list[str]
    missing: int


class _Listed(msgspec.Struct, frozen=True):
    """What is shown of a change, and the file of it, in base64."""

    id: str
    summary: str
    missing: dict[str, list[_Missing]]
    file: str


def pending_remotely(peer: Peer) -> tuple[Sequence[dict[str, Any]], list[ChangeFile]]:
    """What waits for signatures on the server: as it is listed, and as signers get it.

    Raises:
        Denied, UsageProblem, Unavailable: as the server says, or it is no list of changes.
    """
    answer = send("GET", peer.base, PENDING_PATH, roots=peer.roots, pair=peer.pair, limit=MAX_PENDING_BYTES)
    return parse_pending(answer or b"")


def parse_pending(answer: bytes) -> tuple[Sequence[dict[str, Any]], list[ChangeFile]]:
    """Read a server's list of changes; members that a later version adds are let through.

    Raises:
        Unavailable: it is none.
    """
    try:
        listed: list[dict[str, Any]] = json.loads(answer)
        msgspec.convert(listed, list[_Listed])
        files = [parse_change(base64.b64decode(item.pop("file"), validate=True)) for item in listed]
    except (msgspec.ValidationError, ValueError, RecursionError, InvalidMetadata, ChangeRefused):
        raise Unavailable("expected a list of changes from the server, got something else") from None
    return listed, files


def bring_remotely(peer: Peer, signatures: SignaturesFile) -> bool:
    """Bring signatures to the server; True if they were the last ones needed.

    Raises:
        Denied, UsageProblem, Unavailable: as the server says.
    """
    members = json.loads(signatures.encode())
    answer = ask(peer.base, SIGNATURES_PATH, members, roots=peer.roots, pair=peer.pair)
    return answer.get("published") is True
