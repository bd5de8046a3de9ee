"""Agents on a running server: facts of their own node alone, refused unless they are facts, kept, logged, counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import parse_entry
from swarmsec.reports.host_report import MAX_REPORT_BYTES, digest_of, encode_host_report
from swarmsec.services.reports.keep_host_facts import host_facts, keep_host_facts
from tests.integration.serve_world import ServedHome
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.reports.facts import HOST

PATH = "/api/v1/agent/facts"
DATA = encode_host_report(HOST)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    """A server whose home knows one node's facts already."""
    directory = tmp_path_factory.mktemp("agents")
    with pytest.MonkeyPatch.context() as patch, ServedHome(directory) as home:
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        home.create()
        with home.opened() as (opened, _):
            opened.store.write(lambda transaction: keep_host_facts(transaction, "m9", DATA, OPERATOR))
        yield home.serve()


def digests_of(served: ServedHome, node: str) -> list[str]:
    """What the log says that a node's agent brought, oldest first."""
    stored = served.read(lambda transaction: list(transaction.log_entries.newest_first()))
    found: list[Any] = [parse_entry(item.data) for item in reversed(stored)]
    ours = [entry for entry in found if entry["action"] == Action.AGENT_REPORT and entry["object"]["id"] == node]
    return [entry["fields"]["sha256"] for entry in ours]


def test_an_agent_s_facts_are_kept_for_its_own_node_and_logged_by_digest(served: ServedHome) -> None:
    agent = served.identity("agent:m1")

    assert served.ask("PUT", PATH, agent, DATA).json() == {"changed": True}
    assert served.ask("PUT", PATH, agent, DATA).json() == {"changed": False}
    other = encode_host_report(replace(HOST, swaps=None))
    assert served.ask("PUT", PATH, agent, other).json() == {"changed": True}

    kept = {fact.node: fact.sha256 for fact in served.read(host_facts)}
    assert kept == {"m1": digest_of(other), "m9": digest_of(DATA)}
    assert digests_of(served, "m1") == [digest_of(DATA), digest_of(other)]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{}", 400),
        (DATA + b" ", 400),
        (DATA.replace(b'"version":1', b'"version":2'), 400),
        (b"\xff" * 100, 400),
        (b" " * (MAX_REPORT_BYTES + 1), 413),
    ],
)
def test_what_are_no_facts_is_refused_and_changes_nothing(served: ServedHome, body: bytes, status: int) -> None:
    agent = served.identity("agent:m2")

    assert served.ask("PUT", PATH, agent, body).status == status
    assert "m2" not in {fact.node for fact in served.read(host_facts)}


@pytest.mark.parametrize("role", ["admin", "auditor", "driver", "signer:registry.example/app"])
def test_nobody_else_speaks_for_a_node(served: ServedHome, role: str) -> None:
    assert served.ask("PUT", PATH, served.identity(role), DATA).status == 403
    assert served.ask("PUT", PATH, None, DATA).status in {401, 403}


def test_metrics_show_agents_checkpoint_and_backup(served: ServedHome) -> None:
    text = served.ask("GET", "/metrics", served.identity("auditor")).body.decode()

    def value(name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        assert found, name
        return float(found[1])

    assert value('swarmsec_agents{state="fresh"}') == 1
    assert value('swarmsec_agents{state="silent"}') == 0
    assert value("swarmsec_audit_checkpoint_size") > 0
    assert value("swarmsec_audit_checkpoint_timestamp_seconds") > 1e9
    assert value("swarmsec_backup_last_success_timestamp_seconds") == 0
    assert value("swarmsec_ca_rotation_started_timestamp_seconds") == 0
    assert value("swarmsec_crl_next_update_timestamp_seconds") >= 0
