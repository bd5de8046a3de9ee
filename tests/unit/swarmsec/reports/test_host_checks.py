"""Controls of hosts: they pass over a host that is as it should be, fail over a fault, and never pass without data."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from msgspec.structs import replace

from policies.controls import Means
from swarmsec.reports.checks import registered
from swarmsec.reports.each_host import FRESH_SECONDS
from swarmsec.reports.facts import HostFact
from swarmsec.reports.file_checks import FILE_RULES
from swarmsec.reports.host_report import HostFile, HostReport, Kind, Listener, Part, Purpose, Swap
from swarmsec.reports.model import State
from tests.unit.swarmsec.reports.facts import DIGEST, HOST, NOW, catalogue, hosts, report, results, states, swarm

Spoil = Callable[[HostReport], HostReport]


def with_files(change: Callable[[HostFile], HostFile], purpose: Purpose, of: HostReport = HOST) -> HostReport:
    """The host with its files of a purpose changed."""
    return replace(of, files=[change(file) if file.purpose is purpose else file for file in of.files or ()])


def with_daemon(**settings: object) -> HostReport:
    """The host whose daemon was started otherwise."""
    assert HOST.daemon is not None
    return replace(HOST, daemon=replace(HOST.daemon, **settings))


def without_plugin() -> HostReport:
    """The host without the driver's socket."""
    return replace(HOST, files=[file for file in HOST.files or () if file.purpose is not Purpose.PLUGIN])


FAULTS: Mapping[str, HostReport] = {
    "CIS-2.3": with_daemon(log_level="debug"),
    "CIS-2.4": with_daemon(iptables=False),
    "CIS-2.7": with_daemon(tls_verify=False),
    "CIS-2.14": with_daemon(no_new_privileges=False),
    "CIS-2.16": with_daemon(userland_proxy=True),
    "CIS-7.2": replace(HOST, listeners=[Listener(address="::", port=2377)]),
    "CIS-7.9": replace(HOST, swarm=replace(HOST.swarm, data_path="10.0.0.1")) if HOST.swarm else HOST,
    "SWS-02": with_daemon(tls_verify=False),
    "SWS-09": replace(HOST, swaps=[Swap(name="/swapfile", is_safe=False)]),
    "SWS-11": without_plugin(),
    **{
        name: with_files(lambda file: replace(file, mode=file.mode | 0o002), rule.purpose)
        if rule.mode is not None
        else with_files(lambda file: replace(file, uid=1000, owner="eve"), rule.purpose)
        for name, rule in FILE_RULES.items()
    },
}


def test_every_control_of_hosts_has_a_fault_here() -> None:
    controls = catalogue().controls
    assert {name for name in registered() if controls[name].means is Means.AGENT} == set(FAULTS)


@pytest.mark.parametrize("control", FAULTS)
def test_a_fault_of_one_host_is_found_and_the_host_named(control: str) -> None:
    good = results(report(swarm()), control)
    assert {result.state for result in good} == {State.PASS}
    assert len(good) == 3

    found = results(report(swarm(), hosts=hosts(HOST, FAULTS[control], HOST)), control)

    failed = [result for result in found if result.state is State.FAIL]
    assert len(failed) == 1
    assert "m2" in failed[0].resource.id
    assert failed[0].evidence[0].source == "agent of m2"
    assert [result.state for result in found].count(State.PASS) == 2


@pytest.mark.parametrize("control", FAULTS)
def test_nothing_passes_without_an_agent(control: str) -> None:
    assert states(report(swarm(), hosts=()), control) == [State.NOT_CHECKED]


@pytest.mark.parametrize("control", FAULTS)
def test_nothing_passes_with_old_facts(control: str) -> None:
    old = hosts(HOST, HOST, HOST, seen=NOW - FRESH_SECONDS - 1)

    assert set(states(report(swarm(), hosts=old), control)) == {State.NOT_CHECKED}


@pytest.mark.parametrize("control", FAULTS)
def test_nodes_without_an_agent_are_counted_and_named(control: str) -> None:
    found = results(report(swarm(), hosts=hosts(HOST)), control)

    (unknown,) = [result for result in found if result.state is State.NOT_CHECKED]
    assert unknown.reason == "2 nodes without an agent: m2, m3"


@pytest.mark.parametrize("control", FAULTS)
def test_what_an_agent_could_not_read_is_an_error(control: str) -> None:
    blind = HostReport(
        version=1,
        problems=dict.fromkeys(Part, "permission denied"),
        daemon=None,
        files=None,
        listeners=None,
        swarm=None,
        swaps=None,
    )
    found = results(report(swarm(), hosts=hosts(blind, blind, blind)), control)

    assert {result.state for result in found} == {State.ERROR}
    assert {result.reason for result in found} == {"permission denied"}


@pytest.mark.parametrize("control", FAULTS)
def test_facts_that_cannot_be_read_any_more_are_an_error(control: str) -> None:
    unread = HostFact(node="m1", last_seen=NOW, sha256=DIGEST, report=None, problem="of another version")

    assert State.ERROR in states(report(swarm(), hosts=(unread,)), control)
    assert State.PASS not in states(report(swarm(), hosts=(unread,)), control)


def test_an_agent_of_a_node_that_is_gone_counts_for_nothing() -> None:
    bad = HostFact(node="gone", last_seen=NOW, sha256=DIGEST, report=FAULTS["CIS-2.7"])

    assert set(states(report(swarm(), hosts=(*hosts(HOST, HOST, HOST), bad)), "CIS-2.7")) == {State.PASS}


def test_hosts_are_judged_where_no_manager_was_asked() -> None:
    assert states(report(), "CIS-3.1") == [State.PASS] * 3


def test_a_file_that_does_not_exist_is_not_applicable_and_a_link_is_for_a_person() -> None:
    linked = with_files(lambda file: replace(file, kind=Kind.LINK, mode=0o777), Purpose.DAEMON_CONFIG)
    bare = replace(HOST, files=[])

    found = report(swarm(), hosts=hosts(linked, bare, HOST))
    assert set(states(found, "CIS-3.18")) == {State.MANUAL, State.NOT_APPLICABLE, State.PASS}
    assert State.PASS in states(found, "CIS-3.17")


def test_a_worker_is_not_asked_for_what_only_managers_have() -> None:
    answers = swarm()
    del answers["/nodes"][2]["ManagerStatus"]
    worker = replace(without_plugin(), listeners=[], daemon=FAULTS["SWS-02"].daemon)
    made = report(answers, hosts=hosts(HOST, HOST, worker))

    assert states(made, "SWS-11") == [State.PASS] * 2
    assert states(made, "SWS-02") == [State.PASS] * 2
    assert states(made, "CIS-7.2") == [State.PASS, State.PASS, State.NOT_APPLICABLE]
    assert State.FAIL in states(made, "CIS-2.7")
