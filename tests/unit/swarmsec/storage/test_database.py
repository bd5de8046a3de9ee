"""Kept connections: opened once, and telling nothing that a new connection would not tell."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool

from swarmsec.storage.database import KEPT_READERS, driver_of, open_engine

SIDES = ("-wal", "-shm")


def _engine(path: Path) -> Engine:
    return open_engine(make_url(f"sqlite:///{path}"))


def _database(path: Path, word: str) -> Engine:
    engine = _engine(path)
    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql("CREATE TABLE words (word TEXT)")
        connection.exec_driver_sql("INSERT INTO words VALUES (?)", (word,))
    return engine


def _read(engine: Engine) -> tuple[str, object]:
    """What it says, and the driver's connection that it was asked over."""
    with engine.connect() as connection, connection.begin():
        return str(connection.exec_driver_sql("SELECT word FROM words").scalar()), driver_of(connection)


def _tables(engine: Engine) -> list[str]:
    with engine.connect() as connection, connection.begin():
        return [name for (name,) in connection.exec_driver_sql("SELECT name FROM sqlite_master")]


def _unlink(path: Path, *suffixes: str) -> None:
    for suffix in suffixes:
        path.with_name(path.name + suffix).unlink()


def test_readers_one_after_another_share_a_connection(tmp_path: Path) -> None:
    engine = _database(tmp_path / "state.db", "first")

    assert _read(engine) == _read(engine)
    engine.dispose()


def test_what_others_write_is_read_over_the_same_connection(tmp_path: Path) -> None:
    kept = _database(tmp_path / "state.db", "first")
    before = _read(kept)
    other = _engine(tmp_path / "state.db")
    with other.connect() as connection, connection.begin():
        connection.exec_driver_sql("UPDATE words SET word = 'second'")

    assert (before[0], _read(kept)) == ("first", ("second", before[1]))
    other.dispose()
    kept.dispose()


def _rename_over(state: Path, other: Path) -> None:
    # What a restored home brings: a database, and no write-ahead log of the former one.
    _unlink(state, *SIDES)
    other.replace(state)


def _copy_over(state: Path, other: Path) -> None:
    shutil.copyfile(other, state)


@pytest.mark.parametrize("put", [_rename_over, _copy_over])
def test_another_file_in_its_place_is_read_anew(tmp_path: Path, put: Callable[[Path, Path], None]) -> None:
    kept, other = _database(tmp_path / "state.db", "first"), _database(tmp_path / "other.db", "other")
    other.dispose()
    with kept.connect() as connection:
        driver_of(connection).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = _read(kept)
    assert before[0] == "first"

    put(tmp_path / "state.db", tmp_path / "other.db")

    assert _read(kept)[0] == "other"
    kept.dispose()


def test_an_older_copy_of_it_in_its_place_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    kept = _database(path, "first")
    with kept.connect() as connection:
        driver_of(connection).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copyfile(path, tmp_path / "copy.db")
    with kept.connect() as connection, connection.begin():
        connection.exec_driver_sql("UPDATE words SET word = 'second'")
    assert _read(kept)[0] == "second"

    _rename_over(path, tmp_path / "copy.db")

    assert _read(kept)[0] == "first"
    kept.dispose()


def test_a_removed_file_is_not_read_from_memory(tmp_path: Path) -> None:
    engine = _database(tmp_path / "state.db", "first")
    _read(engine)
    _unlink(tmp_path / "state.db", "", *SIDES)

    assert _tables(engine) == []
    engine.dispose()


def test_a_truncated_file_is_not_read_from_memory(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    kept = _database(path, "first")
    with kept.connect() as connection:
        driver_of(connection).execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert _read(kept)[0] == "first"
    with path.open("r+b") as file:
        file.truncate(0)

    with pytest.raises(DBAPIError):
        _read(kept)
    kept.dispose()


def test_a_removed_log_is_not_read_on_from_what_is_still_open(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    kept = _database(path, "first")
    _read(kept)
    _, before = _read(kept)
    _unlink(path, "-wal")

    with kept.connect() as connection:
        assert driver_of(connection) is not before
    kept.dispose()


def test_a_file_that_changes_while_it_is_opened_is_read_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    kept = _database(path, "first")
    kept.dispose()
    stop = threading.Event()

    def write_on() -> None:
        other = _engine(path)
        with other.connect() as connection:
            driver_of(connection).execute("PRAGMA wal_autocheckpoint=1")
            while not stop.is_set():
                driver_of(connection).execute("UPDATE words SET word = 'again'")
        other.dispose()

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        assert {_read(kept)[0] for _ in range(200)} <= {"first", "again"}
    finally:
        stop.set()
        writer.join()
    kept.dispose()


def test_few_connections_are_kept_however_many_were_needed_at_once(tmp_path: Path) -> None:
    engine = _database(tmp_path / "state.db", "first")
    for connection in [engine.connect() for _ in range(3 * KEPT_READERS)]:
        connection.close()

    assert isinstance(engine.pool, QueuePool)
    assert engine.pool.checkedin() == KEPT_READERS
    engine.dispose()
