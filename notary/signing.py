"""Collecting signatures until a threshold is met.

What counts: a signature by a key of the quorum, over exactly the canonical form of the signed part, one for each
distinct key material. A signature that does not count is refused when it is brought, not ignored when it is counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import Key, Signature

from notary.errors import ChangeRefused, InvalidMetadata, SignatureRefused
from notary.strictjson import canonical, encode_json, parse_strict
from notary.trustkeys import material_of, verify_distinct

MAX_FILE_BYTES: Final = 5_000_000
"""What python-tuf's client takes of a targets role; roles that are longer could not be read by it."""
MAX_KEYS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """So many different keys of these must sign.

    Raises:
        ChangeRefused: the threshold cannot be met or is no threshold, or one key stands twice.
    """

    keys: Mapping[str, Key]
    """By key id."""
    threshold: int

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= len(self.keys) <= MAX_KEYS:
            raise ChangeRefused(f"expected a threshold of 1 to {len(self.keys)} for so many keys, got {self.threshold}")
        verify_distinct(self.keys.values())

    def counted(self, signed: bytes, signatures: Mapping[str, str]) -> frozenset[str]:
        """The ids of keys whose signature over ``signed`` counts."""
        return frozenset(
            keyid
            for keyid, signature in signatures.items()
            if keyid in self.keys and _verifies(self.keys[keyid], signature, signed)
        )

    def is_met(self, signed: bytes, signatures: Mapping[str, str]) -> bool:
        """Whether enough different keys signed."""
        counted = self.counted(signed, signatures)
        return len({material_of(self.keys[keyid]) for keyid in counted}) >= self.threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One role's metadata: what is signed, and the signatures so far."""

    role: str
    body: Mapping[str, Any]
    signatures: Mapping[str, str]
    """Key id to signature in hex."""

    @property
    def version(self) -> int:
        """The role's version."""
        return int(self.body["version"])

    @property
    def expires(self) -> str:
        """When it ends, as metadata writes it."""
        return str(self.body["expires"])

    @property
    def signed(self) -> bytes:
        """The exact bytes that signatures are over."""
        return canonical(self.body)

    def encode(self) -> bytes:
        """The file that is published."""
        signatures = [{"keyid": keyid, "sig": value} for keyid, value in sorted(self.signatures.items())]
        return encode_json({"signatures": signatures, "signed": self.body})

    def with_signature(self, keyid: str, signature: str) -> Document:
        """The same document with one more signature."""
        return Document(role=self.role, body=self.body, signatures={**self.signatures, keyid: signature})


def parse_document(role: str, data: bytes) -> Document:
    """Read a file that ``Document.encode`` wrote.

    Raises:
        InvalidMetadata: it is none.
    """
    members = parse_strict(data, limit=MAX_FILE_BYTES)
    body, listed = members.get("signed"), members.get("signatures")
    if members.keys() != {"signed", "signatures"} or not isinstance(body, dict) or not isinstance(listed, list):
        raise InvalidMetadata("expected metadata with its signed part and signatures")
    version = body.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InvalidMetadata("expected a version of 1 or more in the metadata")
    if not isinstance(body.get("expires"), str):
        raise InvalidMetadata("expected a time of expiry in the metadata")
    signatures = dict(map(_signature, listed))
    if len(signatures) != len(listed):
        raise InvalidMetadata("expected one signature of each key, got two")
    return Document(role=role, body=body, signatures=signatures)


def own_document(role: str, data: bytes) -> Document:
    """Take up a file that we wrote and that its row's digest holds, without the checks for strangers' bytes."""
    members = msgspec.json.decode(data)
    signatures = {item["keyid"]: item["sig"] for item in members["signatures"]}
    return Document(role=role, body=members["signed"], signatures=signatures)


def add_signature(document: Document, quorums: Iterable[Quorum], keyid: str, signature: str) -> Document:
    """Take a signature that counts.

    Args:
        document: what is signed.
        quorums: every group that must sign it; the key must be of one of them.
        keyid: of the key.
        signature: hex.

    Raises:
        SignatureRefused: the key is in no quorum, or the signature is not of these bytes.
    """
    for quorum in quorums:
        key = quorum.keys.get(keyid)
        if key is not None:
            if not _verifies(key, signature, document.signed):
                raise SignatureRefused(
                    f"the signature of key {keyid[:16]} is not over version {document.version} of {document.role}",
                    hint="sign again what is pending now: swarmsec trust pending -o FILE",
                )
            return document.with_signature(keyid, signature)
    raise SignatureRefused(f"key {keyid[:16]!r} is not one that signs {document.role}")


def _signature(member: object) -> tuple[str, str]:
    if isinstance(member, dict) and member.keys() == {"keyid", "sig"}:
        keyid, value = member["keyid"], member["sig"]
        if isinstance(keyid, str) and isinstance(value, str):
            return keyid, value
    raise InvalidMetadata("expected a signature with the id of its key")


def _verifies(key: Key, signature: str, signed: bytes) -> bool:
    try:
        key.verify_signature(Signature(key.keyid, signature), signed)
    except (UnverifiedSignatureError, VerificationError, ValueError):
        return False
    return True
