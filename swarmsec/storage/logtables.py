"""The tables beside the log's entries.

Checkpoints and tile hashes are made from the entries and can be made again; what pruned entries said of the rows is
pinned by the entry that records the pruning. So none of these needs an entry of its own; a witness does.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text

from swarmsec.storage.tables import metadata


def _digest() -> Column[bytes]:
    return Column("digest", LargeBinary, nullable=False)


audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("origin", Text, primary_key=True),
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", LargeBinary, nullable=False),
    Column("created", BigInteger, nullable=False),
    _digest(),
    info={"logged": False},
)

audit_tiles = Table(
    "audit_tiles",
    metadata,
    Column("level", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    _digest(),
    info={"logged": False},
)
"""Hash ``number`` of level ``level`` (from 1): the Merkle tree hash of that full tile of the level below."""

audit_witnesses = Table(
    "audit_witnesses",
    metadata,
    Column("name", Text, primary_key=True),
    Column("key", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("added", BigInteger, nullable=False),
    _digest(),
    info={"logged": True},
)

audit_pruned_rows = Table(
    "audit_pruned_rows",
    metadata,
    Column("table_name", Text, primary_key=True),
    Column("row_key", Text, primary_key=True),
    Column("row_digest", Text, nullable=False),
    _digest(),
    info={"logged": False},
)
