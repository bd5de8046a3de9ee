"""Units that are done together, on SQLite and on PostgreSQL: a group leaves what one after the other would leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarmsec.audit.actions import Outcome
from swarmsec.errors import Denied, NotFound
from swarmsec.services.grouped import Grouped, Results
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.storage.checking import verify_store
from swarmsec.storage.store import Store
from swarmsec.storage.transaction import UnloggedChange
from tests.integration.storecontract import Database, database, entries, event, put, store, value_of

__all__ = ["database", "store"]

CALLS: list[list[str]] = []
NAMES = ("a", "b", "c")


class Addition(NamedTuple):
    """A text that is added, doubled, to a setting; it may be refused when it is looked at, or when it is written."""

    name: str
    text: str
    refused: int = 0


NO = Refusal(Denied("no"), event("refused", outcome=Outcome.DENIED))


def add_all(transaction: Transaction, additions: Sequence[Addition]) -> Results[str]:
    """Yields what each setting was before."""
    CALLS.append([each.text for each in additions])
    before = [transaction.settings.get(each.name) or "" for each in additions]
    for (name, text, refused), was in zip(additions, before, strict=True):
        if refused == 1:
            yield NO
            continue
        put(name, was + text * 2)(transaction)
        if refused == 2:
            raise NO
        yield was


def break_all(transaction: Transaction, additions: Sequence[Addition]) -> Results[str]:
    raise NotFound("no such work")


def appending(
    name: str, text: str, do: Callable[[Transaction, Sequence[Addition]], Results[str]] = add_all
) -> Grouped[str]:
    return Grouped(do, Addition(name, text), frozenset({name}))


def refusing(name: str, *, when: int) -> Grouped[str]:
    return Grouped(add_all, Addition(name, name, when), frozenset({name}))


def reading(name: str) -> Callable[[Transaction], str]:
    return lambda transaction: transaction.settings.get(name) or ""


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


def test_units_of_one_function_are_done_in_one_call(store: Store) -> None:
    outcomes = store.write_group([appending(name, name) for name in NAMES])
    assert [outcome.value for outcome in outcomes] == ["", "", ""]
    assert CALLS == [["a", "b", "c"]]
    assert [value_of(store, name) for name in NAMES] == ["aa", "bb", "cc"]
    assert [entry["reason"] for entry in entries(store)] == ["a=aa", "b=bb", "c=cc"]


def test_who_looks_for_what_another_will_write_waits_for_it(store: Store) -> None:
    outcomes = store.write_group([appending("a", "x"), appending("b", "x"), appending("a", "y"), appending("c", "x")])
    assert [outcome.value for outcome in outcomes] == ["", "", "xx", ""]
    assert CALLS == [["x", "x"], ["y", "x"]]
    assert value_of(store, "a") == "xxyy"


def test_a_unit_in_one_piece_sees_those_before_it_whole_and_those_after_it_not_at_all(store: Store) -> None:
    group: list[Callable[[Transaction], object]] = [
        appending("a", "x"),
        reading("a"),
        put("b", "new"),
        appending("b", "y"),
    ]
    assert [outcome.value for outcome in store.write_group(group)] == ["", "xx", 1, "new"]
    assert CALLS == [["x"], ["y"]]


@pytest.mark.parametrize(("when", "calls"), [(1, [["a", "b", "c"]]), (2, [["a", "b", "c"], ["a"], ["b"], ["c"]])])
def test_one_that_is_refused_leaves_the_others(store: Store, when: int, calls: list[list[str]]) -> None:
    outcomes = store.write_group([appending("a", "a"), refusing("b", when=when), appending("c", "c")])
    assert [type(outcome.error) for outcome in outcomes] == [type(None), Denied, type(None)]
    assert calls == CALLS
    assert [value_of(store, name) for name in NAMES] == ["aa", None, "cc"]
    assert [entry["reason"] for entry in entries(store)] == ["a=aa", "refused", "c=cc"]
    assert verify_store(store).rows == 2


def test_a_function_that_fails_is_the_failure_of_those_who_wanted_it(store: Store) -> None:
    outcomes = store.write_group([appending("a", "a"), appending("b", "b", break_all), appending("c", "c")])
    assert [type(outcome.error) for outcome in outcomes] == [type(None), NotFound, type(None)]
    assert [value_of(store, name) for name in NAMES] == ["aa", None, "cc"]


def test_a_function_that_does_not_keep_to_its_items_is_a_defect_and_leaves_nothing(store: Store) -> None:
    def unlogged(transaction: Transaction, names: Sequence[str]) -> Results[None]:
        for name in names:
            transaction.settings.put(name, "unlogged")
            yield None

    def none(transaction: Transaction, names: Sequence[str]) -> Results[None]:
        put("a", "none")(transaction)
        yield from ()

    def more(transaction: Transaction, names: Sequence[str]) -> Results[None]:
        put("a", "more")(transaction)
        yield None
        yield None

    defects = [Grouped(do, "a", frozenset({"a"})) for do in (unlogged, none, more)]
    outcomes = store.write_group([*defects, put("b", "kept")])
    assert [type(outcome.error) for outcome in outcomes] == [UnloggedChange, ValueError, ValueError, type(None)]
    assert [value_of(store, name) for name in NAMES] == [None, "kept", None]


def test_called_it_is_done_alone(store: Store) -> None:
    def alone(unit: Grouped[str]) -> str:
        return store.write(lambda transaction: unit(transaction))

    assert [alone(appending("a", text)) for text in "xy"] == ["", "xx"]
    with pytest.raises(Denied):
        alone(refusing("a", when=1))
    assert [entry["reason"] for entry in entries(store)] == ["a=xx", "a=xxyy", "refused"]


def made(kind: str, name: str, text: str) -> Callable[[Transaction], object]:
    match kind:
        case "appending":
            return appending(name, text)
        case "reading":
            return reading(name)
        case "putting":
            return put(name, text)
    return refusing(name, when=int(kind))


KINDS = st.tuples(
    st.sampled_from(["appending", "reading", "putting", "1", "2"]), st.sampled_from(NAMES), st.sampled_from("xyz")
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(KINDS, max_size=8))
def test_a_group_leaves_what_one_after_the_other_leaves(
    database: Database, store: Store, kinds: list[tuple[str, str, str]]
) -> None:
    group = [made(*kind) for kind in kinds]

    def clear(transaction: Transaction) -> None:
        for name in NAMES:
            transaction.settings.put(name, "")
        transaction.log(event("cleared"))

    def left(run: Callable[[], list[object]]) -> tuple[list[object], list[str | None], list[tuple[object, object]]]:
        store.write(clear)
        before = store.head().size
        values = run()
        said = [(entry["outcome"], entry.get("reason")) for entry in entries(store)[before:]]
        return values, [value_of(store, name) for name in NAMES], said

    def told(outcome: object, error: BaseException | None) -> object:
        # Sequence numbers differ from run to run.
        return type(error) if error is not None else outcome if isinstance(outcome, str) else None

    together = left(lambda: [told(each.value, each.error) for each in store.write_group(group)])
    alone = left(lambda: [told(each.value, each.error) for unit in group for each in store.write_group([unit])])
    assert together == alone
