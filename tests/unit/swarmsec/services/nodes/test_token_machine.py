"""Tokens, uses and approvals in any order: the model says what may have been given away, and nothing more was."""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from swarmsec.errors import SwarmsecError
from swarmsec.services.nodes.approve_nodes import approve_node, deny_node, list_held_nodes
from swarmsec.services.nodes.join_node import JoinRequest, join_node
from swarmsec.services.nodes.limited_tokens import TokenRole, WantedToken, create_limited_token, revoke_limited_token
from swarmsec.services.nodes.node_records import HeldNode, HeldState
from swarmsec.services.records import CertificateRecord
from swarmsec.storage.checking import verify_store
from tests.unit.swarmsec.homes import OPERATOR, make_home
from tests.unit.swarmsec.services.desk import Desk, new_key, request_of

EXAMPLES = 100 if os.environ.get("SWARMSEC_SOAK") else 12
TTL = timedelta(minutes=15)
KEYS = [request_of(new_key()) for _ in range(5)]
"""Few, so that the same one comes again and again."""


class Tokens(RuleBasedStateMachine):
    """A home, some tokens with limits, nodes that join with them, and an operator."""

    tokens: Bundle[tuple[str, str]] = Bundle("tokens")

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="ss-machine-"))
        os.environ["SWARMSEC_STATE"] = str(self.directory / "state")
        home, keys, _ = make_home(self.directory / "home")
        self.desk = Desk(home=home, keys=keys)
        self.later = timedelta()
        self.limits: dict[str, tuple[TokenRole, int, timedelta]] = {}
        self.revoked: set[str] = set()
        self.used_by: dict[str, set[str]] = {}
        self.approved: set[str] = set()
        self.denied: set[str] = set()

    def teardown(self) -> None:
        verify_store(self.desk.home.store)
        self.desk.home.close()
        shutil.rmtree(self.directory)

    @rule(target=tokens, role=st.sampled_from([TokenRole.WORKER, TokenRole.MANAGER]), uses=st.integers(1, 3))
    def create(self, role: TokenRole, uses: int) -> tuple[str, str]:
        wanted = WantedToken(role=role, ttl=TTL, uses=uses)
        record, text = self.desk.write(
            lambda transaction, authority: create_limited_token(
                transaction, self.desk.keys, authority, OPERATOR, wanted
            )
        )
        self.limits[record.token_id] = (role, uses, self.later + TTL)
        self.used_by[record.token_id] = set()
        return record.token_id, text

    @rule(token=tokens, numbers=st.lists(st.integers(0, len(KEYS) - 1), min_size=1, max_size=5))
    def join(self, token: tuple[str, str], numbers: list[int]) -> None:
        for number in numbers:
            self.ask(token, number)

    def ask(self, token: tuple[str, str], number: int) -> None:
        token_id, text = token
        key = KEYS[number].spki_sha256
        role, uses, ends = self.limits[token_id]
        wanted = JoinRequest(token=text, signing_request=KEYS[number], node_name=None, holds_managers=True)
        before = self.desk.states()
        try:
            answer = self.desk.write(
                lambda transaction, authority: join_node(transaction, self.desk.keys, authority, wanted, OPERATOR)
            )
        except SwarmsecError:
            assert self.desk.states() == before
            return
        is_known = key in self.used_by[token_id]
        # A key whose request waits, or was granted, under another token is told how that stands; it uses nothing up.
        if not any(key in keys for other, keys in self.used_by.items() if other != token_id):
            self.used_by[token_id].add(key)
        assert token_id not in self.revoked
        assert is_known or self.later < ends
        assert len(self.used_by[token_id]) <= uses
        if isinstance(answer, HeldNode):
            assert (role, answer.state) == (TokenRole.MANAGER, HeldState.PENDING)
            assert self.desk.states() == before
        elif role is TokenRole.MANAGER:
            assert isinstance(answer, CertificateRecord)
            assert key in self.approved - self.denied or answer.serial in before

    @rule(token=tokens)
    def revoke(self, token: tuple[str, str]) -> None:
        token_id, _ = token
        self.desk.home.store.write(lambda transaction: revoke_limited_token(transaction, token_id, OPERATOR))
        self.revoked.add(token_id)

    @rule(is_good=st.booleans(), data=st.data())
    def decide(self, is_good: bool, data: st.DataObject) -> None:
        waiting = self.desk.home.store.read(list_held_nodes)
        if not waiting:
            return
        chosen = data.draw(st.sampled_from(list(waiting)))
        act = approve_node if is_good else deny_node
        self.desk.home.store.write(lambda transaction: act(transaction, chosen.request_id, OPERATOR))
        (self.approved if is_good else self.denied).add(chosen.spki_sha256.hex())

    @rule(minutes=st.sampled_from([1, 10, 20, 24 * 60]))
    def wait(self, minutes: int) -> None:
        self.later += timedelta(minutes=minutes)
        self.desk.move_clock(self.later)

    @invariant()
    def no_manager_was_let_in_unapproved(self) -> None:
        def managers() -> set[str]:
            records = self.desk.home.store.read(lambda transaction: list(transaction.certificates.all()))
            return {record.spki_sha256.hex() for record in records if record.profile == "swarm-manager"}

        assert managers() <= self.approved


@pytest.mark.usefixtures("state_variable")
def test_tokens_and_approvals_give_away_nothing_more_than_the_model() -> None:
    run_state_machine_as_test(
        Tokens,
        settings=settings(max_examples=EXAMPLES, stateful_step_count=20, phases=[Phase.generate]),
    )


@pytest.fixture
def state_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The machine sets it for each of its homes; afterwards it is as before."""
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path))
