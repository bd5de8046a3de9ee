"""The recovery key: what opens a backup when everything else is gone.

It is an age X25519 identity (age-encryption.org/v1), so that a backup can also be opened with the ``age`` program.
age does not say who wrote a file; therefore a backup carries a MAC under a key derived from the identity, which the
home keeps sealed: whoever only knows the public recipient cannot make a backup that ``restore`` takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from swarmsec.errors import UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.envelope import KEY_BYTES

PREFIX: Final = "AGE-SECRET-KEY-1"
MAX_FILE_BYTES: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveryKey:
    """A recovery key with what the home keeps of it."""

    identity: SecretBytes
    """``AGE-SECRET-KEY-1…`` in ASCII: shown once, never kept."""
    recipient: str
    """``age1…``, public."""
    backup_mac_key: SecretBytes


def new_recovery_key() -> RecoveryKey:
    """Make a recovery key."""
    from pyrage import x25519

    return _of(str(x25519.Identity.generate()))


def parse_recovery_key(text: bytes) -> RecoveryKey:
    """Parse a recovery key: the first line that is one; lines that begin with # are comments.

    Raises:
        UsageProblem: there is none.
    """
    from pyrage import IdentityError, x25519

    refusal = UsageProblem(f"expected a recovery key, a line that begins with {PREFIX}")
    if len(text) > MAX_FILE_BYTES:
        raise refusal
    lines = (line.strip() for line in text.decode("ascii", "replace").splitlines())
    for line in lines:
        if line.startswith(PREFIX):
            try:
                return _of(str(x25519.Identity.from_str(line)))
            except (IdentityError, ValueError):
                raise refusal from None
    raise refusal


def _of(identity: str) -> RecoveryKey:
    from pyrage import x25519

    derive = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"swarmsec/backup-mac/v1")
    return RecoveryKey(
        identity=SecretBytes(identity.encode()),
        recipient=str(x25519.Identity.from_str(identity).to_public()),
        backup_mac_key=SecretBytes(derive.derive(identity.encode())),
    )
