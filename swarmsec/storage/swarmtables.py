"""The tables of an adopted Swarm; the rules of ``storage.tables`` hold for them too."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary, Table, Text

from swarmsec.storage.tables import metadata

swarm_evictions = Table(
    "swarm_evictions",
    metadata,
    Column("node_id", Text, primary_key=True),
    Column("hostname", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evicted", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    info={"logged": True},
)
