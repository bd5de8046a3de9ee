"""What lists say of many secrets, and what it costs the store."""

from __future__ import annotations

import os

import pytest
from sqlalchemy import event

from policies.loading import load_documents
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.names import SecretName
from swarmsec.services.apply_policy import apply_policies
from swarmsec.services.keep_secrets import NewSecret, create_secret
from swarmsec.services.ports import Transaction
from swarmsec.services.secret_ages import SecretAge, age_of, describe_age, secret_ages
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk

MANY = 100_000 if os.environ.get("SWARMSEC_SOAK") else 200
BATCH = 100
RULES = b"""
apiVersion: swarmsec.dev/v1
kind: RotationPolicy
metadata: {name: all}
spec:
  rules:
    - {secrets: ["drawn/*"], every: 30d}
    - {secrets: ["given/*"], every: 30d, maxAge: 60d}
"""


def fill(desk: Desk, first: int, last: int) -> None:
    def unit(transaction: Transaction) -> None:
        for number in range(first, last):
            part = "drawn" if number % 2 else "given"
            new = NewSecret(
                name=SecretName.parse(f"{part}/{number}"),
                value=SecretBytes(b"x"),
                labels={},
                generated=part == "drawn",
            )
            create_secret(transaction, desk.keys, new, OPERATOR)

    desk.home.store.write(unit)


def questions(desk: Desk) -> tuple[int, int]:
    """How many secrets are listed, and how many statements that takes."""
    asked: list[str] = []
    engine = desk.home.store.engine
    note = lambda connection, cursor, statement, *rest: asked.append(statement)  # noqa: E731
    event.listen(engine, "before_cursor_execute", note)
    try:
        listed = desk.home.store.read(secret_ages)
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return len(listed), len(asked)


def test_many_secrets_cost_as_many_questions_as_few(desk: Desk) -> None:
    fill(desk, 0, 2)
    few, asked = questions(desk)
    for first in range(2, MANY, BATCH):
        fill(desk, first, min(first + BATCH, MANY))
    many, asked_then = questions(desk)
    assert (few, many) == (2, MANY)
    assert asked_then == asked > 0


@pytest.mark.parametrize(("part", "is_scheduled"), [("drawn", True), ("given", False)])
def test_a_list_says_what_a_single_look_says(desk: Desk, part: str, is_scheduled: bool) -> None:
    documents = load_documents(RULES, source="test")
    desk.home.store.write(lambda transaction: apply_policies(transaction, documents, OPERATOR))
    fill(desk, 0, 2)

    def look(transaction: Transaction) -> tuple[SecretAge, SecretAge]:
        (listed,) = secret_ages(transaction, f"{part}/")
        return listed, age_of(transaction, listed.kept)

    listed, single = desk.home.store.read(look)
    assert listed == single
    described = describe_age(listed)
    assert (described["generated"], listed.is_scheduled, listed.is_overdue) == (is_scheduled, is_scheduled, False)
    rotation = described["rotation"]
    assert isinstance(rotation, dict)
    assert (rotation["due_at"] is not None) == is_scheduled
