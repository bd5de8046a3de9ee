"""What agents say of their hosts."""

import sqlalchemy as sa
from alembic import op

revision = "hosts_0001"
down_revision = None
branch_labels = ("hosts",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "host_reports",
        sa.Column("node", sa.Text, primary_key=True),
        sa.Column("facts", sa.LargeBinary, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "host_contacts",
        sa.Column("node", sa.Text, primary_key=True),
        sa.Column("last_seen", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )
