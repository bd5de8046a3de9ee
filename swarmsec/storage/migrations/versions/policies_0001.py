"""Applied policy documents."""

import sqlalchemy as sa
from alembic import op

revision = "policies_0001"
down_revision = None
branch_labels = ("policies",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "policy_documents",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("document_sha256", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("applied", sa.BigInteger, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
    )
