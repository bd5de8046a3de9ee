"""What lists say of many secrets, and what it costs the store."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import event

from policies.loading import load_documents
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.names import SecretName
from swarmsec.services.access.apply_policy import apply_policies
from swarmsec.services.ports import Transaction
from swarmsec.services.secrets import secret_ages as secret_ages_module
from swarmsec.services.secrets.keep_secrets import NewSecret, create_secret, put_secret
from swarmsec.services.secrets.secret_ages import (
    SecretAge,
    age_of,
    describe_age,
    old_secrets,
    page_of_ages,
    secret_ages,
)
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk

QUESTIONS_OF_A_PAGE = 3
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
        listed = desk.home.store.read(lambda transaction: sum(1 for _ in secret_ages(transaction)))
    finally:
        event.remove(engine, "before_cursor_execute", note)
    return listed, len(asked)


def test_the_secrets_of_a_page_cost_as_many_questions_as_one(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(desk, 0, 2)
    few, asked = questions(desk)
    fill(desk, 2, 100)
    many, asked_then = questions(desk)
    assert (few, many) == (2, 100)
    assert asked_then == asked > 0
    monkeypatch.setattr(secret_ages_module, "PAGE", 10)
    assert questions(desk) == (100, asked + 9 * QUESTIONS_OF_A_PAGE)


def test_pages_have_every_secret_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_ages_module, "PAGE", 3)
    fill(desk, 0, 10)
    found: list[str] = []
    while page := desk.home.store.read(partial(page_of_ages, prefix="drawn/", after=found[-1] if found else "")):
        found += [item.kept.record.name for item in page]
    assert found == [f"drawn/{number}" for number in (1, 3, 5, 7, 9)]


def test_nothing_is_old_without_a_rule_and_all_are_whose_value_is(desk: Desk) -> None:
    fill(desk, 0, 4)

    def old() -> list[str]:
        return desk.home.store.read(lambda transaction: [item.kept.record.name for item in old_secrets(transaction)])

    assert old() == []
    documents = load_documents(RULES, source="test")
    desk.home.store.write(lambda transaction: apply_policies(transaction, documents, OPERATOR))
    assert old() == []
    desk.move_clock(timedelta(days=30))
    assert old() == ["drawn/1", "drawn/3", "given/0", "given/2"]
    desk.home.store.write(
        lambda transaction: put_secret(transaction, desk.keys, SecretName.parse("drawn/1"), SecretBytes(b"y"), OPERATOR)
    )
    assert old() == ["drawn/3", "given/0", "given/2"]
    page = desk.home.store.read(partial(page_of_ages, prefix="drawn/", after="", old_ones=True))
    assert [item.kept.record.name for item in page] == ["drawn/3"]


@pytest.mark.parametrize(("part", "is_scheduled"), [("drawn", True), ("given", False)])
def test_a_list_says_what_a_single_look_says(desk: Desk, part: str, is_scheduled: bool) -> None:
    documents = load_documents(RULES, source="test")
    desk.home.store.write(lambda transaction: apply_policies(transaction, documents, OPERATOR))
    fill(desk, 0, 2)

    def look(transaction: Transaction) -> tuple[SecretAge, SecretAge]:
        (listed,) = page_of_ages(transaction, f"{part}/", "")
        return listed, age_of(transaction, listed.kept)

    listed, single = desk.home.store.read(look)
    assert listed == single
    described = describe_age(listed)
    assert (described["generated"], listed.is_scheduled, listed.is_overdue) == (is_scheduled, is_scheduled, False)
    rotation = described["rotation"]
    assert isinstance(rotation, dict)
    assert (rotation["due_at"] is not None) == is_scheduled
