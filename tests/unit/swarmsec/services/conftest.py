"""Fixtures of the tests of services."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from swarmsec.clock import Clock
from swarmsec.services.ca import issue_for_nodes
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.orders import Order, Signed, sign_orders
from tests.unit.swarmsec.homes import make_home
from tests.unit.swarmsec.services.desk import Desk
from tests.unit.swarmsec.services.trust.trustdesk import TrustDesk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """An authority in a home of its own."""
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    home, keys, _ = make_home(tmp_path / "home")
    yield Desk(home=home, keys=keys)
    home.close()


@pytest.fixture
def signed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many certificates were signed in each call."""
    sizes: list[int] = []

    def counting(clock: Clock, authority: Authority, orders: Sequence[Order]) -> list[Signed]:
        sizes.append(len(orders))
        return sign_orders(clock, authority, orders)

    monkeypatch.setattr(issue_for_nodes, "sign_orders", counting)
    return sizes


@pytest.fixture
def empty_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TrustDesk]:
    """A home that signs no images yet."""
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    home, keys, _ = make_home(tmp_path / "home")
    yield TrustDesk(home=home, keys=keys, directory=tmp_path)
    home.close()


@pytest.fixture
def trust(empty_trust: TrustDesk) -> TrustDesk:
    """A repository whose keys all lie in its home."""
    empty_trust.init()
    return empty_trust
