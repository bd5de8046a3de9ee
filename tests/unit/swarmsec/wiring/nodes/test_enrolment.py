"""A joining node that waits for approval: how long, through what, and what it does not believe."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ca.identity import NodeRole
from ca.tokens import JoinToken
from swarmsec.errors import Denied, Unavailable, UsageProblem
from swarmsec.services.ca.issued_certificates import certificate_pem
from swarmsec.wiring.nodes import enrolment
from swarmsec.wiring.nodes.authorityclient import spki_of
from swarmsec.wiring.nodes.enrolment import Held, Patience, join
from swarmsec.wiring.nodes.nodefiles import CERTIFICATE, KEY, make_key
from tests.unit.swarmsec.services.conftest import desk
from tests.unit.swarmsec.services.desk import Desk
from tests.unit.swarmsec.wiring.nodes.nodes import SERVER

__all__ = ["desk"]
Answers = Callable[[], tuple[int, dict[str, Any]]]


class Clock:
    """Time that passes by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.told: list[Held] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def patience(self, limit: timedelta) -> Patience:
        return Patience(limit=limit, tell=self.told.append, sleep=self.sleep, monotonic=lambda: self.now)


@pytest.fixture
def node(tmp_path: Path) -> Path:
    return tmp_path / "node"


@pytest.fixture
def token(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> str:
    bundle = desk.authority.bundle_pem
    monkeypatch.setattr(enrolment, "fetch_bundle", lambda base, token: bundle)
    return JoinToken.build(bundle, bytes(16)).format()


def waits(node: Path, **change: object) -> tuple[int, dict[str, Any]]:
    own = hashlib.sha256(spki_of(make_key(node / KEY).public_key())).hexdigest()
    return 202, {"pending": True, "node_id": "m1", "spki_sha256": own, "retry_after_seconds": 5} | change


def answering(monkeypatch: pytest.MonkeyPatch, answers: list[Answers]) -> None:
    monkeypatch.setattr(enrolment, "exchange", lambda *_, **__: (answers.pop(0) if len(answers) > 1 else answers[0])())


def away() -> tuple[int, dict[str, Any]]:
    raise Unavailable("the server is away")


def test_it_waits_through_an_outage_and_tells_once(
    desk: Desk, node: Path, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()

    def let_in() -> tuple[int, dict[str, Any]]:
        record = desk.issue(NodeRole.MANAGER, "m1", make_key(node / KEY))
        roots = desk.authority.bundle_pem.decode()
        return 200, {"certificate": certificate_pem(record).decode(), "root_bundle": roots}

    answering(monkeypatch, [lambda: waits(node), away, away, lambda: waits(node), let_in])
    joined = join(SERVER, token, node, None, clock.patience(timedelta(hours=1)))

    assert (joined.identity.node_id, len(clock.told), clock.now) == ("m1", 1, 20.0)
    assert (node / CERTIFICATE).exists()


def test_it_gives_up_when_told_to_and_leaves_its_key(node: Path, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, [lambda: waits(node)])
    clock = Clock()

    with pytest.raises(Unavailable, match="m1 waits for approval") as raised:
        join(SERVER, token, node, None, clock.patience(timedelta(seconds=60)))

    assert "swarmsec node approve m1" in str(raised.value.hint)
    assert clock.now == 60
    assert (node / KEY).exists()
    assert not (node / CERTIFICATE).exists()


def test_who_is_not_told_to_wait_does_not(node: Path, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, [away])
    clock = Clock()

    with pytest.raises(Unavailable, match="away"):
        join(SERVER, token, node, None, clock.patience(timedelta(hours=1)))

    assert clock.now == 0


@pytest.mark.parametrize(
    "change",
    [
        {"spki_sha256": "00" * 32},
        {"spki_sha256": None},
        {"node_id": "\x1b[2J"},
        {"node_id": None},
        {"retry_after_seconds": 0},
        {"retry_after_seconds": 301},
        {"retry_after_seconds": "5"},
        {"retry_after_seconds": True},
    ],
)
def test_another_nodes_wait_or_one_without_bounds_is_not_believed(
    change: dict[str, object], node: Path, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, [lambda: waits(node, **change)])

    with pytest.raises(Denied, match="another node waits"):
        join(SERVER, token, node, None, Clock().patience(timedelta(hours=1)))


@pytest.mark.parametrize("name", ["", "../x", "UPPER", "swarm-manager", "a" * 64])
def test_a_name_that_no_node_can_have_is_refused_before_anything_is_asked(
    name: str, node: Path, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch, [away])
    with pytest.raises(UsageProblem, match="expected a node id"):
        join(SERVER, token, node, name)
    assert not node.exists()
