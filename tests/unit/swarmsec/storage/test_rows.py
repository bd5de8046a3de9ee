"""Digests of rows: what they cover, what they refuse, and the key that a log entry names a row by."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from sqlalchemy import BigInteger, Column, LargeBinary, MetaData, Table, Text

from swarmsec.errors import UsageProblem
from swarmsec.storage.errors import StoreCorrupt
from swarmsec.storage.rows import digest_of, key_text, shape_of
from swarmsec.storage.tables import audit_entries, metadata

METADATA = MetaData()
NUMBERS = Table(
    "numbers",
    METADATA,
    Column("id", BigInteger, primary_key=True),
    Column("digest", LargeBinary),
    info={"logged": True},
)
WORDS = Table(
    "words",
    METADATA,
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("size", BigInteger),
    Column("body", LargeBinary),
    Column("digest", LargeBinary),
    info={"logged": False},
)
WORD = {"kind": "a/b", "name": "50%", "size": 7, "body": b"\x00"}


def test_a_digest_is_the_hash_of_the_table_s_name_and_the_columns_in_their_order() -> None:
    assert digest_of(NUMBERS, {"id": 3}) == hashlib.sha256(msgspec.msgpack.encode(["numbers", 3])).digest()
    content = ["words", "a/b", "50%", 7, b"\x00"]
    assert digest_of(WORDS, WORD) == hashlib.sha256(msgspec.msgpack.encode(content)).digest()


@pytest.mark.parametrize("change", [{"kind": "a\0"}, {"name": "\0"}, {"name": "\ud800"}])
def test_texts_that_not_every_database_keeps_are_refused(change: dict[str, str]) -> None:
    with pytest.raises(UsageProblem, match="expected text without NUL"):
        digest_of(WORDS, WORD | change)


@pytest.mark.parametrize("change", [{"size": 1.5j}, {"size": 2**64}, {"name": 7}, {"kind": None}])
def test_values_of_no_kind_that_we_write_are_a_corrupt_store(change: dict[str, object]) -> None:
    with pytest.raises(StoreCorrupt, match="expected integers, texts and bytes"):
        digest_of(WORDS, WORD | change)


def test_keys_are_named_part_by_part() -> None:
    assert key_text(NUMBERS, {"id": 3}) == "3"
    assert key_text(WORDS, WORD) == "a%2Fb/50%25"


def test_every_table_but_the_log_ends_with_its_digest() -> None:
    for table in metadata.tables.values():
        if table is not audit_entries:
            assert [column.name for column in table.columns] == [*shape_of(table).columns, "digest"]
