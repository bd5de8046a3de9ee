"""Units in two parts, on SQLite and on PostgreSQL: a group leaves what its units would leave one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarmsec.audit.actions import Outcome
from swarmsec.errors import Denied, NotFound
from swarmsec.services.parted import Parted, Parts, PartsWrong, Work
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.storage.checking import verify_store
from swarmsec.storage.store import Store
from tests.integration.storecontract import Database, database, entries, event, put, store, value_of

__all__ = ["database", "store"]

CALLS: list[list[str]] = []
NAMES = ("a", "b", "c")


def doubled(items: Sequence[str]) -> Sequence[str]:
    CALLS.append(list(items))
    return [item * 2 for item in items]


def broken(items: Sequence[str]) -> Sequence[str]:
    raise NotFound("no such work")


def appending(name: str, text: str, do: Callable[[Sequence[str]], Sequence[str]] = doubled) -> Parted[str]:
    """Adds a text, doubled, to a setting, and returns what the setting was before."""

    def parts(transaction: Transaction) -> Parts[str]:
        before = transaction.settings.get(name) or ""
        added = yield Work(do, text)
        put(name, before + added)(transaction)
        return before

    return Parted(parts, frozenset({name}))


def reading(name: str) -> Callable[[Transaction], str]:
    return lambda transaction: transaction.settings.get(name) or ""


def refusing(name: str, *, when: int) -> Parted[None]:
    """Is refused in the given part."""

    def parts(transaction: Transaction) -> Parts[None]:
        refusal = Refusal(Denied("no"), event("refused", outcome=Outcome.DENIED))
        if when == 1:
            raise refusal
        yield Work(doubled, name)
        put(name, "undone")(transaction)
        raise refusal

    return Parted(parts, frozenset({name}))


@pytest.fixture(autouse=True)
def no_calls() -> None:
    CALLS.clear()


def test_the_work_of_a_group_is_done_in_one_call(store: Store) -> None:
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


@pytest.mark.parametrize(("when", "calls"), [(1, [["a", "c"]]), (2, [["a", "b", "c"], ["a"], ["b"], ["c"]])])
def test_one_that_is_refused_leaves_the_others(store: Store, when: int, calls: list[list[str]]) -> None:
    outcomes = store.write_group([appending("a", "a"), refusing("b", when=when), appending("c", "c")])
    assert [type(outcome.error) for outcome in outcomes] == [type(None), Denied, type(None)]
    assert calls == CALLS
    assert [value_of(store, name) for name in NAMES] == ["aa", None, "cc"]
    assert sorted(entry["reason"] for entry in entries(store)) == ["a=aa", "c=cc", "refused"]
    assert verify_store(store).rows == 2


def test_work_that_fails_is_the_failure_of_those_who_wanted_it(store: Store) -> None:
    outcomes = store.write_group([appending("a", "a"), appending("b", "b", broken), appending("c", "c")])
    assert [type(outcome.error) for outcome in outcomes] == [type(None), NotFound, type(None)]
    assert [value_of(store, name) for name in NAMES] == ["aa", None, "cc"]


def test_a_unit_that_writes_before_it_hands_over_its_work_is_a_defect(store: Store) -> None:
    def early(transaction: Transaction) -> Parts[None]:
        put("a", "early")(transaction)
        yield Work(doubled, "a")

    def twice(transaction: Transaction) -> Parts[None]:
        yield Work(doubled, "a")
        yield Work(doubled, "a")

    outcomes = store.write_group([Parted(early, frozenset()), Parted(twice, frozenset()), early, put("b", "kept")])
    assert [type(outcome.error) for outcome in outcomes] == [PartsWrong, PartsWrong, PartsWrong, type(None)]
    assert [value_of(store, name) for name in NAMES] == [None, "kept", None]


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

    def left(run: Callable[[], list[object]]) -> tuple[list[object], list[str | None]]:
        store.write(clear)
        values = run()
        return values, [value_of(store, name) for name in NAMES]

    def told(outcome: object, error: BaseException | None) -> object:
        # Sequence numbers differ from run to run.
        return type(error) if error is not None else outcome if isinstance(outcome, str) else None

    together = left(lambda: [told(each.value, each.error) for each in store.write_group(group)])
    alone = left(lambda: [told(each.value, each.error) for unit in group for each in store.write_group([unit])])
    assert together == alone
