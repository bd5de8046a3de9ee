"""A real server and nodes whose certificates live for minutes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ca.identity import NodeRole
from tests.integration.serve_world import ServedHome
from tests.integration.test_serve_renewing import bearer_of, joined, renew


def test_a_node_with_minutes_joins_renews_and_speaks_with_a_server_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    settings = "\n[ca]\nallow_short_lifetimes = true\ncertificate_minutes = 2\n"
    with ServedHome(tmp_path) as home:
        home.create(settings=settings).serve()
        node = joined(home, tmp_path / "node", NodeRole.WORKER)
        first = bearer_of(node).certificate
        assert renew(home, node).returncode == 0
        second = bearer_of(node)

        for certificate in (first, second.certificate):
            life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
            assert life.total_seconds() == 120
        assert second.certificate != first
        assert home.ask("GET", "/api/v1/whoami", bearer=second).status == 200
        assert "warning: new certificates of nodes live for 2 minutes" in home.log
        with home.opened() as (opened, _):
            log = opened.store.read(lambda transaction: str([e.data for e in transaction.log_entries.since(0)]))
        assert '"finding":"new certificates of nodes live for 2 minutes' in log
