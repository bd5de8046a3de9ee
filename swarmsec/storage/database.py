"""Opening a database, and the settings under which it is trusted.

SQLite: write-ahead log, ``synchronous=FULL`` (a commit is on disk before it is answered), ``secure_delete`` (freed
pages are zeroed), ``trusted_schema=OFF`` and ``cell_size_check`` (a database file from elsewhere runs no code and is
checked while it is read). Connections that only read are kept while the file is the one that they opened, byte for byte
as they know it. PostgreSQL: ``synchronous_commit=on`` and bounded waits for locks.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.pool import QueuePool

from swarmsec.errors import UsageProblem

WRITE: Final = "swarmsec_write"
"""Execution option of a connection whose transaction will write."""
LOCK_WAIT_SECONDS: Final = 10
KEPT_READERS: Final = 4
_FILE: Final = "file"
_LOG: Final = "write-ahead log"
SQLITE_SETTINGS: Final = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA secure_delete=ON",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
    "PRAGMA wal_autocheckpoint=2000",
)


def parse_url(text: str, home: Path) -> URL:
    """Parse ``[storage] url``.

    Args:
        text: ``sqlite:///NAME`` (a name is taken inside the home) or ``postgresql://…``.
        home: the home directory.

    Raises:
        UsageProblem: another kind of database, or a URL that does not parse.
    """
    try:
        url = make_url(text) if text.isprintable() else None
    except (ArgumentError, ValueError):
        url = None
    if url is None:
        raise UsageProblem("expected a database URL in [storage] url, such as sqlite:///state.db")
    if url.drivername == "sqlite" and url.database and url.database != ":memory:":
        if url.host is not None or url.username is not None or url.port is not None or url.query:
            raise UsageProblem("expected [storage] url to be sqlite:///NAME, got more than a name")
        return url.set(database=str(home / url.database))
    if url.drivername in {"postgresql", "postgresql+psycopg"}:
        return url.set(drivername="postgresql+psycopg")
    raise UsageProblem(f"expected [storage] url to name sqlite or postgresql, got {url.drivername!r:.40}")


def open_engine(url: URL) -> Engine:
    """Make the engine; nothing is connected yet."""
    if url.drivername == "sqlite":
        # Opening one reads the whole schema, a millisecond of processor time, so a few are kept.
        # A connection may change threads, because a store opened by one thread is written to by another; ``Store``
        # keeps its writers apart.
        settings = {"timeout": LOCK_WAIT_SECONDS, "check_same_thread": False}
        engine = create_engine(
            url, poolclass=QueuePool, pool_size=KEPT_READERS, max_overflow=-1, pool_use_lifo=True, connect_args=settings
        )
        file = KeptFile(Path(url.database or ":memory:"))
        event.listen(engine, "do_connect", file.note)
        event.listen(engine, "checkout", file.verify_unchanged)
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        return create_engine(
            url, poolclass=QueuePool, pool_pre_ping=True, connect_args={"options": _postgresql_options()}
        )
    except ModuleNotFoundError:
        raise UsageProblem(
            "expected the PostgreSQL driver, but it is not installed", hint="pip install 'swarmsec[postgresql]'"
        ) from None
    except (ArgumentError, ValueError):
        raise UsageProblem("expected [storage] url with parameters that the PostgreSQL driver knows") from None


class KeptFile:
    """The file of a database, of which a kept connection would otherwise go on to tell what it once held.

    A connection keeps open what it opened, and pages that it has read for as long as the write-ahead log says nothing
    new; SQLite itself does not notice that either file was removed, replaced, truncated or written by others
    (https://www.sqlite.org/howtocorrupt.html). So whoever takes a connection looks at both: one that knows another
    file, or the same before its last change, is closed, and a new one finds what is there. A checkpoint changes the
    file too; after each, connections are opened once more.

    Args:
        path: of the database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._log_path = path.with_name(f"{path.name}-wal")

    def note(self, dialect: object, record: Any, *_: object) -> None:
        """Remember which file a connection is about to open, and in which state."""
        record.info[_FILE] = self._state()

    def verify_unchanged(self, connection: object, record: Any, proxy: object) -> None:
        """Have the pool open another connection where this one's files are not those that are there.

        Raises:
            DisconnectionError: for the pool.
        """
        # The log changes with each commit, and SQLite follows that by itself: which file it is counts.
        info, state, log = record.info, self._state(), present_file(self._log_path)
        known, known_log, is_new = info[_FILE], info.get(_LOG), _LOG not in info
        if known is None or known_log is None:
            # Who finds no file makes one, and the log with the first look into it.
            known, known_log = known or state, known_log or log
            info.update({_FILE: known, _LOG: known_log})
        # What changed while a connection was being opened is in it: the same file will do, once.
        is_same = known == state or (is_new and known is not None and state is not None and known[:2] == state[:2])
        if not is_same or known_log != log:
            raise DisconnectionError("the files of the database were replaced or changed by others")

    def _state(self) -> tuple[int, ...] | None:
        """Which file it is, and when it was changed last; None where there is none."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def opened_file(connection: Connection) -> tuple[int, ...] | None:
    """Device and inode of the file that a connection to SQLite opened; None for a server, and for one in memory."""
    state = connection.connection.info.get(_FILE)
    return state[:2] if state else None


def present_file(path: Path) -> tuple[int, ...] | None:
    """Device and inode of the file that lies at a path; None where none does."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _postgresql_options() -> str:
    wait = LOCK_WAIT_SECONDS * 1000
    return f"-c synchronous_commit=on -c lock_timeout={wait} -c application_name=swarmsec"


def _configure_sqlite(connection: Any, record: object) -> None:
    # The driver's own transaction handling would begin late and commit on its own; ``_begin_sqlite`` is explicit.
    connection.isolation_level = None
    cursor = connection.cursor()
    for setting in SQLITE_SETTINGS:
        cursor.execute(setting)
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writing connection's transactions are begun and ended by the store itself.
    if not connection.get_execution_options().get(WRITE, False):
        connection.exec_driver_sql("BEGIN")


def driver_of(connection: Connection) -> Any:
    """The driver's own connection; ``sqlite3`` and ``psycopg`` both have ``execute``, ``cursor`` and ``commit``."""
    # For these two it is what SQLAlchemy calls the DBAPI connection; asking for the other takes three more calls.
    return connection.connection.dbapi_connection


def sqlite_path(url: URL) -> Path | None:
    """The database file of a SQLite URL, or None for a server."""
    return Path(url.database) if url.drivername == "sqlite" and url.database else None


def verify_private(path: Path) -> None:
    """Refuse a database that is no file, or that others may read or write.

    Raises:
        UsageProblem: its mode has bits for group or others.
    """
    found = path.stat().st_mode
    if not stat.S_ISREG(found):
        raise UsageProblem(f"expected a file at {path}, got something else", hint="put the database back in its place")
    mode = stat.S_IMODE(found)
    if mode & 0o077:
        raise UsageProblem(
            f"expected {path} to be readable by its owner alone, got mode {mode:04o}", hint=f"chmod 600 {path}"
        )
