"""Writing a backup of a home, and finding out how one ended that was interrupted.

The file begins under a hidden name beside the one it is to have, is written and synced, has its hash put on record,
and only then gets its name; so a file of that name is always whole.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from swarmsec.atomicfile import sync_directory
from swarmsec.audit.entry import uuid7
from swarmsec.clock import rfc3339
from swarmsec.config import FILE_NAME, MAX_BYTES
from swarmsec.errors import AlreadyExists, NotFound, SwarmsecError, Unavailable, UsageProblem
from swarmsec.keys.backupfile import write_backup
from swarmsec.keys.signers import SealedKeys
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.homes.back_up import BackupPlan, begin_backup, conclude_backup, note_written
from swarmsec.services.homes.backup_archive import Header, encode_header
from swarmsec.services.requester import Requester
from swarmsec.storage.checking import verify_database
from swarmsec.storage.dump import dump_rows, table_shapes
from swarmsec.storage.schema import HEADS
from swarmsec.wiring.homes.creating import BACKUP_MAC_KEY, RECOVERY_RECIPIENT
from swarmsec.wiring.homes.home import Home

LOCK_NAME: Final = "backup.lock"
PRIVATE: Final = 0o600
_TOKEN_BYTES: Final = 8
_HASHED_AT_ONCE: Final = 1 << 20
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})

Rows = Callable[[int], None]
"""Told how many more rows were written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """A finished backup."""

    path: Path
    store_id: str
    created: str
    entries: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Who is told how a backup or a restore goes."""

    begins: Callable[[int], None]
    """So many rows are on their way."""
    moved: Rows


@contextmanager
def backup_turn(home: Path) -> Iterator[bool]:
    """Hold the home's turn to back up, for as long as this process lives at most; False if another holds it.

    Raises:
        Unavailable: the home cannot be written.
    """
    try:
        descriptor = os.open(home / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    except OSError as error:
        raise Unavailable(
            f"{home / LOCK_NAME} could not be opened: {error.strerror}", hint="check owner and mode of the home"
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def back_up(home: Home, keys: SealedKeys, path: Path, requester: Requester, watcher: Watcher) -> BackedUp:
    """Write a backup; the caller holds the turn.

    Args:
        path: the new file.

    Raises:
        AlreadyExists: the file exists.
        NotFound: its directory does not, or the home has no recovery key.
        Unavailable: it cannot be written; nothing of it is left.
        IntegrityFailure: the home is not whole; a backup of it would not be restored.
    """
    plan = _plan(home, path.absolute())
    home.store.write(partial(begin_backup, requester=requester, plan=plan))
    try:
        return _carry_out(home, keys, plan, requester, watcher)
    except BaseException as error:
        reason = str(error) if isinstance(error, SwarmsecError) else type(error).__name__
        # Where the home cannot be written either, the beginning stays open and is resolved at the next start.
        with suppress(SwarmsecError):
            home.store.write(partial(conclude_backup, requester=requester, plan=plan, failure=reason))
        raise


def _plan(home: Home, path: Path) -> BackupPlan:
    if not _is_unicode(str(path)):
        raise UsageProblem("expected the name of a file in UTF-8, because the log names it")
    if os.path.isdir(path):  # noqa: PTH112  # as below
        raise AlreadyExists(f"{path} is a directory", hint="name a new file in it, such as authority.age")
    if os.path.lexists(path):
        raise AlreadyExists(f"the file {path} exists", hint="name a new file; a backup replaces none")
    if not os.path.isdir(path.parent):  # noqa: PTH112  # it says no instead of raising where it may not look
        raise NotFound(f"no directory {path.parent}")
    clock = home.clock
    return BackupPlan(
        request_id=uuid7(clock.unix_ms(), clock.random(10)),
        host=os.uname().nodename,
        path=str(path),
        temporary=str(path.with_name(f".{path.name}.{clock.random(_TOKEN_BYTES).hex()}.partial")),
    )


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_temporary_of(temporary: Path, path: Path) -> bool:
    """Whether a name is one that ``back_up`` gives what becomes ``path``."""
    pattern = rf"\.{re.escape(path.name)}\.[0-9a-f]{{{2 * _TOKEN_BYTES}}}\.partial"
    return temporary.parent == path.parent and re.fullmatch(pattern, temporary.name) is not None


def _carry_out(home: Home, keys: SealedKeys, plan: BackupPlan, requester: Requester, watcher: Watcher) -> BackedUp:
    path, temporary = Path(plan.path), Path(plan.temporary)
    try:
        header, digest, size = _write(home, keys, plan, watcher)
        written = home.store.write(partial(note_written, requester=requester, plan=plan, sha256=digest, size=size))
        _publish(temporary, path)
    except OSError as error:
        raise Unavailable(
            f"the backup {path} could not be written: {error.strerror}",
            hint="nothing of it is left; choose another place",
        ) from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    home.store.write(partial(conclude_backup, requester=requester, plan=written))
    return BackedUp(
        path=path,
        store_id=header.store_id,
        created=header.created,
        entries=header.size,
        bytes=size,
        sha256=digest,
    )


class _Measured:
    """A file that knows the hash and length of what was written to it."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self.hash.update(data)
        self.size += len(data)


def _write(home: Home, keys: SealedKeys, plan: BackupPlan, watcher: Watcher) -> tuple[Header, str, int]:
    recipient, mac_key = _recovery(home, keys)
    descriptor = os.open(plan.temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
    try:
        with home.store.snapshot() as connection:
            header = _header(home, keys, plan, connection)
            watcher.begins(header.rows)
            file = _Measured(descriptor)
            write_backup(file, _lines(connection, header, watcher.moved), recipient=recipient, mac_key=mac_key)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return header, file.hash.hexdigest(), file.size


def _recovery(home: Home, keys: SealedKeys) -> tuple[str, SecretBytes]:
    with home.store.reading() as transaction:
        return transaction.settings.get(RECOVERY_RECIPIENT) or "", keys.get(transaction, BACKUP_MAC_KEY)


def _header(home: Home, keys: SealedKeys, plan: BackupPlan, connection: Connection) -> Header:
    whole = verify_database(connection)
    with (home.path / FILE_NAME).open("rb") as file:
        config = file.read(MAX_BYTES).decode()
    return Header(
        store_id=home.store_id,
        created=rfc3339(home.clock.unix_ms()),
        request_id=plan.request_id,
        size=whole.entries,
        leaf_hash=whole.last_hash,
        schema=HEADS,
        root_key=keys.ring.root,
        config=config,
        tables=table_shapes(connection),
    )


def _lines(connection: Connection, header: Header, moved: Rows) -> Iterator[bytes]:
    yield encode_header(header)
    for line in dump_rows(connection):
        yield line
        moved(1)


def _publish(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise AlreadyExists(f"the file {path} exists", hint="name a new file; a backup replaces none") from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # No hard links here (FAT, some network mounts), hence no way to refuse a name that appeared this instant.
        temporary.rename(path)
    try:
        temporary.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def sha256_of(path: Path) -> str:
    """The hash of a regular file, in hex.

    Raises:
        FileNotFoundError: there is no regular file.
        OSError: as the system says.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        raise FileNotFoundError(path)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_HASHED_AT_ONCE):
            digest.update(part)
    return digest.hexdigest()
