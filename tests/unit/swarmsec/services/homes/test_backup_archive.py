"""The header and the rows of a backup are read back as they were written, and nothing else is taken for one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsec.secretbytes import SecretBytes
from swarmsec.services.homes.backup_archive import (
    BackupDamaged,
    ColumnKind,
    Header,
    TableShape,
    encode_header,
    encode_row,
    parse_header,
    parse_row,
)

SHAPE = TableShape(columns={"name": ColumnKind.TEXT, "number": ColumnKind.INTEGER, "digest": ColumnKind.BYTES}, rows=3)
TABLES = {"things": SHAPE}
HEADER = Header(
    store_id="6f1c7c3e-0000-4000-8000-000000000001",
    created="2026-05-04T10:20:30.123Z",
    request_id="0196a2f0-0000-7000-8000-000000000001",
    size=12,
    leaf_hash=bytes(range(32)),
    schema=frozenset({"core_0001", "ca_0001"}),
    root_key=SecretBytes(bytes(32)),
    config='format = 1\n[storage]\nurl = "sqlite:///state.db"\n',
    tables=TABLES,
)
MEMBERS: dict[str, Any] = json.loads(encode_header(HEADER))


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in MEMBERS.items() if key != name}


def with_table(shape: object) -> dict[str, Any]:
    return {**MEMBERS, "tables": {"things": shape}}


def test_a_header_is_read_as_it_was_written() -> None:
    assert parse_header(encode_header(HEADER)) == HEADER
    assert HEADER.rows == 3


def test_a_header_does_not_print_the_root_key() -> None:
    assert "00" * 32 not in repr(HEADER)


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_every_member_is_required(name: str) -> None:
    with pytest.raises(BackupDamaged):
        parse_header(json.dumps(without(name)).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"format": "1"},
        {"format": True},
        {"kind": "another"},
        {"size": 0},
        {"size": 2**53},
        {"size": True},
        {"size": 1.5},
        {"leaf_hash": "AB" * 32},
        {"leaf_hash": "ab" * 31},
        {"root_key": "ab" * 33},
        {"root_key": 7},
        {"created": "yesterday"},
        {"schema": ["../core"]},
        {"schema": [1]},
        {"schema": "core_0001"},
        {"config": None},
        {"tables": []},
        {"tables": {"Things": MEMBERS["tables"]["things"]}},
        {"tables": {"things; drop": MEMBERS["tables"]["things"]}},
        {"tables": {f"t{number}": MEMBERS["tables"]["things"] for number in range(257)}},
        {"more": 1},
    ],
    ids=str,
)
def test_another_header_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BackupDamaged):
        parse_header(json.dumps({**MEMBERS, **change}).encode())


@pytest.mark.parametrize(
    "shape",
    [
        None,
        {"columns": [], "rows": 0},
        {"columns": [["name", "text"]]},
        {"columns": [["name", "text"]], "rows": -1},
        {"columns": [["name", "text"]], "rows": True},
        {"columns": [["name", "text"]], "rows": 1, "more": 1},
        {"columns": [["name", "text"], ["name", "text"]], "rows": 1},
        {"columns": [["name", "blob"]], "rows": 1},
        {"columns": [["na me", "text"]], "rows": 1},
        {"columns": [["name"]], "rows": 1},
        {"columns": [[["name"], "text"]], "rows": 1},
        {"columns": [[f"c{number}", "text"] for number in range(65)], "rows": 1},
    ],
    ids=str,
)
def test_another_shape_of_a_table_is_refused(shape: object) -> None:
    with pytest.raises(BackupDamaged):
        parse_header(json.dumps(with_table(shape)).encode())


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(BackupDamaged, match="expected a backup of format 1, got format 2"):
        parse_header(json.dumps({**MEMBERS, "format": 2}).encode())


def test_a_member_twice_is_refused() -> None:
    doubled = encode_header(HEADER)[:-1] + b',"size":13}'
    with pytest.raises(BackupDamaged):
        parse_header(doubled)


@given(st.text(), st.integers(-(2**63) + 1, 2**63 - 1), st.binary())
def test_a_row_is_read_as_it_was_written(name: str, number: int, digest: bytes) -> None:
    line = encode_row("things", [name, number, digest])
    assert b"\n" not in line
    assert parse_row(line, TABLES) == ("things", {"name": name, "number": number, "digest": digest})


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\xff",
        b"null",
        b"[" * 100_000,
        b'["things"]',
        b'["others", ["a", 1, ""]]',
        b'["things", ["a", 1]]',
        b'["things", ["a", 1, "", ""]]',
        b'["things", [1, 1, ""]]',
        b'["things", ["a", "1", ""]]',
        b'["things", ["a", true, ""]]',
        b'["things", ["a", 1.0, ""]]',
        b'["things", ["a", 9223372036854775808, ""]]',
        b'["things", ["a", 1, "*"]]',
        b'["things", ["a", 1, "YQ"]]',
        b'["things", ["a", 1, null]]',
        b'[["things"], ["a", 1, ""]]',
    ],
)
def test_another_row_is_refused(line: bytes) -> None:
    with pytest.raises(BackupDamaged):
        parse_row(line, TABLES)


@given(st.binary(max_size=200))
def test_no_bytes_end_in_another_error(line: bytes) -> None:
    for parse in (parse_header, lambda data: parse_row(data, TABLES)):
        with pytest.raises(BackupDamaged):
            parse(line)
