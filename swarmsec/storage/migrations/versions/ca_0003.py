"""Root rotations."""

import sqlalchemy as sa
from alembic import op

revision = "ca_0003"
down_revision = "ca_0002"
branch_labels = None
depends_on = None


def _integer(name: str, *, key: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, primary_key=key, autoincrement=False, nullable=False)


def _text(name: str, *, key: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, primary_key=key, nullable=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def upgrade() -> None:
    op.create_table(
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
        _bytes("digest"),
    )
    op.create_table(
        "rotation_nodes",
        _integer("rotation", key=True),
        _text("node", key=True),
        _text("step"),
        _integer("since"),
        _bytes("digest"),
    )
    op.create_index("rotation_nodes_by_step", "rotation_nodes", ["rotation", "step"])
    op.create_table(
        "cross_certificates",
        _text("sha256", key=True),
        _integer("generation"),
        _text("serial"),
        _text("spki_sha256"),
        _bytes("der"),
        _integer("not_after"),
        _text("purpose"),
        _integer("revoked"),
        _bytes("digest"),
    )
    op.create_table(
        "retired_lists",
        _integer("generation", key=True),
        _integer("number"),
        _integer("next_update"),
        _bytes("der"),
        _bytes("digest"),
    )
    op.create_table("node_contacts", _text("node", key=True), _integer("last_seen"), _bytes("digest"))
