"""One file of metadata: read strictly, its keys told apart, python-tuf's refusals in this package's words.

What is stricter than python-tuf: an envelope has its two members and no others, signatures are lower-case hex and
bounded in number, and no role has one key under two ids.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from tuf.api import exceptions
from tuf.api.metadata import Root, Targets

from notary.errors import (
    ExpiredMetadata,
    InvalidMetadata,
    MetadataMissing,
    NotaryError,
    NotTrusted,
    RolledBack,
    UntrustedMetadata,
)
from notary.roles import ROOT
from notary.strictjson import parse_strict
from notary.trustkeys import material_of

MAX_SIGNATURES: Final = 64
ROOT_BYTES: Final = 512_000
TIMESTAMP_BYTES: Final = 16_384
SNAPSHOT_BYTES: Final = 2_000_000
TARGETS_BYTES: Final = 5_000_000
"""Bounds; those in bytes are python-tuf's own defaults."""

ROLE_NAME: Final = re.compile(r"(?:[A-Za-z0-9\[][A-Za-z0-9._:\[\]-]*/)*[A-Za-z0-9][A-Za-z0-9._:-]*", re.ASCII)
"""Roles become names of files and parts of URLs."""
_HEX: Final = re.compile(r"[0-9a-f]{2,10000}", re.ASCII)


def check_envelope(data: bytes, limit: int) -> dict[str, Any]:
    """Read the envelope strictly: the members that metadata has and no others, signatures in one spelling.

    Raises:
        InvalidMetadata: it is not that.
    """
    members = parse_strict(data, limit=limit)
    signed, signatures = members.get("signed"), members.get("signatures")
    if set(members) != {"signed", "signatures"} or not isinstance(signed, dict):
        raise InvalidMetadata("expected metadata with signed and signatures")
    if not isinstance(signatures, list) or len(signatures) > MAX_SIGNATURES:
        raise InvalidMetadata(f"expected at most {MAX_SIGNATURES} signatures")
    for entry in signatures:
        if not isinstance(entry, dict) or set(entry) != {"keyid", "sig"}:
            raise InvalidMetadata("expected signatures with keyid and sig")
        # NOTE: an empty signature stands for one that is still to come (python-tuf, ``Metadata.sign``).
        if not isinstance(entry["sig"], str) or (entry["sig"] and not _HEX.fullmatch(entry["sig"])):
            raise InvalidMetadata("expected signatures in lower-case hex")
    return members


def verify_distinct_keys(above: Root | Targets, role: str) -> None:
    """Refuse a role of which two keys are the same, whatever their ids say.

    Raises:
        InvalidMetadata: two are, or the role is not delegated here.
    """
    try:
        keyids = above.get_delegated_role(role).keyids
        keys = [above.get_key(keyid) for keyid in keyids]
    except ValueError:
        raise InvalidMetadata(f"expected {role} to be delegated with its keys") from None
    if len({material_of(key) for key in keys}) != len(keys):
        raise InvalidMetadata("expected different keys, got one key under two ids")


def key_word(key: Any) -> str:
    """A short word for a key, the same for the same material under any id."""
    return hashlib.sha256(material_of(key)).hexdigest()[:16]


@contextmanager
def passed_over() -> Iterator[None]:
    """What is kept and no longer counts is no error: it is only not used."""
    try:
        yield
    except (exceptions.RepositoryError, NotaryError, ValueError, TypeError, KeyError):
        return


@contextmanager
def worded(what: str, end: Callable[[], datetime | None] | None) -> Iterator[None]:
    """Say python-tuf's refusals in this package's classes and words.

    Args:
        what: the file, for people.
        end: gives when it ended, where that is known.
    """
    try:
        yield
    except exceptions.ExpiredMetadataError as error:
        name = ROOT if "root" in str(error) else what
        shown = end() if end is not None else None
        when = f" at {shown:%Y-%m-%dT%H:%M:%SZ}" if shown is not None and name == what else ""
        raise ExpiredMetadata(
            f"the metadata has expired: {name}{when}",
            hint="if this machine's clock is right, the repository is stale or replayed",
        ) from None
    except exceptions.BadVersionNumberError as error:
        raise RolledBack(f"the version of {what} is not what it must be: {_plain(error)}") from None
    except exceptions.UnsignedMetadataError:
        raise UntrustedMetadata(f"{what} is not signed by enough of its keys") from None
    except exceptions.LengthOrHashMismatchError:
        raise UntrustedMetadata(f"{what} is not of the length and hashes that are signed") from None
    except exceptions.RepositoryError as error:
        kind = RolledBack if "missing info" in str(error) else UntrustedMetadata
        raise kind(f"{what} is no metadata that counts: {_plain(error)}") from None
    except InvalidMetadata as error:
        raise UntrustedMetadata(f"{what} is no metadata that counts: {error}") from None
    except (NotTrusted, MetadataMissing):
        raise
    except NotaryError as error:
        raise UntrustedMetadata(f"{what} is no metadata that counts: {error}") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise UntrustedMetadata(f"{what} is no metadata that counts") from None


def _plain(error: Exception) -> str:
    text = ascii(str(error)[:160])[1:-1]
    return text[:1].lower() + text[1:]
