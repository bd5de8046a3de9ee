"""The tables of the trust service; the rules of ``storage.tables`` hold for them too.

``trust_roles`` says of each role which version is in force and who signs it, so that a publication need not read the
top-level targets, which name every repository. ``trust_files`` has the published bytes by file name.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text
from sqlalchemy.schema import SchemaItem

from swarmsec.storage.tables import metadata


def _table(name: str, *columns: SchemaItem) -> Table:
    return Table(name, metadata, *columns, Column("digest", LargeBinary, nullable=False), info={"logged": True})


trust_roles = _table(
    "trust_roles",
    Column("role", Text, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("oldest", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("threshold", BigInteger, nullable=False),
    Column("keyids", Text, nullable=False),
)

trust_keys = _table(
    "trust_keys",
    Column("keyid", Text, primary_key=True),
    Column("public", Text, nullable=False),
    Column("key_name", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
)

trust_files = _table(
    "trust_files",
    Column("name", Text, primary_key=True),
    Column("data", LargeBinary, nullable=False),
)

trust_changes = _table(
    "trust_changes",
    Column("change_id", Text, primary_key=True),
    Column("summary", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("created", BigInteger, nullable=False),
)

trust_spent_tokens = _table(
    "trust_spent_tokens",
    Column("token_id", Text, primary_key=True),
    Column("expires", BigInteger, nullable=False, index=True),
)
