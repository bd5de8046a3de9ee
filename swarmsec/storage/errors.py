"""What the database's errors mean to us.

IntegrityFailure
├── StoreCorrupt        the database or a row in it is not what was written
├── StoreRolledBack     the store is older than its anchor
└── SchemaUnknown       a schema this version does not know
Unavailable
├── StoreBusy           another writer holds the store
├── StoreUnwritable     full, read-only or unreachable
└── DiskHung            a step to disk that does not end
"""

from __future__ import annotations

from types import TracebackType

import sqlalchemy.exc

from swarmsec.errors import AlreadyExists, IntegrityFailure, Unavailable, UsageProblem


class StoreCorrupt(IntegrityFailure):
    """The database, or a row in it, is not what was written."""


class StoreRolledBack(IntegrityFailure):
    """The store is older than its anchor says it was."""


class SchemaUnknown(IntegrityFailure):
    """The store's schema is not one that this version knows."""


class StoreBusy(Unavailable):
    """Another writer holds the store."""


class StoreUnwritable(Unavailable):
    """The store cannot be written or reached now."""


class DiskHung(Unavailable):
    """A step to disk does not end: whether what it was to keep is kept cannot be told.

    Args:
        seconds: how long it was waited for.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(
            f"the log's disk does not answer: a write has taken more than {seconds} s",
            hint="look at the disk or mount of the home and of [anchor] path; what was asked may be done or not",
        )


_RESTORE = "restore the newest backup with: swarmsec restore FILE"
_FULL = ("database or disk is full", "no space left", "disk i/o error", "could not extend file", "disk full")
_READ_ONLY = ("readonly database", "read-only", "unable to open database file")
_CORRUPT = ("malformed", "not a database", "corrupt", "invalid page", "could not decode", "unsupported file format")
_BUSY = ("database is locked", "lock timeout", "lock_timeout", "canceling statement due to lock")


class translated:  # noqa: N801  # used as a function
    """Turn the driver's errors into ours; anything unknown stays what it is and shows as a defect."""

    # A class, because every write passes here and a generator costs several times as much.
    __slots__ = ()

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            ours = _translated(error)
            if ours is not error:
                raise ours from error


def _translated(error: Exception) -> Exception:
    if isinstance(error, UnicodeDecodeError):
        # SQLite quotes names of a damaged schema in its error, and the driver fails to decode them.
        return StoreCorrupt("the database is damaged: a text in it is not UTF-8", hint=_RESTORE)
    if isinstance(error, UnicodeEncodeError) or (isinstance(error, OverflowError) and "SQLite INTEGER" in str(error)):
        return _unkeepable()
    if isinstance(error, sqlalchemy.exc.SQLAlchemyError) or _is_drivers(error):
        return _translate(error)
    return error


def _is_drivers(error: object) -> bool:
    return type(error).__module__.partition(".")[0] in {"sqlite3", "psycopg"}


def _unkeepable() -> UsageProblem:
    return UsageProblem("expected text without NUL and lone surrogates, and integers within 64 bits")


def _translate(error: Exception) -> Exception:
    cause = getattr(error, "orig", None) or error
    kinds = {kind.__name__ for kind in type(cause).__mro__}
    text = str(cause).lower()
    if "IntegrityError" in kinds:
        return AlreadyExists("expected a new record, got one that exists already")
    if "DataError" in {kind.__name__ for kind in type(getattr(error, "orig", error)).__mro__}:
        return _unkeepable()
    if any(word in text for word in _FULL):
        return StoreUnwritable(
            "the store could not be written: the disk is full or failing", hint="free space, then repeat the command"
        )
    if any(word in text for word in _READ_ONLY):
        return StoreUnwritable(
            "the store could not be opened for writing",
            hint="check the owner and mode of the home directory and that its file system is mounted read-write",
        )
    if any(word in text for word in _BUSY):
        return StoreBusy("the store is busy: another process is writing", hint="repeat the command in a moment")
    if "OperationalError" in kinds and not type(cause).__module__.startswith("sqlite3"):
        return StoreUnwritable(
            "the database server could not be reached or stopped answering", hint="check [storage] url and the server"
        )
    if any(word in text for word in _CORRUPT) or "DatabaseError" in kinds:
        return StoreCorrupt(
            f"the database is damaged: {_first_line(text)}",
            hint="restore the newest backup with: swarmsec restore FILE",
        )
    return StoreCorrupt(
        f"the database answered something unexpected: {_first_line(text)}",
        hint="restore the newest backup with: swarmsec restore FILE",
    )


def _first_line(text: str) -> str:
    return text.splitlines()[0][:200] if text else "no text"
