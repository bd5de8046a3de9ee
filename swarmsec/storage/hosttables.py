"""The tables of what agents say of their hosts; the rules of ``storage.tables`` hold for them too."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text

from swarmsec.storage.tables import metadata

host_reports = Table(
    "host_reports",
    metadata,
    Column("node", Text, primary_key=True),
    Column("facts", LargeBinary, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    info={"logged": True},
)
# When an agent last said the same again. A report that changed has an entry; one that did not needs none.
host_contacts = Table(
    "host_contacts",
    metadata,
    Column("node", Text, primary_key=True),
    Column("last_seen", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    info={"logged": False},
)
