"""The log's checkpoints, the hashes of its tiles, its witnesses, and what pruned entries said of the rows."""

import sqlalchemy as sa
from alembic import op

revision = "audit_0001"
down_revision = None
branch_labels = ("audit",)
depends_on = None


def _digest() -> sa.Column[bytes]:
    return sa.Column("digest", sa.LargeBinary, nullable=False)


def upgrade() -> None:
    op.create_table(
        "audit_checkpoints",
        sa.Column("origin", sa.Text, primary_key=True),
        sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("note", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        _digest(),
    )
    op.create_table(
        "audit_tiles",
        sa.Column("level", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, nullable=False),
        _digest(),
    )
    op.create_table(
        "audit_witnesses",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("added", sa.BigInteger, nullable=False),
        _digest(),
    )
    op.create_table(
        "audit_pruned_rows",
        sa.Column("table_name", sa.Text, primary_key=True),
        sa.Column("row_key", sa.Text, primary_key=True),
        sa.Column("row_digest", sa.Text, nullable=False),
        _digest(),
    )
