"""Secrets and their versions over tables; the values are sealed records (``keyrecords``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Table, and_, exists, false, or_

from swarmsec.secretstore.versions import NONE
from swarmsec.services.secrets.delivery_records import Attachment
from swarmsec.services.secrets.secret_records import SecretRecord, SecretVersionRecord
from swarmsec.services.secrets.secret_rotation_records import Rotation, RotationStage, format_services, load_services
from swarmsec.storage import tables
from swarmsec.storage.rows import Row, select_rows

if TYPE_CHECKING:
    from swarmsec.storage.transaction import Transaction

_AFTER_NAMES: Final = "\x7f"
"""Greater than every character of a secret's name."""


class Secrets:
    """Secrets by name."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def get(self, name: str) -> SecretRecord | None:
        """The secret, or None."""
        return self._transaction.record_once(tables.secrets, _secret, name=name)

    def put(self, record: SecretRecord) -> None:
        """Write a secret over the one of the same name."""
        row = self._transaction.find(tables.secrets, name=record.name)
        if row is None:
            self._transaction.insert(tables.secrets, **asdict(record))
        else:
            self._transaction.update(tables.secrets, row, **asdict(record))

    def page(self, prefix: str, *, after: str, limit: int, made_by: int | None = None) -> Sequence[SecretRecord]:
        """The first secrets by name that come after ``after`` and whose names begin with ``prefix``.

        Args:
            prefix: of names; empty for all.
            after: a name, which need not be there; empty for the first page.
            limit: how many at most.
            made_by: only those whose current value was made by then, Unix seconds; None for all.
        """
        conditions = [*self._beginning(tables.secrets, prefix), tables.secrets.c.name > after]
        if made_by is not None:
            conditions.append(_value_made_by(made_by))
        # Not through the transaction's ``select``: the condition looks at the versions, too, so what was written to
        # them is to be there.
        rows = select_rows(self._transaction.connection, tables.secrets, *conditions, limit=limit)
        return [_secret(row) for row in rows]

    def versions(self, name: str) -> Sequence[SecretVersionRecord]:
        """The versions of a secret, oldest first."""
        return self._transaction.records_once(tables.secret_versions, _version, name=name)

    def versions_between(self, prefix: str, first: str, last: str) -> Sequence[SecretVersionRecord]:
        """The versions of secrets of a page: names from ``first`` to ``last`` that begin with ``prefix``.

        By name and oldest first.
        """
        rows = self._between(tables.secret_versions, prefix, first, last)
        return [_version(row) for row in rows]

    def put_version(self, record: SecretVersionRecord) -> None:
        """Write a version over the one of the same number."""
        row = self._transaction.find(tables.secret_versions, name=record.name, version=record.version)
        if row is None:
            self._transaction.insert(tables.secret_versions, **asdict(record))
        elif {field: row[field] for field in SecretVersionRecord.__slots__} != asdict(record):
            self._transaction.update(tables.secret_versions, row, **asdict(record))

    def note_generated(self, name: str, version: int) -> None:
        """Remember that a version's value was drawn by chance."""
        self._transaction.insert(tables.generated_versions, name=name, version=version)

    def is_generated(self, name: str, version: int) -> bool:
        """Whether a version's value was drawn by chance."""
        return self._transaction.find(tables.generated_versions, name=name, version=version) is not None

    def generated_between(self, prefix: str, first: str, last: str) -> Set[tuple[str, int]]:
        """Name and number of the versions among ``versions_between`` that were drawn by chance."""
        rows = self._between(tables.generated_versions, prefix, first, last)
        return {(str(row["name"]), int(row["version"])) for row in rows}

    def forget_generated(self, name: str, version: int) -> None:
        """Forget where a version's value came from."""
        row = self._transaction.find(tables.generated_versions, name=name, version=version)
        if row is not None:
            self._transaction.delete(tables.generated_versions, row)

    def _between(self, table: Table, prefix: str, first: str, last: str) -> Iterator[Row]:
        name = table.c.name
        return self._transaction.select(table, *self._beginning(table, prefix), name >= first, name <= last)

    def _beginning(self, table: Table, prefix: str) -> Sequence[ColumnElement[bool]]:
        if not prefix:
            return ()
        return (_begins_with(table.c.name, prefix, self._transaction.connection.dialect.name),)


class Attachments:
    """Services that secrets are attached to."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def get(self, name: str, service_id: str) -> Attachment | None:
        """The attachment of a secret to a service, or None."""
        return self._transaction.record_once(tables.secret_attachments, _attachment, name=name, service_id=service_id)

    def put(self, record: Attachment) -> None:
        """Write an attachment over the one of the same secret and service."""
        table = tables.secret_attachments
        row = self._transaction.find(table, name=record.name, service_id=record.service_id)
        if row is None:
            self._transaction.insert(table, **asdict(record))
        else:
            self._transaction.update(table, row, **asdict(record))

    def remove(self, name: str, service_id: str) -> None:
        """Remove an attachment; nothing happens where there is none."""
        row = self._transaction.find(tables.secret_attachments, name=name, service_id=service_id)
        if row is not None:
            self._transaction.delete(tables.secret_attachments, row)

    def of_secret(self, name: str) -> Sequence[Attachment]:
        """The services that a secret is attached to."""
        rows = self._transaction.find_all(tables.secret_attachments, name=name)
        return [_attachment(row) for row in rows]

    def all(self) -> Sequence[Attachment]:
        """Every attachment."""
        rows = self._transaction.select(tables.secret_attachments)
        return [_attachment(row) for row in rows]


class Rotations:
    """Rotations of secrets under way."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def get(self, name: str) -> Rotation | None:
        """The rotation of a secret, or None."""
        row = self._transaction.find(tables.secret_rotations, name=name)
        return None if row is None else _rotation(row)

    def put(self, record: Rotation) -> None:
        """Write a rotation over the one of the same secret."""
        values = {field: getattr(record, field) for field in Rotation.__slots__}
        values |= {"stage": record.stage.value, "services": format_services(record.services)}
        row = self._transaction.find(tables.secret_rotations, name=record.name)
        if row is None:
            self._transaction.insert(tables.secret_rotations, **values)
        else:
            self._transaction.update(tables.secret_rotations, row, **values)

    def remove(self, name: str) -> None:
        """Remove a rotation; nothing happens where there is none."""
        row = self._transaction.find(tables.secret_rotations, name=name)
        if row is not None:
            self._transaction.delete(tables.secret_rotations, row)

    def all(self) -> Sequence[Rotation]:
        """Every rotation under way, by the name of its secret."""
        return [_rotation(row) for row in self._transaction.select(tables.secret_rotations)]


def _value_made_by(moment: int) -> ColumnElement[bool]:
    """As ``KeptSecret.value_created`` says: when the current version was made, or without one the last change."""
    kept, version = tables.secrets.c, tables.secret_versions.c
    is_current = and_(version.name == kept.name, version.version == kept.current)
    made = exists().where(is_current, version.created <= moment)
    return or_(made, and_(kept.current == NONE, kept.changed <= moment))


def _begins_with(name: ColumnElement[str], prefix: str, dialect: str) -> ColumnElement[bool]:
    # Names are ASCII; what a database could not even read (half a character of a command line) begins none.
    if not prefix.isascii() or "\0" in prefix:
        return false()
    # SQLite compares bytes, so a range is exact and the key's index serves it, where its LIKE knows no case. PostgreSQL
    # sorts as the database's locale says, so there LIKE is exact and a range is not.
    if dialect == "sqlite":
        return and_(name >= prefix, name < prefix + _AFTER_NAMES)
    return name.startswith(prefix, autoescape=True)


def _secret(row: Row) -> SecretRecord:
    return SecretRecord(**{field: row[field] for field in SecretRecord.__slots__})


def _version(row: Row) -> SecretVersionRecord:
    return SecretVersionRecord(**{field: row[field] for field in SecretVersionRecord.__slots__})


def _attachment(row: Row) -> Attachment:
    return Attachment(**{field: row[field] for field in Attachment.__slots__})


def _rotation(row: Row) -> Rotation:
    values: dict[str, Any] = {field: row[field] for field in Rotation.__slots__}
    values |= {"stage": RotationStage(row["stage"]), "services": load_services(row["services"])}
    return Rotation(**values)
