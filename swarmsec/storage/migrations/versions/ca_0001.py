"""The certificate authority's tables."""

import sqlalchemy as sa
from alembic import op

revision = "ca_0001"
down_revision = None
branch_labels = ("ca",)
depends_on = None


def _digest() -> sa.Column[bytes]:
    return sa.Column("digest", sa.LargeBinary, nullable=False)


def upgrade() -> None:
    op.create_table(
        "authorities",
        sa.Column("generation", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("certificate", sa.LargeBinary, nullable=False),
        sa.Column("key_name", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        _digest(),
    )
    op.create_table(
        "certificates",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("serial", sa.Text, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("subject_id", sa.Text, nullable=False, index=True),
        sa.Column("cluster_id", sa.Text, nullable=False),
        sa.Column("spki_sha256", sa.LargeBinary, nullable=False, index=True),
        sa.Column("sha256", sa.LargeBinary, nullable=False, unique=True),
        sa.Column("der", sa.LargeBinary, nullable=False),
        sa.Column("not_before", sa.BigInteger, nullable=False),
        sa.Column("not_after", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("revoked", sa.BigInteger, nullable=False),
        _digest(),
        sa.UniqueConstraint("generation", "serial"),
    )
    op.create_table(
        "join_tokens",
        sa.Column("token_id", sa.Text, primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        _digest(),
    )
    op.create_table(
        "swarm_roots",
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("pem", sa.LargeBinary, nullable=False),
        sa.Column("cluster_id", sa.Text, nullable=False),
        sa.Column("added", sa.BigInteger, nullable=False),
        _digest(),
    )
    op.create_table(
        "swarm_root_nodes",
        sa.Column("root_sha256", sa.Text, primary_key=True),
        sa.Column("node_id", sa.Text, primary_key=True),
        sa.Column("first_seen", sa.BigInteger, nullable=False),
        _digest(),
    )
