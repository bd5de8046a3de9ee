"""Getting at a token: the module that is loaded, the PIN that is shown, and what may be wrong with either.

A module is code that runs with everything this process may do, so it is chosen by the settings of the home alone, and
must lie where nobody but its owner or root can change it. A PIN that a token refused is not shown to it again before
its file has changed: tokens lock themselves after a few.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from swarmsec.errors import KeyUnavailable, UsageProblem
from swarmsec.keys.errors import WrongUnlock
from swarmsec.secretbytes import SecretBytes

MAX_PIN_BYTES: Final = 255
_EXTRA: Final = "install the extra: pip install 'swarmsec[hsm]'"
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAccess:
    """What the settings of a home say about tokens; empty where it has none."""

    module: str = ""
    pin_file: str = ""


def pkcs11_binding() -> ModuleType:
    """The PKCS#11 binding.

    Raises:
        UsageProblem: it is not installed.
    """
    try:
        import PyKCS11
    except ImportError:
        raise UsageProblem("the root key is in a PKCS#11 token, and PyKCS11 is not installed", hint=_EXTRA) from None
    return PyKCS11  # type: ignore[no-any-return]  # it has no types


def verify_module(path: str) -> Path:
    """A module that may be loaded into this process.

    Raises:
        UsageProblem: there is none named, or others than its owner and root can change it.
        KeyUnavailable: it is not there.
    """
    if not path:
        raise UsageProblem(
            "expected [pkcs11] module in swarmsec.toml, the PKCS#11 library of the token",
            hint="it is set by: swarmsec ca init --pkcs11 'pkcs11:...?module-path=/PATH'",
        )
    try:
        real = Path(path).resolve(strict=True)
        places = [real, *real.parents]
        stats = [place.stat() for place in places]
    except OSError as error:
        raise KeyUnavailable(
            f"the PKCS#11 module {path} cannot be read: {error.strerror}", hint="install the token's library"
        ) from None
    if not stat.S_ISREG(stats[0].st_mode):
        raise UsageProblem(f"expected a PKCS#11 module at {path}, got something else")
    for place, found in zip(places, stats, strict=True):
        sticky = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        if found.st_uid not in {0, os.geteuid()} or (found.st_mode & _OTHERS_WRITE and not sticky):
            raise UsageProblem(
                f"expected {place} to be changeable by its owner alone: its code runs with the keys of this home",
                hint="take a module of the system, or change owner and mode",
            )
    return real


def read_pin(path: str) -> SecretBytes:
    """The PIN in a file: one line.

    Raises:
        UsageProblem: no file is named, others may read it, or it is no PIN.
        KeyUnavailable: it cannot be read.
    """
    if not path:
        raise UsageProblem("expected [pkcs11] pin_file in swarmsec.toml, a file of mode 0600 with the token's PIN")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise KeyUnavailable(
            f"the PIN file {path} could not be read: {error.strerror}", hint="bring it back, or change its owner"
        ) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode) or mode & 0o077:
            raise UsageProblem(f"expected {path} to be a file of its owner alone", hint=f"chmod 600 {path}")
        data = os.read(descriptor, MAX_PIN_BYTES + 2)
    finally:
        os.close(descriptor)
    pin = data.removesuffix(b"\n")
    if not 1 <= len(pin) <= MAX_PIN_BYTES or b"\n" in pin:
        raise UsageProblem(f"expected one line with a PIN of 1 to {MAX_PIN_BYTES} bytes in {path}")
    return SecretBytes(pin)


class PinDesk:
    """Shows the PIN to tokens, and no PIN twice that was refused.

    Args:
        path: of the PIN file.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._refused: set[bytes] = set()

    def log_in(self, binding: Any, session: Any, flags: int) -> None:
        """Log into the token of a session.

        Args:
            binding: PyKCS11.
            session: one of its sessions.
            flags: of the token.

        Raises:
            WrongUnlock: the PIN is wrong, or was already; the token may be locked.
            what the binding raises for anything else.
        """
        if not flags & binding.CKF_LOGIN_REQUIRED:
            return
        if flags & binding.CKF_USER_PIN_LOCKED:
            raise WrongUnlock("the PIN of the token is locked", hint="unlock it with the token's own tool and SO PIN")
        pin = read_pin(self._path)
        digest = hashlib.sha256(pin.reveal()).digest()
        if any(hmac.compare_digest(digest, refused) for refused in self._refused):
            raise self._refusal()
        if flags & binding.CKF_USER_PIN_FINAL_TRY:
            raise WrongUnlock(
                "the token takes one more PIN before it locks itself, and none was shown",
                hint="log in once with the token's own tool, then repeat",
            )
        self._log_in(binding, session, pin, digest)

    def _log_in(self, binding: Any, session: Any, pin: SecretBytes, digest: bytes) -> None:
        try:
            session.login(pin.reveal())
        except binding.PyKCS11Error as error:
            if error.value == binding.CKR_USER_ALREADY_LOGGED_IN:
                return
            if error.value not in _wrong_pins(binding):
                raise
            self._refused.add(digest)
            raise self._refusal() from None

    def _refusal(self) -> WrongUnlock:
        hint = "correct the file; it is not tried again as it is"
        return WrongUnlock(f"the token refused the PIN in {self._path}", hint=hint)


def _wrong_pins(binding: Any) -> frozenset[int]:
    names = ("INCORRECT", "INVALID", "LEN_RANGE", "LOCKED", "EXPIRED")
    return frozenset(getattr(binding, f"CKR_PIN_{name}") for name in names)
