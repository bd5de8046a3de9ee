"""The two files of a ceremony: what is to be signed on its way out, signatures on their way back.

A change carries the exact metadata files, so every signer signs the same bytes, and the keys that count for each, so a
signer's machine needs nothing else. Neither file is secret and neither is believed: a signer reads what it would sign,
and a signature counts only if it verifies against what is pending.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from notary.errors import InvalidKey, InvalidMetadata
from notary.signing import Document, Quorum, parse_document
from notary.strictjson import encode_json, parse_strict
from notary.trustkeys import parse_key

CHANGE_FORMAT: Final = "swarmsec-trust-change/1"
SIGNATURES_FORMAT: Final = "swarmsec-trust-signatures/1"
MAX_CHANGE_BYTES: Final = 16 * 1024 * 1024
MAX_SIGNATURES_BYTES: Final = 256 * 1024
MAX_SIGNATURES: Final = 256
_MAX_TEXT: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ToSign:
    """A document with those who must sign it."""

    document: Document
    quorums: tuple[Quorum, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFile:
    """A change as it goes to its signers."""

    change_id: str
    summary: str
    documents: tuple[ToSign, ...]

    def encode(self) -> bytes:
        """The file."""
        listed = [
            {
                "role": item.document.role,
                "metadata": base64.b64encode(item.document.encode()).decode("ascii"),
                "quorums": [
                    {
                        "threshold": quorum.threshold,
                        "keys": {keyid: key.to_dict() for keyid, key in quorum.keys.items()},
                    }
                    for quorum in item.quorums
                ],
            }
            for item in self.documents
        ]
        members = {"format": CHANGE_FORMAT, "change": self.change_id, "summary": self.summary, "documents": listed}
        return encode_json(members)


@dataclass(frozen=True, slots=True, kw_only=True)
class Brought:
    """One signature that somebody brings, in hex."""

    role: str
    keyid: str
    signature: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignaturesFile:
    """Signatures on their way back."""

    change_id: str
    signatures: tuple[Brought, ...]

    def encode(self) -> bytes:
        """The file."""
        listed = [{"role": item.role, "keyid": item.keyid, "sig": item.signature} for item in self.signatures]
        return encode_json({"format": SIGNATURES_FORMAT, "change": self.change_id, "signatures": listed})


def format_of(data: bytes) -> str:
    """Which of the two a file is.

    Raises:
        InvalidMetadata: neither.
    """
    found = parse_strict(data, limit=MAX_CHANGE_BYTES).get("format")
    if found not in {CHANGE_FORMAT, SIGNATURES_FORMAT}:
        raise InvalidMetadata("expected a pending change or signatures, written by swarmsec trust pending or sign")
    return str(found)


def parse_change(data: bytes) -> ChangeFile:
    """Parse a change.

    Raises:
        InvalidMetadata, ChangeRefused: it is none.
    """
    members = parse_strict(data, limit=MAX_CHANGE_BYTES)
    if members.get("format") != CHANGE_FORMAT or set(members) != {"format", "change", "summary", "documents"}:
        raise InvalidMetadata(f"expected a file of format {CHANGE_FORMAT}")
    documents = tuple(_to_sign(item) for item in _list(members["documents"]))
    if not documents or len({item.document.role for item in documents}) != len(documents):
        raise InvalidMetadata("expected each role once in a change")
    return ChangeFile(change_id=_text(members["change"]), summary=_text(members["summary"]), documents=documents)


def parse_signatures(data: bytes) -> SignaturesFile:
    """Parse signatures.

    Raises:
        InvalidMetadata: it holds none.
    """
    members = parse_strict(data, limit=MAX_SIGNATURES_BYTES)
    if members.get("format") != SIGNATURES_FORMAT or set(members) != {"format", "change", "signatures"}:
        raise InvalidMetadata(f"expected a file of format {SIGNATURES_FORMAT}")
    listed = _list(members["signatures"])
    if not 1 <= len(listed) <= MAX_SIGNATURES:
        raise InvalidMetadata(f"expected 1 to {MAX_SIGNATURES} signatures")
    return SignaturesFile(change_id=_text(members["change"]), signatures=tuple(map(_brought, listed)))


def _to_sign(member: object) -> ToSign:
    if not isinstance(member, dict) or set(member) != {"role", "metadata", "quorums"}:
        raise InvalidMetadata("expected a role with its metadata and quorums")
    try:
        data = base64.b64decode(member["metadata"], validate=True)
        quorums = tuple(_quorum(item) for item in _list(member["quorums"]))
    except (ValueError, TypeError, KeyError, AttributeError, InvalidKey):
        raise InvalidMetadata("expected metadata in base64 and quorums with their keys") from None
    return ToSign(document=parse_document(_text(member["role"]), data), quorums=quorums)


def _quorum(member: Any) -> Quorum:
    keys = {keyid: parse_key(keyid, key) for keyid, key in member["keys"].items()}
    threshold = member["threshold"]
    if not isinstance(threshold, int) or isinstance(threshold, bool):
        raise InvalidMetadata("expected a number as threshold")
    return Quorum(keys=keys, threshold=threshold)


def _brought(member: object) -> Brought:
    if not isinstance(member, dict) or set(member) != {"role", "keyid", "sig"}:
        raise InvalidMetadata("expected a signature with role and key id")
    return Brought(role=_text(member["role"]), keyid=_text(member["keyid"]), signature=_text(member["sig"]))


def _list(value: object) -> Sequence[Any]:
    if not isinstance(value, list):
        raise InvalidMetadata("expected a list")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT * 2 or not value.isprintable():
        raise InvalidMetadata("expected a text of ordinary length")
    return value
