"""The schema's version: recognised cheaply, made and moved forward by Alembic.

Each part of swarmsec has its own branch of migrations, named by its label. Branches do not depend on each other, for
Alembic no longer lists a revision as a head of the database once another depends on it. The heads are listed here so
that opening a home need not load Alembic; a test holds the list to the files.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from swarmsec.storage.errors import SchemaUnknown, StoreCorrupt

HEADS: Final = frozenset(
    {
        "audit_0001",
        "ca_0004",
        "core_0002",
        "hosts_0001",
        "nodes_0001",
        "policies_0001",
        "secrets_0003",
        "swarm_0001",
        "trust_0001",
    }
)
KNOWN: Final = HEADS | {"ca_0001", "ca_0002", "ca_0003", "core_0001", "secrets_0001", "secrets_0002"}
"""Every revision ever released; a home at one of these is moved forward."""
_MIGRATIONS: Final = Path(__file__).parent / "migrations"


def read_revisions(connection: Connection) -> frozenset[str]:
    """The revisions a database is at; empty for one without a schema."""
    if not inspect(connection).has_table("alembic_version"):
        return frozenset()
    return frozenset(str(row[0]) for row in connection.execute(text("SELECT version_num FROM alembic_version")))


def verify_known(revisions: frozenset[str]) -> None:
    """Refuse a schema of another program or of a later version.

    Raises:
        SchemaUnknown: a revision that this version has never heard of.
    """
    unknown = revisions - KNOWN
    if unknown:
        raise SchemaUnknown(
            f"expected a schema that this version knows, got {', '.join(sorted(unknown))}",
            hint="the home was written by a newer swarmsec: install that version",
        )


def verify_unwritten(connection: Connection, revisions: Set[str]) -> None:
    """Hold a database that seems unfinished to have no log: what makes a home writes all of it together.

    Args:
        connection: to the database.
        revisions: that it seems to be at.

    Raises:
        StoreCorrupt: something of it is there; what should say that it is finished is damaged.
    """
    if not inspect(connection).has_table("audit_entries"):
        return
    if not revisions or connection.execute(text("SELECT 1 FROM audit_entries LIMIT 1")).first():
        raise StoreCorrupt(
            "the store seems unfinished, but a log has been in it: it is damaged",
            hint="restore the newest backup with: swarmsec restore FILE",
        )


def migrate(connection: Connection, revisions: Iterable[str] = ("heads",)) -> None:
    """Bring the schema forward to revisions, by default the newest, inside the caller's transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    for revision in revisions:
        command.upgrade(config, revision)
