"""The log's entries by their number itself in SQLite, which kept them by an index beside the table before."""

import sqlalchemy as sa
from alembic import op

revision = "core_0002"
down_revision = "core_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    op.create_table(
        "audit_entries_by_number",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary, nullable=False),
    )
    op.execute("INSERT INTO audit_entries_by_number SELECT seq, data, leaf_hash FROM audit_entries ORDER BY seq")
    op.drop_table("audit_entries")
    op.rename_table("audit_entries_by_number", "audit_entries")
