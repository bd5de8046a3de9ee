"""Restoring a home from a backup, and accepting it.

The backup is read twice: first to its end, believing nothing, for its MAC; then its rows are loaded, checked against
their digests and the log, and given a new seal, all in one transaction. Interrupted anywhere, the same command
begins anew; what was made before that transaction is an unfinished home that nothing opens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from swarmsec.atomicfile import make_private_directory, write_atomically
from swarmsec.audit.errors import EntryInvalid
from swarmsec.clock import Clock, SystemClock
from swarmsec.config import FILE_NAME, initial_text, load_config, parse_config
from swarmsec.errors import AlreadyExists, IntegrityFailure, NotFound, SwarmsecError, Unavailable, UsageProblem
from swarmsec.keys.backupfile import MAGIC, read_backup
from swarmsec.keys.keyring import KeyRing
from swarmsec.keys.recovery import RecoveryKey
from swarmsec.keys.seals import FILE
from swarmsec.keys.signers import SealedKeys
from swarmsec.openedfile import open_to_read
from swarmsec.services.homes.accept_restored import (
    RESTORED_SIZE,
    Missing,
    begin_acceptance,
    finish_acceptance,
    note_restored,
)
from swarmsec.services.homes.backup_archive import BackupDamaged, Header, parse_header
from swarmsec.services.records import SealRow
from swarmsec.services.requester import Requester
from swarmsec.storage.anchor import AnchorFile
from swarmsec.storage.checking import CheckReport, verify_database
from swarmsec.storage.loading import Loader, make_tables
from swarmsec.storage.log import LogAppender
from swarmsec.storage.schema import migrate
from swarmsec.storage.stamps import Stamps
from swarmsec.storage.store import Store
from swarmsec.storage.transaction import Transaction
from swarmsec.wiring.homes.backups import Watcher
from swarmsec.wiring.homes.creating import BACKUP_MAC_KEY, DEFAULT_URL, home_exists, new_seal
from swarmsec.wiring.homes.home import Ask, Home, open_store, seal_path

_URL_LINE: Final = re.compile(r"(?m)^url\s*=.*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to restore, and to where."""

    home: Path
    backup: Path
    database_url: str | None = None
    seal: str = FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A restored home, not yet accepted."""

    store_id: str
    created: str
    """When the backup was made."""
    entries: int
    database_url: str
    former_database_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A restored home that serves again."""

    store_id: str
    entries: int
    """Log entries that the backup had."""
    missing: Missing


def restore_home(wanted: Wanted, recovery: RecoveryKey, ask: Ask, requester: Requester, watcher: Watcher) -> Restored:
    """Make a home from a backup where there is none, or where making one was interrupted.

    Raises:
        AlreadyExists: there is a home.
        NotFound: there is no such backup.
        WrongUnlock: the recovery key does not open it.
        IntegrityFailure: the backup, or what is in it, is not whole; no home is made.
        Unavailable: the home cannot be written.
    """
    try:
        _verify_no_home(wanted.home)
    except OSError as error:
        raise Unavailable(
            f"{wanted.home} could not be read: {error.strerror}", hint="check its owner and mode"
        ) from None
    with _opened(wanted.backup) as file:
        header = _examined(file, recovery)
        former = parse_config(header.config.encode(), source="the backup's settings").storage.url
        url = wanted.database_url or DEFAULT_URL
        try:
            with _laid_out(wanted.home, header, url):
                entries = _fill(wanted, header, file, recovery, ask, requester, watcher)
        except OSError as error:
            raise Unavailable(
                f"{error.filename or wanted.home} could not be written: {error.strerror}",
                hint="check owner, mode and free space of the home and state directories",
            ) from None
    return Restored(
        store_id=header.store_id,
        created=header.created,
        entries=entries,
        database_url=url,
        former_database_url=former,
    )


def _verify_no_home(path: Path) -> None:
    if home_exists(path):
        raise AlreadyExists(
            f"there is a home at {path} already",
            hint="use another --home; one that was restored is accepted with: swarmsec restore --accept",
        )
    if path.is_dir() and not (path / FILE_NAME).exists() and any(not _is_leftover(item) for item in path.iterdir()):
        raise UsageProblem(f"expected an empty directory at {path}", hint="name another --home")


def _is_leftover(item: Path) -> bool:
    """Whether a file is a half-written settings file, which some file systems keep of a process that was killed."""
    return item.name.startswith(f".{FILE_NAME}.")


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = open_to_read(path)
    except FileNotFoundError:
        raise NotFound(f"no file {path}") from None
    except IsADirectoryError:
        raise UsageProblem(f"expected a backup at {path}, got a directory", hint="name the file itself") from None
    except OSError as error:
        raise Unavailable(f"{path} could not be read: {error.strerror}", hint="check its owner and mode") from None
    with file:
        yield file


def _examined(file: BinaryIO, recovery: RecoveryKey) -> Header:
    """Read the whole backup for its MAC, and then believe its header."""
    first: list[bytes] = []

    def keep_first(line: bytes) -> None:
        if not first:
            first.append(line)

    _read(file, recovery, keep_first)
    if not first:
        raise BackupDamaged("expected a header in the backup")
    return parse_header(first[0])


def _read(file: BinaryIO, recovery: RecoveryKey, take: Callable[[bytes], None]) -> None:
    try:
        file.seek(0)
        if file.read(len(MAGIC)) != MAGIC:
            raise BackupDamaged(f"expected an age file at {file.name}, got something else")
        file.seek(0)
        read_backup(file, recovery, take)
    except OSError as error:
        what = error.strerror or "expected a file that can be read twice"
        raise Unavailable(f"{file.name} could not be read: {what}", hint="check its owner and mode") from None


@contextmanager
def _laid_out(path: Path, header: Header, url: str) -> Iterator[None]:
    """Make the directory and its settings; where the work fails, nothing of them is left."""
    begun = (path / FILE_NAME).exists()
    make_private_directory(path)
    try:
        path.chmod(0o700)
        for leftover in filter(_is_leftover, list(path.iterdir())):
            leftover.unlink()
        _write_settings(path / FILE_NAME, _settings(header, url).encode())
        yield
    except BaseException:
        if not begun:
            for leftover in path.iterdir():
                leftover.unlink()
            path.rmdir()
        raise


def _write_settings(path: Path, text: bytes) -> None:
    """Write settings; those of an interrupted run are taken away first, so that no half file can be left."""
    if path.exists() and path.read_bytes() != text:
        path.unlink()
    with suppress(FileExistsError):
        write_atomically(path, text, mode=0o600, exclusive=True)


def _settings(header: Header, url: str) -> str:
    """The backup's settings with another database; the initial ones where its text cannot be changed safely."""
    wanted = parse_config(initial_text(url).encode(), source="settings").storage.url
    line = next(text for text in initial_text(url).splitlines() if text.startswith("url"))
    text = _URL_LINE.sub(lambda _: line, header.config, count=1)
    if parse_config(text.encode(), source="the backup's settings").storage.url != wanted:
        return initial_text(url)
    return text


def _fill(
    wanted: Wanted,
    header: Header,
    file: BinaryIO,
    recovery: RecoveryKey,
    ask: Ask,
    requester: Requester,
    watcher: Watcher,
) -> int:
    clock = SystemClock()
    config = load_config(wanted.home)
    seal = new_seal(config, header.store_id, header.root_key, wanted.seal, ask, clock)
    store = open_store(wanted.home, config, clock)
    try:
        _load(store, header, file, recovery, seal, requester, watcher, clock)
    except BaseException:
        if seal.kind == FILE and not config.seal.path:
            seal_path(config, header.store_id, seal.seal_id).unlink(missing_ok=True)
        raise
    finally:
        store.close()
    return header.size


def _load(
    store: Store,
    header: Header,
    file: BinaryIO,
    recovery: RecoveryKey,
    seal: SealRow,
    requester: Requester,
    watcher: Watcher,
    clock: Clock,
) -> None:
    with store.exclusive() as connection:
        make_tables(connection, header)
        loader = Loader(connection, header.tables)
        watcher.begins(header.rows)
        _read(file, recovery, _after_first(loader.take, watcher.moved))
        loader.finish()
        migrate(connection)
        try:
            found = verify_database(connection)
        except (IntegrityFailure, EntryInvalid) as error:
            raise BackupDamaged(f"the backup's content is not whole: {error}") from None
        appender = LogAppender(connection, Stamps(clock))
        transaction = Transaction(connection, appender, clock)
        _verify_said(transaction, header, found, recovery)
        note_restored(transaction, requester, header, seal)
        transaction.verify_logged()
        appender.flush()


def _after_first(take: Callable[[bytes], None], moved: Callable[[int], None]) -> Callable[[bytes], None]:
    """Pass every line on but the header."""
    seen = 0

    def pass_on(line: bytes) -> None:
        nonlocal seen
        seen += 1
        if seen > 1:
            take(line)
            moved(1)

    return pass_on


def _verify_said(transaction: Transaction, header: Header, found: CheckReport, recovery: RecoveryKey) -> None:
    """Hold what was loaded against what the header says of it.

    Raises:
        BackupDamaged: another store, another log, or a root key that does not open the records.
    """
    same_log = (found.entries, found.last_hash) == (header.size, header.leaf_hash)
    if not same_log or transaction.settings.get("store_id") != header.store_id:
        raise BackupDamaged("the backup's content is not what its header says")
    try:
        kept = KeyRing(header.store_id, header.root_key).get(transaction, BACKUP_MAC_KEY)
    except (SwarmsecError, ValueError) as error:
        raise BackupDamaged(f"the backup's root key does not open its records: {error}") from None
    if kept != recovery.backup_mac_key:
        raise BackupDamaged("the backup was made for another recovery key than its records say")


def accept_home(home: Home, keys: SealedKeys, requester: Requester) -> Accepted:
    """Let a restored home serve again; repeat it where it was interrupted.

    Raises:
        UsageProblem: the home does not wait to be accepted.
        Unavailable: the anchor cannot be replaced.
    """
    size = int(home.store.read(lambda transaction: transaction.settings.get(RESTORED_SIZE)) or 0)
    anchor = AnchorFile(home.anchor_path, home.store_id)
    told = _missing(anchor, size)
    missing = home.store.write(lambda transaction: begin_acceptance(transaction, keys, requester, told))
    anchor.replace(home.store.head())
    home.store.write(lambda transaction: finish_acceptance(transaction, requester))
    home.adopt_keys(keys)
    home.store.anchor = home.signing_anchor()
    anchor.advance(home.store.head())
    return Accepted(store_id=home.store_id, entries=size, missing=missing)


def _missing(anchor: AnchorFile, size: int) -> Missing:
    try:
        known = anchor.read()
    except IntegrityFailure:
        known = None
    return Missing(entries=None if known is None else max(known.size - size, 0))
