"""Opening a database, and the settings under which it is trusted.

SQLite: write-ahead log, ``synchronous=FULL`` (a commit is on disk before it is answered), ``secure_delete`` (freed
pages are zeroed), ``trusted_schema=OFF`` and ``cell_size_check`` (a database file from elsewhere runs no code and is
checked while it is read). PostgreSQL: ``synchronous_commit=on`` and bounded waits for locks.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool, QueuePool

from swarmsec.errors import UsageProblem

WRITE: Final = "swarmsec_write"
"""Execution option of a connection whose transaction will write."""
LOCK_WAIT_SECONDS: Final = 10
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
        # One connection per use: a SQLite connection is cheap, and a kept one would hide a replaced file.
        # It may change threads, because a store opened by one thread is written to by another; ``Store`` keeps its
        # writers apart.
        settings = {"timeout": LOCK_WAIT_SECONDS, "check_same_thread": False}
        engine = create_engine(url, poolclass=NullPool, connect_args=settings)
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
    """Refuse a file that others may read or write.

    Raises:
        UsageProblem: its mode has bits for group or others.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise UsageProblem(
            f"expected {path} to be readable by its owner alone, got mode {mode:04o}", hint=f"chmod 600 {path}"
        )
