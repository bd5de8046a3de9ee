"""Publishing: what stays of former versions, and what clients that read meanwhile still find."""

from __future__ import annotations

import pytest

from notary.reference import Digest
from swarmsec.services.trust import publish_trust
from tests.unit.swarmsec.services.trust.trustdesk import APP, TrustDesk

KEPT = 8


@pytest.fixture
def few(trust: TrustDesk, monkeypatch: pytest.MonkeyPatch) -> TrustDesk:
    """A repository that keeps few former versions."""
    monkeypatch.setattr(publish_trust, "MAX_KEPT", KEPT)
    return trust


def names(trust: TrustDesk) -> set[str]:
    def there(name: str) -> bool:
        return trust.read(lambda transaction: transaction.trust.files.get(name)) is not None

    return {
        name for number in range(1, 60) for name in (f"{number}.snapshot.json", f"{number}.root.json") if there(name)
    }


def test_former_versions_stay_for_a_while_and_every_root_for_good(few: TrustDesk) -> None:
    for number in range(20):
        few.sign(f"{APP}:1", str(number))
    kept = sorted(int(name.partition(".")[0]) for name in names(few) if "snapshot" in name)
    assert len(kept) == KEPT
    assert kept == list(range(kept[0], kept[0] + KEPT))
    assert "1.root.json" in names(few)
    assert few.digest(f"{APP}:1") == str(Digest.of(b"19"))
    few.verify()
