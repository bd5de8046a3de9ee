"""Attacks with time: metadata past its end, the same metadata for ever, clocks that are set, answers that drip."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from swarmsec.wiring.trust import trustsessions
from tests.integration.trust_world import TrustWorld
from tests.peers.hostile_http import Reply

SetClock = Callable[[timedelta], None]


@pytest.fixture(autouse=True)
def signed(trust: TrustWorld) -> None:
    trust.sign()
    trust.publish()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SetClock:
    """Sets this machine's clock so much ahead of, or behind, the moment that the repository was made."""

    def set_clock(shift: timedelta) -> None:
        monkeypatch.setattr(trustsessions, "system_hour", lambda: datetime.now(UTC) + shift)

    return set_clock


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets", "revocations", "delegated"])
def test_11_each_role_past_its_end(trust: TrustWorld, role: str) -> None:
    past = trust.workshop.after(hours=-1)
    name = trust.repository if role == "delegated" else role
    body: Any = getattr(trust.workshop, role, None) or trust.workshop.roles[name]
    body.expires = past
    if role == "root":
        trust.workshop.put_root()
    trust.publish()
    trust.refused(1, f"the metadata has expired: {name}")


def test_11_what_is_kept_may_have_expired_where_what_is_published_has_not(trust: TrustWorld, clock: SetClock) -> None:
    trust.trusted()
    clock(timedelta(days=8))
    trust.workshop.timestamp.expires = trust.workshop.after(days=9)
    trust.workshop.snapshot.expires = trust.workshop.after(days=15)
    trust.publish()
    trust.trusted()


def test_11_an_old_root_on_the_way_may_have_expired(trust: TrustWorld) -> None:
    trust.workshop.root.expires = trust.workshop.after(days=-1)
    trust.workshop.put_root()
    trust.workshop.root.expires = trust.workshop.after(days=365)
    trust.workshop.put_root()
    trust.trusted()


def test_12_the_same_metadata_for_ever(trust: TrustWorld, clock: SetClock) -> None:
    trust.trusted()
    trust.freeze()
    clock(timedelta(hours=23))
    trust.trusted()
    clock(timedelta(hours=25))
    trust.refused(1, "the metadata has expired: timestamp")


def test_13_a_clock_set_back_brings_nothing_back_to_life(trust: TrustWorld, clock: SetClock) -> None:
    trust.trusted()
    trust.freeze()
    clock(timedelta(hours=25))
    trust.refused(1, "the metadata has expired: timestamp")
    clock(timedelta(hours=1))
    trust.refused(1, "the metadata has expired: timestamp")
    trust.thaw()
    trust.workshop.timestamp.expires = trust.workshop.after(days=3)
    trust.workshop.put_timestamp()
    trust.trusted()


def test_13_a_clock_behind_what_was_seen_counts_as_what_was_seen(trust: TrustWorld, clock: SetClock) -> None:
    clock(timedelta(hours=12))
    trust.trusted()
    clock(timedelta(days=-300))
    trust.workshop.timestamp.expires = trust.workshop.after(hours=11)
    trust.workshop.put_timestamp()
    trust.refused(1, "the metadata has expired: timestamp")


def test_13_a_clock_that_was_ahead_by_mistake_costs_a_timestamp_at_most(trust: TrustWorld, clock: SetClock) -> None:
    clock(timedelta(days=3650))
    trust.refused(1, "the metadata has expired")
    clock(timedelta())
    trust.workshop.timestamp.expires = trust.workshop.after(hours=25)
    trust.workshop.put_timestamp()
    trust.trusted()


def test_a_signature_older_than_the_policy_allows(trust: TrustWorld) -> None:
    trust.sign(signed=trust.workshop.after(days=-91))
    trust.publish()
    trust.refused(1, "expected a signature of the last 90 d")


def test_a_signature_of_the_future(trust: TrustWorld) -> None:
    trust.sign(signed=trust.workshop.after(hours=2))
    trust.publish()
    trust.refused(1, "expected a signature of the past")


def test_a_signature_of_a_clock_a_little_ahead_counts(trust: TrustWorld) -> None:
    trust.sign(signed=trust.workshop.after(minutes=3))
    trust.publish()
    trust.trusted()


@pytest.mark.parametrize("how", [{"drip": 0.05}, {"hangs": True}, {"drips_headers": True}])
@pytest.mark.parametrize("path", ["/tuf/timestamp.json", "/v2/team/app/manifests/1.4"])
def test_17_an_answer_that_drips(trust: TrustWorld, path: str, how: dict[str, Any]) -> None:
    """Each byte comes within every socket's timeout; the whole does not come in time."""
    trust.server.answers[path] = Reply(body=b" " * 8_000, headers={"Content-Type": "application/json"}, **how)
    trust.refused(3, "within 1 s", "--timeout", "1s", trust.ref())
