"""What lies inside a backup's encryption: lines of JSON, format 1 (docs/backup.md).

The first line is the header: what the store was, its root key, its settings file, and every table with its columns
and how many rows follow. Then one line for each row, ``[table, [value, …]]``, bytes as base64. The last line is the
MAC over all before it; ``keys.backupfile`` writes and verifies that one. Columns carry their kind, so that an archive
can be read without the program that wrote it.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from swarmsec.errors import IntegrityFailure
from swarmsec.secretbytes import SecretBytes

FORMAT: Final = 1
KIND: Final = "swarmsec-backup"
MAX_TABLES: Final = 256
MAX_COLUMNS: Final = 64
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_REVISION: Final = re.compile(r"[a-z]+_[0-9]{4}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_MAX_INTEGER: Final = 2**63
Value = int | str | bytes


class BackupDamaged(IntegrityFailure):
    """A backup is not what a swarmsec of a known version wrote."""

    def __init__(self, what: str) -> None:
        super().__init__(what, hint="use another copy of this backup, or another backup")


class ColumnKind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    INTEGER = "integer"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableShape:
    """A table's columns in the order of its rows' values, and how many rows there are."""

    columns: Mapping[str, ColumnKind]
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a backup says about itself."""

    store_id: str
    created: str
    """RFC 3339."""
    request_id: str
    """Under which the log of the store has the making of this backup."""
    size: int
    """Entries in the log."""
    leaf_hash: bytes
    """Of the newest entry."""
    schema: frozenset[str]
    """The revisions that the tables are at."""
    root_key: SecretBytes
    config: str
    """The text of ``swarmsec.toml``."""
    tables: Mapping[str, TableShape]

    @property
    def rows(self) -> int:
        """Rows of all tables together."""
        return sum(shape.rows for shape in self.tables.values())


def encode_header(header: Header) -> bytes:
    """The header's line, without its end."""
    tables = {
        name: {"columns": [[column, kind.value] for column, kind in shape.columns.items()], "rows": shape.rows}
        for name, shape in header.tables.items()
    }
    members = {
        "format": FORMAT,
        "kind": KIND,
        "store_id": header.store_id,
        "created": header.created,
        "request_id": header.request_id,
        "size": header.size,
        "leaf_hash": header.leaf_hash.hex(),
        "schema": sorted(header.schema),
        "root_key": header.root_key.reveal().hex(),
        "config": header.config,
        "tables": tables,
    }
    return json.dumps(members, separators=(",", ":")).encode()


def encode_row(table: str, values: Sequence[Value]) -> bytes:
    """A row's line, without its end."""
    encoded = [base64.b64encode(value).decode() if isinstance(value, bytes) else value for value in values]
    return json.dumps([table, encoded], separators=(",", ":")).encode()


def parse_header(line: bytes) -> Header:
    """Read a header strictly.

    Raises:
        BackupDamaged: not a header, or of a format that this version does not know.
    """
    members = _load(line)
    if not isinstance(members, dict) or members.get("kind") != KIND:
        raise BackupDamaged("expected a swarmsec backup, got something else in the age file")
    if members.get("format") != FORMAT or isinstance(members["format"], bool):
        raise BackupDamaged(f"expected a backup of format {FORMAT}, got format {members.get('format')!r:.40}")
    match members:
        case {
            "store_id": str(store_id),
            "created": str(created),
            "request_id": str(request_id),
            "size": int(size),
            "leaf_hash": str(leaf_hash),
            "schema": [*schema],
            "root_key": str(root_key),
            "config": str(config),
            "tables": dict(tables),
        } if len(members) == 11 and _HASH.fullmatch(leaf_hash) and _HASH.fullmatch(root_key) and 0 < size < 2**53:
            is_whole = not isinstance(size, bool) and len(tables) <= MAX_TABLES
            if is_whole and _TIME.fullmatch(created) and all(map(_is_revision, schema)):
                return Header(
                    store_id=store_id,
                    created=created,
                    request_id=request_id,
                    size=size,
                    leaf_hash=bytes.fromhex(leaf_hash),
                    schema=frozenset(schema),
                    root_key=SecretBytes(bytes.fromhex(root_key)),
                    config=config,
                    tables={_name(name): _shape(shape) for name, shape in tables.items()},
                )
    raise BackupDamaged("expected a header of the backup with its known members")


def parse_row(line: bytes, tables: Mapping[str, TableShape]) -> tuple[str, dict[str, Value]]:
    """Read a row strictly.

    Args:
        line: without its end.
        tables: from the header.

    Raises:
        BackupDamaged: not a row of one of these tables.
    """
    match _load(line):
        case [str(table), [*values]] if table in tables and len(values) == len(tables[table].columns):
            columns = tables[table].columns.items()
            return table, {name: _value(value, kind) for (name, kind), value in zip(columns, values, strict=True)}
    raise BackupDamaged("expected a row of a table that the backup's header names")


def _value(value: object, kind: ColumnKind) -> Value:
    match kind, value:
        case ColumnKind.TEXT, str():
            return value
        case ColumnKind.INTEGER, int() if not isinstance(value, bool) and abs(value) < _MAX_INTEGER:
            return value
        case ColumnKind.BYTES, str():
            try:
                return base64.b64decode(value, validate=True)
            except ValueError:  # binascii.Error, or a plain one where the text is not ASCII
                pass
    raise BackupDamaged(f"expected {kind.value} in a row of the backup")


def _shape(value: object) -> TableShape:
    match value:
        case {"columns": [*columns], "rows": int(rows), **rest} if (
            not rest and rows >= 0 and not isinstance(rows, bool)
        ):
            named = dict(_column(column) for column in columns)
            if 0 < len(named) == len(columns) <= MAX_COLUMNS:
                return TableShape(columns=named, rows=rows)
    raise BackupDamaged("expected the columns of a table in the backup's header")


def _column(value: object) -> tuple[str, ColumnKind]:
    match value:
        case [str(name), "text" | "integer" | "bytes" as kind]:
            return _name(name), ColumnKind(kind)
    raise BackupDamaged("expected the name and kind of a column in the backup's header")


def _name(value: object) -> str:
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise BackupDamaged("expected the name of a table or column in the backup's header")


def _is_revision(value: object) -> bool:
    return isinstance(value, str) and _REVISION.fullmatch(value) is not None


def _load(line: bytes) -> Any:
    try:
        return json.loads(line, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise BackupDamaged("expected a line of JSON in the backup") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member twice")
    return members
