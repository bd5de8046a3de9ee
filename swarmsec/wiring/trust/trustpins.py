"""The root that this machine trusts: pinned once, kept in one private file.

The first root comes from a person, by file or by digest, never from the server or bundle that it will be held
against. The file is ``pin.json`` in the trust directory: the exact bytes of the root, and where its repository is.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from notary.envelopes import ROOT_BYTES
from notary.errors import NotTrusted
from notary.following import verify_first_root
from notary.reference import Digest
from swarmsec.atomicfile import make_private_directory, write_atomically
from swarmsec.errors import Denied, NotFound, Unavailable, UsageProblem
from swarmsec.openedfile import open_to_read

FORMAT: Final = "swarmsec-trust-pin/1"
FILE_NAME: Final = "pin.json"
MAX_PIN: Final = 4 * ROOT_BYTES
MAX_AUTHORITIES: Final = 262_144
MAX_ROOTS: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A pinned root.

    Attributes:
        root: its exact bytes.
        url: of the server whose ``/tuf/`` has the metadata; None where it is always named.
        authorities: whom to trust for TLS with that server beside the system's authorities, PEM.
    """

    root: bytes
    url: str | None = None
    authorities: bytes | None = None

    @property
    def sha256(self) -> str:
        """Hex digits of the root's digest: the name of the machine's memory of this repository."""
        return hashlib.sha256(self.root).hexdigest()


def load_pin(directory: Path) -> Pin | None:
    """Load the pin, None where there is none.

    Raises:
        UsageProblem: the file is no pin.
        Unavailable: it cannot be read.
    """
    path = directory / FILE_NAME
    try:
        with open_to_read(path) as file:
            data = file.read(MAX_PIN + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise Unavailable(f"{path} could not be read: {error.strerror}", hint="check its owner and mode") from None
    return parse_pin(data)


def parse_pin(data: bytes) -> Pin:
    """Parse the pin's file.

    Raises:
        UsageProblem: it is none.
    """
    try:
        members: dict[str, Any] = json.loads(data) if len(data) <= MAX_PIN else {}
        if members["format"] != FORMAT:
            raise ValueError
        root, authorities = base64.b64decode(members["root"], validate=True), members["ca"]
        pin = Pin(root=root, url=_text(members["url"]), authorities=authorities and _text(authorities).encode("ascii"))
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError):
        raise UsageProblem("expected this machine's pinned root, got something else", hint=_HINT) from None
    return pin


_HINT: Final = "pin it again: swarmsec trust pin FILE"


def _text(value: Any) -> Any:
    if value is not None and not (isinstance(value, str) and len(value) <= MAX_AUTHORITIES):
        raise ValueError
    return value


def save_pin(directory: Path, pin: Pin) -> None:
    """Keep a pin, in place of the one before.

    Raises:
        Unavailable: it cannot be written.
    """
    members = {
        "format": FORMAT,
        "root": base64.b64encode(pin.root).decode("ascii"),
        "root_sha256": pin.sha256,
        "url": pin.url,
        "ca": None if pin.authorities is None else pin.authorities.decode("ascii"),
    }
    try:
        make_private_directory(directory)
        write_atomically(directory / FILE_NAME, json.dumps(members, indent=2).encode() + b"\n", mode=0o600)
    except OSError as error:
        raise Unavailable(f"{directory} could not be written: {error.strerror}", hint="check its owner") from None


def read_root(path: Path) -> bytes:
    """Read a root from a file, which must be signed by its own keys.

    Raises:
        NotFound, Unavailable: it cannot be read.
        UsageProblem: it is no root.
    """
    try:
        with open_to_read(path) as file:
            data = file.read(ROOT_BYTES + 1)
    except FileNotFoundError:
        raise NotFound(f"no file {path}") from None
    except OSError as error:
        raise Unavailable(f"{path} could not be read: {error.strerror}", hint="check its owner and mode") from None
    return checked_root(data, source=str(path))


def checked_root(data: bytes, *, source: str) -> bytes:
    """Return a root's bytes if they are one, whole and signed by its own keys.

    Raises:
        UsageProblem: they are not.
    """
    try:
        verify_first_root(data)
    except NotTrusted as error:
        raise UsageProblem(f"{source}: {error}", hint="it is N.root.json of the repository") from None
    return data


def find_root(digest: Digest, fetch: Callable[[str, int], bytes | None]) -> bytes:
    """Find the root of a digest among those that a repository publishes.

    Args:
        digest: SHA-256 of the root's exact bytes, from a person.
        fetch: brings a published file by name, with its limit.

    Raises:
        Denied: none of them has it.
    """
    for version in range(1, MAX_ROOTS + 1):
        data = fetch(f"{version}.root.json", ROOT_BYTES)
        if data is None:
            break
        if hmac.compare_digest(hashlib.sha256(data).hexdigest(), digest.hex):
            return checked_root(data, source=f"root {version}")
    raise Denied(f"no root of this repository has the digest {digest}", hint="check the digest where the root was made")
