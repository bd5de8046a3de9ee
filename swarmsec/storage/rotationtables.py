"""The tables of root rotations; as in ``tables``, times are Unix seconds and every row has its digest."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Table, Text
from sqlalchemy.schema import SchemaItem

from swarmsec.storage.tables import metadata


def _table(name: str, *columns: SchemaItem, logged: bool = True) -> Table:
    return Table(name, metadata, *columns, Column("digest", LargeBinary, nullable=False), info={"logged": logged})


def _integer(name: str, *, key: bool = False) -> SchemaItem:
    return Column(name, BigInteger, primary_key=True, autoincrement=False) if key else _required(name, BigInteger)


def _text(name: str, *, key: bool = False) -> SchemaItem:
    return Column(name, Text, primary_key=True, autoincrement=False) if key else _required(name, Text)


def _required(name: str, kind: type[BigInteger] | type[Text] | type[LargeBinary]) -> SchemaItem:
    return Column(name, kind, nullable=False)


rotations = _table(
    "rotations",
    _integer("id", key=True),
    _text("phase"),
    _integer("old_generation"),
    _integer("new_generation"),
    _text("old_root"),
    _text("new_root"),
    _text("cross_signed"),
    _integer("started"),
    _integer("ended"),
)

rotation_nodes = _table(
    "rotation_nodes",
    _integer("rotation", key=True),
    _text("node", key=True),
    _text("step"),
    _integer("since"),
)
Index("rotation_nodes_by_step", rotation_nodes.c.rotation, rotation_nodes.c.step)

cross_certificates = _table(
    "cross_certificates",
    _text("sha256", key=True),
    _integer("generation"),
    _text("serial"),
    _text("spki_sha256"),
    _required("der", LargeBinary),
    _integer("not_after"),
    _text("purpose"),
    _integer("revoked"),
)

retired_lists = _table(
    "retired_lists",
    _integer("generation", key=True),
    _integer("number"),
    _integer("next_update"),
    _required("der", LargeBinary),
)

# When a node last called, for whoever waits for it. It decides nothing, so a change needs no entry.
node_contacts = _table("node_contacts", _text("node", key=True), _integer("last_seen"), logged=False)
