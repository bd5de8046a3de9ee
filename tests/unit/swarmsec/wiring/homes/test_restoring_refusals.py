"""What is not whole, not ours or not meant makes no home, and leaves nothing of one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from swarmsec.errors import AlreadyExists, Denied, IntegrityFailure, NotFound, SwarmsecError, Unavailable, UsageProblem
from swarmsec.keys.recovery import new_recovery_key
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.homes.backup_archive import Header
from swarmsec.storage.database import open_engine, parse_url
from swarmsec.storage.tables import audit_entries
from tests.unit.swarmsec.homes import private_files
from tests.unit.swarmsec.wiring.homes.restores import (
    Saved,
    accept,
    lines_of,
    nothing_of_a_home,
    restore,
    rewritten,
    with_header,
)


def test_another_recovery_key_is_a_decision_against_and_leaves_nothing(elsewhere: Saved) -> None:
    with pytest.raises(Denied):
        restore(elsewhere, new_recovery_key())
    assert nothing_of_a_home(elsewhere)


@pytest.mark.parametrize("target", ["finished", "restored", "foreign"])
def test_nothing_that_exists_is_restored_over(saved: Saved, target: str) -> None:
    if target == "finished":
        shutil.copytree(saved.original, saved.restored)
    elif target == "restored":
        restore(saved)
    else:
        saved.restored.mkdir()
        (saved.restored / "precious").write_bytes(b"precious")
    before = sorted(path.name for path in saved.restored.iterdir())
    with pytest.raises((AlreadyExists, UsageProblem)):
        restore(saved)
    assert sorted(path.name for path in saved.restored.iterdir()) == before


def test_an_unfinished_home_is_finished(elsewhere: Saved) -> None:
    elsewhere.restored.mkdir(mode=0o700)
    with private_files():
        (elsewhere.restored / "swarmsec.toml").write_bytes((elsewhere.original / "swarmsec.toml").read_bytes())
    restore(elsewhere)
    accept(elsewhere)


def test_a_pipe_is_refused_because_it_is_read_once(elsewhere: Saved) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with pytest.raises(Unavailable, match="read twice"):
        restore(elsewhere, backup=Path(f"/dev/fd/{reading}"))
    os.close(reading)
    assert nothing_of_a_home(elsewhere)


def test_a_missing_backup_is_not_found(elsewhere: Saved) -> None:
    elsewhere.backup.unlink()
    with pytest.raises(NotFound):
        restore(elsewhere)


def test_a_directory_is_no_backup(elsewhere: Saved) -> None:
    with pytest.raises(UsageProblem, match="got a directory") as caught:
        restore(elsewhere, backup=elsewhere.backup.parent)
    assert caught.value.hint == "name the file itself"
    assert nothing_of_a_home(elsewhere)


@pytest.mark.parametrize("content", [b"", b"hello", b"age-encryption.org/v1\n", b"\x1f\x8b" + bytes(500)])
def test_a_foreign_file_leaves_nothing(elsewhere: Saved, content: bytes) -> None:
    elsewhere.backup.write_bytes(content)
    with pytest.raises(IntegrityFailure) as caught:
        restore(elsewhere)
    assert content.startswith(b"age") or str(elsewhere.backup) in str(caught.value)
    assert nothing_of_a_home(elsewhere)


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.99])
def test_a_backup_that_was_cut_off_leaves_nothing(elsewhere: Saved, cut: float) -> None:
    data = elsewhere.backup.read_bytes()
    elsewhere.backup.write_bytes(data[: int(len(data) * cut)])
    with pytest.raises(IntegrityFailure):
        restore(elsewhere)
    assert nothing_of_a_home(elsewhere)


HEADER_CHANGES: dict[str, Callable[[Header], Header]] = {
    "another store": lambda header: replace(header, store_id="6f1c7c3e-0000-4000-8000-000000000001"),
    "fewer entries": lambda header: replace(header, size=header.size - 1),
    "another log": lambda header: replace(header, leaf_hash=bytes(32)),
    "another root key": lambda header: replace(header, root_key=SecretBytes(bytes(32))),
    "a later schema": lambda header: replace(header, schema=header.schema | {"core_9999"}),
    "no schema": lambda header: replace(header, schema=frozenset()),
    "part of the schema": lambda header: replace(header, schema=frozenset({"core_0001"})),
    "no tables": lambda header: replace(header, tables={}),
    "a table less": lambda header: replace(
        header, tables={name: shape for name, shape in header.tables.items() if name != "leases"}
    ),
    "a row more": lambda header: replace(
        header,
        tables={name: replace(shape, rows=shape.rows + 1) for name, shape in header.tables.items()},
    ),
    "a column less": lambda header: replace(
        header,
        tables={
            name: replace(shape, columns=dict(list(shape.columns.items())[:-1]))
            for name, shape in header.tables.items()
        },
    ),
}


@pytest.mark.parametrize("change", HEADER_CHANGES.values(), ids=HEADER_CHANGES)
def test_a_header_that_does_not_fit_its_rows_makes_no_home(
    elsewhere: Saved, change: Callable[[Header], Header]
) -> None:
    with_header(elsewhere, change)
    with pytest.raises(IntegrityFailure):
        restore(elsewhere)
    assert nothing_of_a_home(elsewhere)


def without_last_of(table: str) -> Callable[[list[bytes]], list[bytes]]:
    def change(lines: list[bytes]) -> list[bytes]:
        last = max(number for number, line in enumerate(lines) if line.startswith(f'["{table}"'.encode()))
        return lines[:last] + lines[last + 1 :]

    return change


ROW_CHANGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "a token missing": without_last_of("join_tokens"),
    "an entry missing": without_last_of("audit_entries"),
    "a value changed": lambda lines: [line.replace(b'"manager","standing"', b'"worker","standing"') for line in lines],
    "a row twice": lambda lines: [*lines, lines[-1]],
    "a row of no table": lambda lines: [*lines, b'["sqlite_master",[]]'],
    "no row": lambda lines: lines[:1],
    "not JSON": lambda lines: [*lines, b"{"],
    "a header twice": lambda lines: [lines[0], *lines],
}


@pytest.mark.parametrize("change", ROW_CHANGES.values(), ids=ROW_CHANGES)
def test_rows_that_are_not_whole_make_no_home(elsewhere: Saved, change: Callable[[list[bytes]], list[bytes]]) -> None:
    rewritten(elsewhere, change(lines_of(elsewhere)))
    with pytest.raises(IntegrityFailure):
        restore(elsewhere)
    assert nothing_of_a_home(elsewhere)


def test_a_failed_restore_can_be_repeated_with_a_good_copy(elsewhere: Saved) -> None:
    good = elsewhere.backup.read_bytes()
    elsewhere.backup.write_bytes(good[:-1])
    with pytest.raises(SwarmsecError):
        restore(elsewhere)
    elsewhere.backup.write_bytes(good)
    restore(elsewhere)
    accept(elsewhere)


def test_a_database_in_use_is_not_loaded_into(elsewhere: Saved) -> None:
    """A settings file that was lost does not make the database beside it empty."""
    elsewhere.restored.mkdir(mode=0o700)
    shutil.copy(elsewhere.original / "state.db", elsewhere.restored / "state.db")
    with pytest.raises(UsageProblem, match="empty directory"):
        restore(elsewhere)
    shutil.copy(elsewhere.original / "swarmsec.toml", elsewhere.restored / "swarmsec.toml")
    with pytest.raises(AlreadyExists):
        restore(elsewhere)
    engine = open_engine(parse_url("sqlite:///state.db", elsewhere.restored))
    with engine.connect() as connection:
        assert connection.execute(audit_entries.select()).all()
    engine.dispose()
