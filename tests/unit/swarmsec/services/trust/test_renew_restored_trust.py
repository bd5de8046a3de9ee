"""A restored home goes on above everything that its clients may have seen, and its former tokens are worth nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from notary.reference import Digest
from swarmsec.errors import Denied
from swarmsec.services.homes.accept_restored import PENDING, Missing, begin_acceptance
from swarmsec.services.homes.restored_state import RESTORED
from swarmsec.services.ports import Transaction
from swarmsec.services.trust.ci_tokens import create_ci_token, spend_ci_token
from swarmsec.services.trust.trust_status import expiries
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.trust.trustdesk import APP, OTHER, TrustDesk


def restore(trust: TrustDesk, missing: int | None) -> None:
    """What accepting a restored home does, to one that waits for it."""

    def unit(transaction: Transaction) -> None:
        transaction.settings.put(RESTORED, PENDING)
        begin_acceptance(transaction, trust.keys, OPERATOR, Missing(entries=missing))

    trust.home.store.write(unit)


def versions(trust: TrustDesk) -> dict[str, int]:
    return {row.role: row.version for row in trust.read(lambda transaction: transaction.trust.roles.all())}


@pytest.mark.parametrize("missing", [0, 5, None])
def test_attack_98_every_role_of_the_home_goes_on_above_what_clients_saw(trust: TrustDesk, missing: int | None) -> None:
    trust.sign(f"{APP}:1", "one")
    trust.sign(f"{OTHER}:1", "two")
    assert trust.digest(f"{APP}:1") == str(Digest.of(b"one"))
    before = versions(trust)
    restore(trust, missing)
    after = versions(trust)
    assert after["root"] == before["root"]
    assert all(after[role] > before[role] + (missing or 0) for role in before if role != "root")
    assert trust.digest(f"{APP}:1") == str(Digest.of(b"one"))
    trust.sign(f"{APP}:1", "three")
    assert trust.digest(f"{APP}:1") == str(Digest.of(b"three"))
    trust.verify()


def test_attack_95_a_token_made_before_a_restore_is_worth_nothing(trust: TrustDesk) -> None:
    trust.sign(f"{APP}:1", "one")
    made = trust.write(create_ci_token, repository=APP, ttl=timedelta(minutes=15))
    restore(trust, 0)
    with pytest.raises(Denied, match="does not count"):
        trust.write(spend_ci_token, made.text.reveal().decode(), APP)


def test_a_home_that_signs_no_images_is_restored_as_before(empty_trust: TrustDesk) -> None:
    restore(empty_trust, 3)
    assert versions(empty_trust) == {}


def test_metrics_say_when_roles_end_and_how_many_are_due(trust: TrustDesk) -> None:
    trust.sign(f"{APP}:1", "one")
    trust.move_clock(timedelta(days=5))
    trust.sign(f"{OTHER}:1", "two")
    ends, due = trust.read(expiries)
    assert ends["repositories"] == int(trust.expires(APP).timestamp()) < int(trust.expires(OTHER).timestamp())
    assert due == {"7d": 0, "30d": 0, "60d": 0, "expired": 0}
    trust.move_clock(timedelta(days=70))
    assert trust.read(expiries)[1] == {"7d": 0, "30d": 3, "60d": 0, "expired": 2}
