"""The tables. Times are Unix seconds, hashes and certificates raw bytes, documents JSON text.

Every table but ``audit_entries`` carries ``digest``: SHA-256 over the row's other columns (``rows.digest_of``). It
is verified whenever a row is read, and the log entry of the transaction that wrote the row repeats it. ``logged``
in ``Table.info`` says whether a change needs such an entry; only leases and what serves them go without.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text, UniqueConstraint
from sqlalchemy.schema import SchemaItem

metadata = MetaData()


def _state_table(name: str, *columns: SchemaItem) -> Table:
    return Table(name, metadata, *columns, Column("digest", LargeBinary, nullable=False), info={"logged": True})


def _key(name: str, kind: type[BigInteger] | type[Text]) -> SchemaItem:
    return Column(name, kind, primary_key=True, autoincrement=False)


audit_entries = Table(
    "audit_entries",
    metadata,
    # SQLite keeps a table by its INTEGER key itself, and by any other in an index beside it: one page more to write.
    Column("seq", BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
    Column("leaf_hash", LargeBinary, nullable=False),
)

settings = _state_table("settings", _key("name", Text), Column("value", Text, nullable=False))

seals = _state_table(
    "seals",
    _key("seal_id", Text),
    Column("kind", Text, nullable=False),
    Column("params", Text, nullable=False),
    Column("wrapped_root", LargeBinary, nullable=False),
    Column("created", BigInteger, nullable=False),
)

key_terms = _state_table(
    "key_terms",
    _key("term", BigInteger),
    Column("state", Text, nullable=False),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created", BigInteger, nullable=False),
)

sealed_records = _state_table(
    "sealed_records",
    _key("name", Text),
    Column("version", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("term", BigInteger, nullable=False, index=True),
    Column("wrapped_key", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

intents = _state_table(
    "intents",
    _key("request_id", Text),
    Column("action", Text, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("data", Text, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    info={"logged": False},
)

authorities = _state_table(
    "authorities",
    _key("generation", BigInteger),
    Column("certificate", LargeBinary, nullable=False),
    Column("key_name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
)

certificates = _state_table(
    "certificates",
    _key("id", BigInteger),
    Column("serial", Text, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("profile", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("subject_id", Text, nullable=False, index=True),
    Column("cluster_id", Text, nullable=False),
    Column("spki_sha256", LargeBinary, nullable=False, index=True),
    Column("sha256", LargeBinary, nullable=False, unique=True),
    Column("der", LargeBinary, nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("not_after", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("revoked", BigInteger, nullable=False),
    UniqueConstraint("generation", "serial"),
)

# Beside the certificates, whose rows have no place for it; a revocation without a row here says no reason.
revocation_reasons = _state_table(
    "revocation_reasons",
    _key("certificate", BigInteger),
    Column("reason", Text, nullable=False),
)

join_tokens = _state_table(
    "join_tokens",
    _key("token_id", Text),
    Column("role", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
)

limited_tokens = _state_table(
    "limited_tokens",
    _key("token_id", Text),
    Column("fingerprint", LargeBinary, nullable=False, unique=True),
    Column("role", Text, nullable=False),
    Column("node_name", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("uses", BigInteger, nullable=False),
    Column("uses_left", BigInteger, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("redeemed_by", LargeBinary, nullable=False),
)

held_nodes = _state_table(
    "held_nodes",
    _key("request_id", Text),
    Column("node_id", Text, nullable=False, index=True),
    Column("spki_sha256", LargeBinary, nullable=False, index=True),
    Column("token_id", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("requested", BigInteger, nullable=False),
    Column("expires", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("decided", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)

swarm_roots = _state_table(
    "swarm_roots",
    _key("sha256", Text),
    Column("pem", LargeBinary, nullable=False),
    Column("cluster_id", Text, nullable=False),
    Column("added", BigInteger, nullable=False),
)

swarm_root_nodes = _state_table(
    "swarm_root_nodes",
    _key("root_sha256", Text),
    _key("node_id", Text),
    Column("first_seen", BigInteger, nullable=False),
)

policy_documents = _state_table(
    "policy_documents",
    _key("kind", Text),
    _key("name", Text),
    _key("version", BigInteger),
    Column("document_sha256", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("applied", BigInteger, nullable=False),
)

secrets = _state_table(
    "secrets",
    _key("name", Text),
    Column("created", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Column("current", BigInteger, nullable=False),
    Column("previous", BigInteger, nullable=False),
    Column("max_versions", BigInteger, nullable=False),
    Column("labels", Text, nullable=False),
)

secret_versions = _state_table(
    "secret_versions",
    _key("name", Text),
    _key("version", BigInteger),
    Column("created", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
)

generated_versions = _state_table(
    "generated_versions",
    _key("name", Text),
    _key("version", BigInteger),
)

secret_attachments = _state_table(
    "secret_attachments",
    _key("name", Text),
    _key("service_id", Text),
    Column("service_name", Text, nullable=False),
    Column("docker_secret", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
)

secret_rotations = _state_table(
    "secret_rotations",
    _key("name", Text),
    Column("request_id", Text, nullable=False),
    Column("started", BigInteger, nullable=False),
    Column("stage", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("former", BigInteger, nullable=False),
    Column("former_previous", BigInteger, nullable=False),
    Column("keep", BigInteger, nullable=False),
    Column("services", Text, nullable=False),
)
