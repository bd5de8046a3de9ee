"""What is kept of a rotation that leads a Swarm to another root of ours: whence, to which root, and which way it goes.

Kept as one setting in canonical JSON. Whoever goes on with a rotation, a repeated command or a server, goes where it
was begun to go; so the choice of the new root is kept as well, the key of an imported one in the sealed store.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from swarmsec.audit.canonical import encode_canonical, parse_canonical
from swarmsec.errors import IntegrityFailure, UsageProblem
from swarmsec.services.ports import Transaction
from swarmsec.services.records import KeyKind

SETTING: Final = "swarm_rotation"
_VERSION: Final = 1
_SHA256_LENGTH: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class RootChoice:
    """What the new root is to be; nothing for one like the present one. Nothing of it is secret.

    Args:
        key_type: of a key that is made; empty for that of the present one.
        token_key: the name of its key in a token; empty for none.
        sealed: whether its key is sealed in the home, wherever the present one is.
        certificate: of a root made elsewhere, DER; empty for none.
        certificate_key: the type of that root's key.
        key_name: of that root's key in the sealed store.
    """

    key_type: str = ""
    token_key: str = ""
    sealed: bool = False
    certificate: bytes = b""
    certificate_key: str = ""
    key_name: str = ""

    @property
    def key_kind(self) -> KeyKind | None:
        """The kind of a key that is made."""
        return KeyKind(self.key_type) if self.key_type else None

    @property
    def is_plain(self) -> bool:
        """Whether nothing was said."""
        return self.asked == RootChoice().asked

    @property
    def asked(self) -> tuple[object, ...]:
        """What a person said; two choices are one where this is the same."""
        return (self.key_type, self.token_key, self.sealed, self.certificate)

    def __str__(self) -> str:
        """For messages."""
        if self.certificate:
            return "an imported root"
        kind = f"a root with a {self.key_type} key" if self.key_type else "a root like the present one"
        if self.token_key:
            return f"{kind}, its key at {self.token_key}"
        return f"{kind}, its key sealed in this home" if self.sealed else kind


PLAIN: Final = RootChoice()


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmRotationRecord:
    """A rotation under way.

    Args:
        leaving: SHA-256 of the root that the Swarm had from us, lower-case hex.
        started: in Unix seconds; 0 where it is not known.
        goes_back: whether it was called off, and the Swarm is on its way back to that root.
        choice: of the new root.
    """

    leaving: str
    started: int
    goes_back: bool = False
    choice: RootChoice = PLAIN


def load_swarm_rotation(transaction: Transaction) -> SwarmRotationRecord | None:
    """The rotation that is under way; None where none is.

    Raises:
        IntegrityFailure: the setting is not what a version of swarmsec writes.
    """
    text = transaction.settings.get(SETTING)
    if not text:
        return None
    if len(text) == _SHA256_LENGTH:
        # The first form: the root that is left, and nothing else.
        return SwarmRotationRecord(leaving=text, started=0)
    try:
        return _rotation(parse_canonical(text.encode()))
    except (ValueError, TypeError):
        raise IntegrityFailure("expected the setting of the Swarm's rotation, got another") from None


def save_swarm_rotation(transaction: Transaction, rotation: SwarmRotationRecord | None) -> None:
    """Keep it, or that none is under way; the caller logs why."""
    transaction.settings.put(SETTING, encode_canonical(_members(rotation)).decode() if rotation else "")


def verify_no_swarm_rotation(transaction: Transaction) -> None:
    """Refuse to move a Swarm that is led elsewhere already.

    Raises:
        UsageProblem: a rotation of its root is under way.
    """
    if load_swarm_rotation(transaction) is not None:
        raise UsageProblem(
            "a rotation of the Swarm's root is under way",
            hint="wait for its end: swarmsec ca rotate --follow; or call it off: swarmsec ca rotate --abort",
        )


def _members(rotation: SwarmRotationRecord) -> Mapping[str, object]:
    choice = rotation.choice
    return {
        "v": _VERSION,
        "leaving": rotation.leaving,
        "started": rotation.started,
        "goes_back": rotation.goes_back,
        "key_type": choice.key_type,
        "token_key": choice.token_key,
        "sealed": choice.sealed,
        "certificate": b64encode(choice.certificate).decode("ascii"),
        "certificate_key": choice.certificate_key,
        "key_name": choice.key_name,
    }


def _rotation(members: Mapping[str, object]) -> SwarmRotationRecord:
    match members:
        case {
            "v": 1,
            "leaving": str(leaving),
            "started": int(started),
            "goes_back": bool(goes_back),
            "key_type": str(key_type),
            "token_key": str(token_key),
            "sealed": bool(sealed),
            "certificate": str(certificate),
            "certificate_key": str(certificate_key),
            "key_name": str(key_name),
        } if len(members) == 10:
            choice = RootChoice(
                key_type=key_type,
                token_key=token_key,
                sealed=sealed,
                certificate=b64decode(certificate, validate=True),
                certificate_key=certificate_key,
                key_name=key_name,
            )
            return SwarmRotationRecord(leaving=leaving, started=started, goes_back=goes_back, choice=choice)
    raise ValueError("expected the members of version 1")
