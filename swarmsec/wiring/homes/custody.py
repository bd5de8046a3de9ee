"""Changing what opens a home and its backups: seals with their key files, and the recovery key."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from swarmsec.errors import AlreadyExists, SwarmsecError, Unavailable
from swarmsec.keys.recovery import MAX_FILE_BYTES, RecoveryKey, new_recovery_key, parse_recovery_key
from swarmsec.keys.seals import FILE
from swarmsec.keys.signers import SealedKeys
from swarmsec.openedfile import open_to_read
from swarmsec.services.homes.change_seals import remove_seal, replace_seal
from swarmsec.services.records import SealRow
from swarmsec.services.requester import Requester
from swarmsec.wiring.homes.creating import (
    RECOVERY_RECIPIENT,
    keep_recovery_key,
    new_seal,
    write_recovery_file,
)
from swarmsec.wiring.homes.home import Ask, Home, seal_path


def renew_recovery_key(home: Home, keys: SealedKeys, requester: Requester, path: Path | None) -> RecoveryKey:
    """Make a new recovery key; the former one opens no backup that is made from now on.

    Args:
        path: the new file to write it to; without it the caller shows the key once.

    Raises:
        AlreadyExists: the file exists.
        Unavailable: it cannot be written.
    """
    recovery = new_recovery_key()
    if path is not None:
        _write(home, path, recovery)
    try:
        home.store.write(partial(keep_recovery_key, keys=keys, recovery=recovery, requester=requester))
    except SwarmsecError:
        if path is not None:
            path.unlink(missing_ok=True)
        raise
    return recovery


def _write(home: Home, path: Path, recovery: RecoveryKey) -> None:
    """The file is on disk before any backup depends on it."""
    try:
        write_recovery_file(path, recovery)
    except AlreadyExists as error:
        known = home.store.read(lambda transaction: transaction.settings.get(RECOVERY_RECIPIENT))
        whose = "has the recovery key of this home" if known and _recipient_in(path) == known else "has something else"
        raise AlreadyExists(f"{error} and {whose}", hint="name a new file with --recovery-out") from None
    except OSError as error:
        raise Unavailable(f"{path} could not be written: {error.strerror}", hint="check its directory") from None


def _recipient_in(path: Path) -> str | None:
    try:
        with open_to_read(path) as file:
            return parse_recovery_key(file.read(MAX_FILE_BYTES + 1)).recipient
    except (SwarmsecError, OSError):
        return None


def set_seal(home: Home, keys: SealedKeys, kind: str, ask: Ask, requester: Requester) -> SealRow:
    """Put a new seal of a kind around the root key, in the place of one of that kind.

    Raises:
        AlreadyExists: ``[seal] path`` names the key file, and it is there.
        Unavailable: the key file cannot be written.
    """
    own_path = bool(home.config.seal.path)
    if kind == FILE and own_path and Path(home.config.seal.path).exists():
        raise AlreadyExists(
            f"the key file {home.config.seal.path} exists", hint="move it away, or set another [seal] path, and repeat"
        )
    try:
        seal = new_seal(home.config, home.store_id, keys.ring.root, kind, ask, home.clock)
    except OSError as error:
        raise Unavailable(
            f"{error.filename} could not be written: {error.strerror}", hint="check its directory"
        ) from None
    try:
        former = home.store.write(partial(replace_seal, requester=requester, seal=seal))
    except SwarmsecError:
        _forget_key_file(home, seal, even_named=True)
        raise
    for row in former:
        _forget_key_file(home, row)
    return seal


def drop_seal(home: Home, seal_id: str, requester: Requester) -> SealRow:
    """Remove a seal and its key file.

    Raises:
        NotFound, UsageProblem: there is none with this id, or it is the last.
    """
    seal = home.store.write(partial(remove_seal, requester=requester, seal_id=seal_id))
    _forget_key_file(home, seal)
    return seal


def _forget_key_file(home: Home, seal: SealRow, *, even_named: bool = False) -> None:
    """Remove a seal's key file; the one that ``[seal] path`` names is its operator's, unless it was made just now."""
    if seal.kind == FILE and (even_named or not home.config.seal.path):
        path = seal_path(home.config, home.store_id, seal.seal_id)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(
                f"the seal is gone, but its key file {path} could not be removed: {error.strerror}",
                hint="remove it; it opens nothing any more",
            ) from None
