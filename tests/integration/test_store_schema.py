"""The migrations make exactly the tables that the code reads, on both databases."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

import swarmsec.storage.schema as schema
from swarmsec.audit.chain import verify_chain
from swarmsec.storage.errors import SchemaUnknown
from swarmsec.storage.log import LogAppender, read_entries
from swarmsec.storage.schema import HEADS, KNOWN
from swarmsec.storage.store import Store
from swarmsec.storage.tables import metadata
from tests.integration.storecontract import Database, database, event, store

__all__ = ["database", "store"]


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    return ScriptDirectory.from_config(config)


def test_the_listed_heads_are_those_of_the_migration_files() -> None:
    assert set(scripts().get_heads()) == HEADS
    assert {revision.revision for revision in scripts().walk_revisions()} == KNOWN


def test_every_branch_has_a_label_of_its_own_and_depends_on_no_other() -> None:
    for revision in scripts().walk_revisions():
        assert revision.dependencies is None, revision
        assert {str(label) for label in revision.branch_labels} == {revision.revision.rpartition("_")[0]}


def test_a_migrated_store_is_at_the_heads_and_migrating_again_changes_nothing(store: Store) -> None:
    assert store.revisions() == HEADS
    store.migrate()
    assert store.revisions() == HEADS


def test_the_migrated_tables_are_those_that_the_code_reads(store: Store) -> None:
    with store.snapshot() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_an_older_log_is_moved_to_a_table_kept_by_number_with_every_entry_as_it_was(database: Database) -> None:
    older = database.open()
    with older.exclusive() as connection:
        schema.migrate(connection, sorted((HEADS - {"core_0002"}) | {"core_0001"}))
        appender = LogAppender(connection, older.stamps)
        for _ in range(3):
            appender.append(event(), ())
        appender.flush()
        before = list(read_entries(connection))
    older.migrate(event())
    assert older.revisions() == HEADS
    with older.snapshot() as connection:
        after = list(read_entries(connection))
        assert after[:3] == before
        assert verify_chain(after).head == older.head().last_hash
        if older.is_sqlite:
            numbers = connection.exec_driver_sql("SELECT rowid FROM audit_entries ORDER BY rowid")
            assert list(numbers.scalars()) == [0, 1, 2, 3]


@pytest.mark.parametrize("migrating", [False, True])
def test_a_schema_of_a_later_version_is_refused_and_left_alone(
    database: Database, store: Store, migrating: bool
) -> None:
    with store.exclusive() as connection:
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('secrets_0042')")
    later = database.open()
    with pytest.raises(SchemaUnknown, match="secrets_0042"):
        later.migrate() if migrating else schema.verify_known(later.revisions())
    assert later.revisions() == HEADS | {"secrets_0042"}
