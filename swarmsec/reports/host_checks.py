"""Checks of hosts, from what the agent of each node says: the daemon's settings, ports, swap and plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from swarmsec.reports.checks import checks, for_a_person, judged, not_applicable
from swarmsec.reports.each_host import NODES, known_part, names_of, node_of, on_each_host, some
from swarmsec.reports.facts import Facts, HostFact, Json, Unknown, part, text
from swarmsec.reports.host_report import Daemon, HostFile, HostReport, Kind, Listener, Part, Purpose, SwarmAddresses
from swarmsec.reports.model import Finding, Resource, State

SECRETS: Final = "/secrets"
MANAGER_PORT: Final = 2377
_EVERYWHERE: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104  # what is looked for
_GOOD_LEVEL: Final = "info"


@checks("CIS-2.3")
def log_level_is_info(facts: Facts) -> Iterable[Finding]:
    """The daemon logs what happens, and not what is said."""
    return _on_each_daemon(
        facts, "log level info", lambda daemon: (daemon.log_level == _GOOD_LEVEL, f"log level {daemon.log_level}")
    )


@checks("CIS-2.4")
def iptables_are_kept(facts: Facts) -> Iterable[Finding]:
    """The daemon may change the packet filter, which is what keeps containers apart."""
    return _on_each_daemon(facts, "iptables on", lambda daemon: (daemon.iptables, _switch("iptables", daemon.iptables)))


@checks("CIS-2.7")
def tcp_asks_for_a_certificate(facts: Facts) -> Iterable[Finding]:
    """A daemon that listens on TCP asks for a client's certificate."""
    return _on_each_daemon(facts, "no TCP, or tlsverify", _tls)


@checks("CIS-2.14")
def no_new_privileges_by_default(facts: Facts) -> Iterable[Finding]:
    """The daemon gives containers no-new-privileges unless they ask otherwise."""
    return _on_each_daemon(
        facts,
        "no-new-privileges on",
        lambda daemon: (daemon.no_new_privileges, _switch("no-new-privileges", daemon.no_new_privileges)),
    )


@checks("CIS-2.16")
def no_userland_proxy(facts: Facts) -> Iterable[Finding]:
    """Published ports go through the kernel, not through one more process for each."""
    return _on_each_daemon(
        facts,
        "userland-proxy off",
        lambda daemon: (not daemon.userland_proxy, _switch("userland-proxy", daemon.userland_proxy)),
    )


@checks("CIS-7.2")
def swarm_ports_are_bound(facts: Facts) -> Iterable[Finding]:
    """A manager's port is bound to one address."""
    expected = f"port {MANAGER_PORT} on one address"

    def judge(fact: HostFact, report: HostReport) -> Iterator[Finding]:
        found = [item for item in known_part(report, Part.LISTENERS, report.listeners) if item.port == MANAGER_PORT]
        if not found:
            yield not_applicable(node_of(fact), f"nothing listens on {MANAGER_PORT}", expected, "this is no manager")
            return
        observed = f"port {MANAGER_PORT} on {_addresses(found)}"
        yield judged(all(item.address not in _EVERYWHERE for item in found), node_of(fact), observed, expected)

    return on_each_host(facts, expected, judge)


@checks("CIS-7.9")
def data_path_is_apart(facts: Facts) -> Iterable[Finding]:
    """Tasks talk over another address than managers do."""
    expected = "a data path address of its own"

    def judge(fact: HostFact, report: HostReport) -> Iterator[Finding]:
        if Part.SWARM in report.problems:
            raise Unknown(State.ERROR, report.problems[Part.SWARM])
        if report.swarm is None:
            yield not_applicable(node_of(fact), "no state of a Swarm", expected, "this engine is in no Swarm")
            return
        is_apart, observed = _apart(report.swarm)
        yield judged(is_apart, node_of(fact), observed, expected)

    return on_each_host(facts, expected, judge)


@checks("SWS-02", NODES)
def manager_api_asks_for_a_certificate(facts: Facts) -> Iterable[Finding]:
    """No manager's API is open to whoever reaches its port."""
    managers = {name for node in _managers(facts) for name in names_of(node)}
    expected = "no TCP, or tlsverify"

    def judge(fact: HostFact, report: HostReport) -> Iterator[Finding]:
        if fact.node in managers:
            is_good, observed = _tls(known_part(report, Part.DAEMON, report.daemon))
            yield judged(is_good, node_of(fact), observed, expected)

    return on_each_host(facts, expected, judge)


@checks("SWS-09")
def swap_is_safe(facts: Facts) -> Iterable[Finding]:
    """What is in memory reaches no disk in the clear."""
    expected = "no swap, or encrypted swap"

    def judge(fact: HostFact, report: HostReport) -> Iterator[Finding]:
        swaps = known_part(report, Part.SWAPS, report.swaps)
        bad = [swap.name for swap in swaps if not swap.is_safe]
        observed = f"in the clear: {some(bad)}" if bad else ("encrypted or in memory" if swaps else "no swap")
        yield judged(not bad, node_of(fact), observed, expected)

    return on_each_host(facts, expected, judge)


@checks("SWS-11", SECRETS, NODES)
def drivers_are_everywhere(facts: Facts) -> Iterable[Finding]:
    """Every manager has the driver of every driver secret, for any of them may lead."""
    secrets = facts.objects(SECRETS)
    drivers = sorted({driver for item in secrets if (driver := text(item, "Spec", "Driver", "Name"))})
    if not drivers:
        return
    managers = {name for node in _managers(facts) for name in names_of(node)}
    for driver in drivers:
        expected = f"driver {driver} on every manager"
        if ":" in driver:
            reason = "a managed plugin; see it on each manager with: docker plugin ls"
            yield for_a_person(Resource(type="driver", id=driver), "used by secrets", expected, reason)
            continue

        def judge(fact: HostFact, report: HostReport, driver: str = driver, said: str = expected) -> Iterator[Finding]:
            if fact.node in managers:
                files = known_part(report, Part.FILES, report.files)
                names = {file.path.rpartition("/")[2].rpartition(".")[0] for file in files if _is_plugin(file)}
                resource = Resource(type="driver", id=f"{driver} on {fact.node}")
                observed = "its socket is there" if driver in names else "no socket of its name"
                yield judged(driver in names, resource, observed, said)

        yield from on_each_host(facts, expected, judge)


def _on_each_daemon(facts: Facts, expected: str, look: Callable[[Daemon], tuple[bool, str]]) -> Iterable[Finding]:
    def judge(fact: HostFact, report: HostReport) -> Iterator[Finding]:
        is_good, observed = look(known_part(report, Part.DAEMON, report.daemon))
        yield judged(is_good, node_of(fact), observed, expected)

    return on_each_host(facts, expected, judge)


def _managers(facts: Facts) -> Sequence[Json]:
    return [node for node in facts.objects(NODES) if part(node, "ManagerStatus") is not None]


def _is_plugin(file: HostFile) -> bool:
    return file.purpose is Purpose.PLUGIN and (file.kind is Kind.SOCKET or not file.path.endswith(".sock"))


def _tls(daemon: Daemon) -> tuple[bool, str]:
    if not daemon.tcp_hosts:
        return True, "does not listen on TCP"
    asks = "asks for certificates" if daemon.tls_verify else "asks for no certificate"
    return daemon.tls_verify, f"listens on {some(daemon.tcp_hosts)} and {asks}"


def _apart(swarm: SwarmAddresses) -> tuple[bool, str]:
    if not swarm.data_path:
        return False, "no data path address; tasks and managers share one"
    advertised = swarm.advertise.rpartition(":")[0] or swarm.advertise
    is_apart = swarm.data_path not in {swarm.advertise, advertised}
    return is_apart, f"data path {swarm.data_path}, managers {advertised or 'unknown'}"


def _switch(name: str, is_on: bool) -> str:
    return f"{name} {'on' if is_on else 'off'}"


def _addresses(found: Iterable[Listener]) -> str:
    return some(sorted({item.address for item in found}))
