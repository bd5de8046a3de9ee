"""Facts of hosts are kept for the agent's own node, with an entry whenever they change and none while they do not."""

from __future__ import annotations

from dataclasses import replace as with_members
from typing import Any

import pytest
from msgspec.structs import replace

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef, parse_entry
from swarmsec.errors import UsageProblem
from swarmsec.reports.host_report import HostReport, digest_of, encode_host_report
from swarmsec.services.reports.host_ports import HostTransaction
from swarmsec.services.reports.keep_host_facts import host_facts, keep_host_facts
from swarmsec.storage.checking import verify_store
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.reports.facts import HOST
from tests.unit.swarmsec.services.desk import Desk

DATA = encode_host_report(HOST)


def keep(desk: Desk, node: str, data: bytes = DATA) -> bool:
    return desk.home.store.write(lambda transaction: keep_host_facts(transaction, node, data, OPERATOR))


def entries(desk: Desk) -> list[tuple[str, str]]:
    """Node and digest of every entry about facts, oldest first."""
    stored = desk.home.store.read(lambda transaction: list(transaction.log_entries.newest_first()))
    found = [parse_entry(item.data) for item in reversed(stored)]
    return [(_at(e, "object", "id"), _at(e, "fields", "sha256")) for e in found if e["action"] == Action.AGENT_REPORT]


def _at(entry: Any, *path: str) -> str:
    for name in path:
        entry = entry[name]
    return str(entry)


def test_new_facts_are_kept_with_an_entry_and_the_same_facts_without(desk: Desk) -> None:
    assert keep(desk, "m1")
    assert not keep(desk, "m1")
    assert keep(desk, "m2")

    (first, second) = desk.home.store.read(host_facts)
    assert (first.node, second.node) == ("m1", "m2")
    assert first.report == HOST
    assert first.sha256 == digest_of(DATA)
    assert entries(desk) == [("m1", digest_of(DATA)), ("m2", digest_of(DATA))]
    verify_store(desk.home.store)


def test_facts_that_changed_take_the_place_of_the_last(desk: Desk) -> None:
    other: HostReport = replace(HOST, listeners=[])
    keep(desk, "m1")
    assert keep(desk, "m1", encode_host_report(other))

    (kept,) = desk.home.store.read(host_facts)
    assert kept.report == other
    assert [digest for _, digest in entries(desk)] == [digest_of(DATA), digest_of(encode_host_report(other))]


def test_the_same_facts_are_noted_as_seen(desk: Desk) -> None:
    keep(desk, "m1")
    (kept,) = desk.home.store.read(lambda transaction: transaction.hosts.all())
    desk.home.store.write(lambda transaction: transaction.hosts.touch("m1", kept.last_seen - 500))
    keep(desk, "m1")

    (again,) = desk.home.store.read(lambda transaction: transaction.hosts.all())
    assert again.last_seen >= kept.last_seen
    assert again.changed == kept.changed


@pytest.mark.parametrize("data", [b"", b"{}", DATA + b"\n", DATA.replace(b'"version":1', b'"version":9')])
def test_what_are_no_facts_changes_nothing(desk: Desk, data: bytes) -> None:
    with pytest.raises(UsageProblem):
        keep(desk, "m1", data)

    assert entries(desk) == []
    assert desk.home.store.read(host_facts) == ()


def test_an_agent_of_no_node_is_refused(desk: Desk) -> None:
    with pytest.raises(UsageProblem, match="names none"):
        keep(desk, "")


def test_facts_of_another_version_hold_the_reason(desk: Desk) -> None:
    keep(desk, "m1")

    def spoil(transaction: HostTransaction) -> None:
        kept = transaction.hosts.get("m1")
        assert kept is not None
        transaction.hosts.put(with_members(kept, facts=b'{"version":0}'))
        transaction.log(OPERATOR.event(Action.AGENT_REPORT, ObjectRef(type="node", id="m1")))

    desk.home.store.write(spoil)
    (fact,) = desk.home.store.read(host_facts)
    assert fact.report is None
    assert "expected the facts of a host" in fact.problem
