"""Versions of secrets whose value was drawn by chance, so that another drawn by chance may take its place."""

import sqlalchemy as sa
from alembic import op

revision = "secrets_0003"
down_revision = "secrets_0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "generated_versions",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )
