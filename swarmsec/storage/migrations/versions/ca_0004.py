"""Why certificates were revoked; those revoked before say nothing of it."""

import sqlalchemy as sa
from alembic import op

revision = "ca_0004"
down_revision = "ca_0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "revocation_reasons",
        sa.Column("certificate", sa.BigInteger, primary_key=True, autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )
