"""Nodes that were taken out of the Swarm for good."""

import sqlalchemy as sa
from alembic import op

revision = "swarm_0001"
down_revision = None
branch_labels = ("swarm",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "swarm_evictions",
        sa.Column("node_id", sa.Text, primary_key=True),
        sa.Column("hostname", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evicted", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )
