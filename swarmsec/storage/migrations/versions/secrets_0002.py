"""Rotations of secrets under way."""

import sqlalchemy as sa
from alembic import op

revision = "secrets_0002"
down_revision = "secrets_0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "secret_rotations",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("started", sa.BigInteger, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("former", sa.BigInteger, nullable=False),
        sa.Column("former_previous", sa.BigInteger, nullable=False),
        sa.Column("keep", sa.BigInteger, nullable=False),
        sa.Column("services", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )
