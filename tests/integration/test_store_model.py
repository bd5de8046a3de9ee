"""The store against a dictionary: whatever the order of writes, refusals, failures and reopening, both say the same."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from swarmsec.audit.actions import Outcome
from swarmsec.errors import Denied, NotFound
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.storage.anchor import AnchorFile
from swarmsec.storage.checking import verify_store
from swarmsec.storage.store import Store
from tests.integration.clocks import StandingClock
from tests.integration.storecontract import event, open_store

NAMES = st.sampled_from(["a", "b/c", "d%e", "é", ""])
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
CHANGES = st.lists(st.tuples(NAMES, VALUES), min_size=1, max_size=3)
ENDS = st.sampled_from(["kept", "refused", "failed"])
Change = tuple[str, str]


class StoreAgainstDictionary(RuleBasedStateMachine):
    """Settings stand for every table: they all go through the same rows, digests and log."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="ss-model-"))
        self.clock = StandingClock()
        self.model: dict[str, str] = {}
        self.entries = 0
        self.left: list[Store] = []
        self.store = self.opened()
        self.store.migrate()

    def opened(self) -> Store:
        store = open_store("sqlite:///state.db", self.directory, self.clock)
        store.anchor = AnchorFile(self.directory / "anchor", "store")
        return store

    def teardown(self) -> None:
        for store in (*self.left, self.store):
            store.close()
        shutil.rmtree(self.directory)

    @rule(changes=CHANGES, end=ENDS)
    def write(self, changes: list[Change], end: str) -> None:
        outcomes = self.store.write_group([self.unit(changes, end)])
        self.follow([(changes, end)], outcomes)

    @rule(units=st.lists(st.tuples(CHANGES, ENDS), min_size=2, max_size=4))
    def write_group(self, units: list[tuple[list[Change], str]]) -> None:
        self.follow(units, self.store.write_group([self.unit(changes, end) for changes, end in units]))

    @rule()
    def reopen(self) -> None:
        self.store.close()
        self.store = self.opened()

    @precondition(lambda self: self.entries > 0)
    @rule()
    def leave_without_closing(self) -> None:
        self.left.append(self.store)
        self.store = self.opened()

    @rule(seconds=st.sampled_from([0.1, 1.5]))
    def wait(self, seconds: float) -> None:
        self.clock.seconds += seconds

    @invariant()
    def the_store_says_what_the_dictionary_says(self) -> None:
        with self.store.reading() as transaction:
            assert {name: transaction.settings.get(name) for name in self.model} == self.model
        report = verify_store(self.store)
        assert (report.rows, report.entries) == (len(self.model), self.entries)
        assert self.store.head().size == self.entries

    @invariant()
    def the_anchor_is_never_ahead(self) -> None:
        known = AnchorFile(self.directory / "anchor", "store").read()
        assert known is None or known.size <= self.entries

    @staticmethod
    def unit(changes: list[Change], end: str) -> Any:
        def run(transaction: Transaction) -> str:
            for name, value in changes:
                transaction.settings.put(name, value)
            if changes or end == "kept":
                # A unit that ends otherwise without this has written nothing, and its group goes on.
                transaction.log(event(end))
            if end == "refused":
                raise Refusal(Denied("no"), event(end, outcome=Outcome.DENIED))
            if end == "failed":
                raise NotFound("nothing there")
            return end

        return run

    def follow(self, units: list[tuple[list[Change], str]], outcomes: list[Any]) -> None:
        for (changes, end), outcome in zip(units, outcomes, strict=True):
            expected = {"kept": type(None), "refused": Denied, "failed": NotFound}[end]
            assert isinstance(outcome.error, expected)
            self.entries += end != "failed"
            if end == "kept":
                self.model.update(changes)


TestStoreAgainstDictionary = StoreAgainstDictionary.TestCase
TestStoreAgainstDictionary.settings = settings(max_examples=15, stateful_step_count=12)
