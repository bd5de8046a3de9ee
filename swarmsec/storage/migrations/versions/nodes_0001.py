"""Requests to join that wait for a person."""

import sqlalchemy as sa
from alembic import op

revision = "nodes_0001"
down_revision = None
branch_labels = ("nodes",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "held_nodes",
        sa.Column("request_id", sa.Text, primary_key=True),
        sa.Column("node_id", sa.Text, nullable=False, index=True),
        sa.Column("spki_sha256", sa.LargeBinary, nullable=False, index=True),
        sa.Column("token_id", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("requested", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("decided", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )
