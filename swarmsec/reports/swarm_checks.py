"""Checks of a Swarm from its manager's API: managers, certificates, autolock, networks, engines.

Where the usual checker counts lines of output, these ask the manager: section 7 of the CIS Docker Benchmark 1.6 is
judged by what the whole Swarm is, not by what one host prints.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from cryptography import x509

from swarmsec.reports.checks import checks, for_a_person, judged, not_applicable
from swarmsec.reports.facts import Facts, Json, Unknown, labels, listed, part, text
from swarmsec.reports.model import Finding, Resource, State

INFO: Final = "/info"
SWARM: Final = "/swarm"
NODES: Final = "/nodes"
NETWORKS: Final = "/networks"
DAY_NS: Final = 86_400 * 10**9
MAX_CERTIFICATE_DAYS: Final = 90
MIN_ROOT_DAYS: Final = 365
"""Docker refuses to move to a root with less."""
MAX_ROOTS_TEXT: Final = 65_536
FIXED_OVERLAY: Final = ((20, 10, 24), (23, 0, 3))
"""First versions without CVE-2023-28840, 28841 and 28842 (overlay traffic in the clear)."""
_VERSION: Final = re.compile(r"(\d+)\.(\d+)\.(\d+)")


def _swarm(facts: Facts) -> Resource:
    return Resource(type="swarm", id=text(facts.object(SWARM), "ID"))


def _node(node: Json) -> Resource:
    return Resource(type="node", id=text(node, "ID"), name=text(node, "Description", "Hostname"))


def _managers(facts: Facts) -> list[Json]:
    return [node for node in facts.objects(NODES) if part(node, "ManagerStatus") is not None]


def _engine(facts: Facts) -> tuple[Json, Resource]:
    info = facts.object(INFO)
    return info, Resource(type="engine", id=text(info, "ID"), name=text(info, "Name"))


@checks("CIS-5.1", INFO)
def swarm_mode_is_meant(facts: Facts) -> Iterable[Finding]:
    """Swarm mode is on where it is meant to be; a report over a Swarm means it."""
    info, engine = _engine(facts)
    state = text(info, "Swarm", "LocalNodeState") or "inactive"
    reason = "this report is about a Swarm, so Swarm mode is meant"
    yield not_applicable(engine, f"Swarm mode is {state}", "off where it is not needed", reason)


@checks("CIS-7.1", SWARM, NODES)
def managers_are_few_and_odd(facts: Facts) -> Iterable[Finding]:
    """Enough managers to lose one, an odd number, and not more than are needed."""
    managers = _managers(facts)
    expected = "an odd number of managers, 3 to 7"
    observed = f"{len(managers)} manager{'s' if len(managers) != 1 else ''}"
    yield judged(len(managers) in {3, 5, 7}, _swarm(facts), observed, expected)


@checks("SWS-14", SWARM, NODES)
def quorum_has_a_margin(facts: Facts) -> Iterable[Finding]:
    """One more manager may be lost without losing the Swarm."""
    managers, reachable, needed = _quorum(facts)
    observed = f"{reachable} of {managers} managers are reachable, {needed} are needed"
    yield judged(reachable > needed, _swarm(facts), observed, "at least one more than are needed")


def quorum_margin(facts: Facts) -> int | None:
    """How many managers may be lost before the Swarm loses its quorum; None where they could not be read."""
    try:
        _, reachable, needed = _quorum(facts)
    except Unknown:
        return None
    return reachable - needed


def _quorum(facts: Facts) -> tuple[int, int, int]:
    """How many managers there are, how many of them are reachable, and how many are needed."""
    managers = _managers(facts)
    reachable = sum(text(node, "ManagerStatus", "Reachability") == "reachable" for node in managers)
    return len(managers), reachable, len(managers) // 2 + 1


@checks("CIS-7.3", NETWORKS)
def overlays_are_encrypted(facts: Facts) -> Iterable[Finding]:
    """Traffic between tasks is encrypted on every overlay network that tasks use."""
    expected = "the option encrypted"
    for network in facts.objects(NETWORKS):
        if text(network, "Driver") != "overlay" or text(network, "Scope") != "swarm":
            continue
        resource = Resource(type="network", id=text(network, "Id"), name=text(network, "Name"))
        encrypted = "encrypted" in labels(network, "Options")
        if part(network, "Ingress") is True:
            reason = "published ports; services reach each other over their own networks"
            yield not_applicable(resource, f"ingress, {'' if encrypted else 'not '}encrypted", expected, reason)
            continue
        yield judged(encrypted, resource, "encrypted" if encrypted else "not encrypted", expected)


@checks("CIS-7.5", SWARM)
def managers_are_locked(facts: Facts) -> Iterable[Finding]:
    """What managers keep on disk is worth nothing without the unlock key, which is never asked for here."""
    locked = part(facts.object(SWARM), "Spec", "EncryptionConfig", "AutoLockManagers") is True
    yield judged(locked, _swarm(facts), "on" if locked else "off", "autolock on")


@checks("CIS-7.7", SWARM)
def node_certificates_are_short(facts: Facts) -> Iterable[Finding]:
    """Node certificates end soon enough."""
    expiry = part(facts.object(SWARM), "Spec", "CAConfig", "NodeCertExpiry")
    if not isinstance(expiry, int) or isinstance(expiry, bool) or expiry <= 0:
        raise Unknown(State.ERROR, "the Swarm does not say how long its certificates live")
    days = expiry / DAY_NS
    expected = f"at most {MAX_CERTIFICATE_DAYS} days"
    yield judged(days <= MAX_CERTIFICATE_DAYS, _swarm(facts), f"{days:.4g} days", expected)


@checks("CIS-7.8", SWARM)
def root_is_rotated(facts: Facts) -> Iterable[Finding]:
    """No rotation hangs, and no root is about to end. Whether it is old enough to go is for its owner to say."""
    swarm = facts.object(SWARM)
    if part(swarm, "RootRotationInProgress") is True:
        yield judged(
            False, _swarm(facts), "a rotation is under way", "no unfinished rotation", "it may wait for a node"
        )
        return
    begun, ends = _root_dates(text(swarm, "TLSInfo", "TrustRoot"))
    if ends is not None and ends.timestamp() - facts.home.now <= MIN_ROOT_DAYS * 86_400:
        expected = f"a root that lasts for more than {MIN_ROOT_DAYS} days"
        yield judged(False, _swarm(facts), f"the root ends on {ends:%Y-%m-%d}", expected)
        return
    observed = f"the root is of {begun:%Y-%m-%d}, no rotation is under way" if begun else "no rotation is under way"
    reason = "how old a root may be is for its owner to say"
    yield for_a_person(_swarm(facts), observed, "rotated as often as your policy says", reason)


def _root_dates(pem: str) -> tuple[datetime | None, datetime | None]:
    """When the newest of the roots that nodes trust begins, and when the first of them ends; None if untold."""
    try:
        roots = x509.load_pem_x509_certificates(pem[:MAX_ROOTS_TEXT].encode("ascii", "replace"))
        return max(root.not_valid_before_utc for root in roots), min(root.not_valid_after_utc for root in roots)
    except ValueError:
        return None, None


@checks("SWS-13", NODES)
def managers_run_no_tasks(facts: Facts) -> Iterable[Finding]:
    """A container that breaks out does not break out onto a manager."""
    for node in _managers(facts):
        availability = text(node, "Spec", "Availability")
        yield judged(availability == "drain", _node(node), f"availability {availability}", "availability drain")


@checks("SWS-15", NODES)
def engines_are_fixed(facts: Facts) -> Iterable[Finding]:
    """No engine has the known faults of overlay encryption (CVE-2023-28840, 28841, 28842)."""
    for node in facts.objects(NODES):
        version = text(node, "Description", "Engine", "EngineVersion")
        found = _VERSION.match(version)
        if found is None:
            yield for_a_person(_node(node), f"version {version!r}", "20.10.24, 23.0.3 or later", "unknown version")
            continue
        numbers = tuple(map(int, found.groups()))
        branch = FIXED_OVERLAY[0] if numbers < (23, 0, 0) else FIXED_OVERLAY[1]
        yield judged(numbers >= branch, _node(node), f"version {version}", "20.10.24, 23.0.3 or later")


@checks("SWS-16", INFO)
def debug_is_off(facts: Facts) -> Iterable[Finding]:
    """A debugging daemon has written secrets into its log before (CVE-2019-13509)."""
    info, engine = _engine(facts)
    debug = part(info, "Debug") is True
    yield judged(not debug, engine, "debug on" if debug else "debug off", "debug off")


@checks("SWS-18", SWARM)
def authority_is_external(facts: Facts) -> Iterable[Finding]:
    """The root's key is not in raft, where every manager holds it."""
    authorities = listed(facts.object(SWARM), "Spec", "CAConfig", "ExternalCAs")
    observed = f"{len(authorities)} external" if authorities else "Docker's own, its key on every manager"
    yield judged(bool(authorities), _swarm(facts), observed, "an external authority")


@checks("CIS-2.1", INFO)
def daemon_is_rootless(facts: Facts) -> Iterable[Finding]:
    """Whether the daemon runs without root is a choice that a Swarm mostly cannot make."""
    info, engine = _engine(facts)
    rootless = any("rootless" in str(option) for option in listed(info, "SecurityOptions"))
    reason = "overlay networks need root on most hosts"
    if rootless:
        yield judged(True, engine, "rootless", "rootless where it is possible")
        return
    yield for_a_person(engine, "not rootless", "rootless where it is possible", reason)


@checks("CIS-2.5", INFO)
def registries_are_secure(facts: Facts) -> Iterable[Finding]:
    """Images come over TLS; loopback is Docker's default and counts for nothing."""
    info, engine = _engine(facts)
    indexes = part(info, "RegistryConfig", "IndexConfigs")
    members = indexes.items() if isinstance(indexes, Mapping) else ()
    insecure = sorted(str(name) for name, index in members if part(index, "Secure") is False)
    ranges = {str(item) for item in listed(info, "RegistryConfig", "InsecureRegistryCIDRs")}
    insecure += sorted(ranges - {"127.0.0.0/8", "::1/128"})
    observed = ", ".join(insecure) if insecure else "none"
    yield judged(not insecure, engine, f"insecure registries: {observed}", "no insecure registry")


@checks("CIS-2.2", NETWORKS)
def containers_of_the_bridge_are_apart(facts: Facts) -> Iterable[Finding]:
    """Containers of the default bridge reach each other only where somebody linked them."""
    for network in facts.objects(NETWORKS):
        if text(network, "Driver") != "bridge" or text(network, "Name") != "bridge":
            continue
        is_open = labels(network, "Options").get("com.docker.network.bridge.enable_icc", "true") != "false"
        resource = Resource(type="network", id=text(network, "Id"), name="bridge")
        yield judged(not is_open, resource, "icc on" if is_open else "icc off", "icc off")


@checks("CIS-2.6", INFO)
def the_storage_driver_is_kept_up(facts: Facts) -> Iterable[Finding]:
    """The storage driver is one that its makers still mend."""
    info, engine = _engine(facts)
    driver = text(info, "Driver")
    if not driver:
        raise Unknown(State.ERROR, "the engine does not say its storage driver")
    yield judged(driver != "aufs", engine, f"storage driver {driver[:64]}", "another driver than aufs")


@checks("CIS-2.9", INFO)
def user_namespaces_are_on(facts: Facts) -> Iterable[Finding]:
    """Root in a container is nobody outside."""
    info, engine = _engine(facts)
    remapped = any("userns" in str(option) for option in listed(info, "SecurityOptions"))
    yield judged(remapped, engine, "remapped" if remapped else "not remapped", "userns-remap")


@checks("CIS-2.12", INFO)
def an_authorization_plugin_is_there(facts: Facts) -> Iterable[Finding]:
    """Whoever reaches a manager's API reaches every secret; a plugin can say who may do what."""
    info, engine = _engine(facts)
    plugins = listed(info, "Plugins", "Authorization")
    yield judged(bool(plugins), engine, f"{len(plugins)} plugins", "an authorization plugin")


@checks("CIS-2.13", INFO)
def logs_leave_the_host(facts: Facts) -> Iterable[Finding]:
    """Logs are kept where a broken host does not take them along."""
    info, engine = _engine(facts)
    driver = text(info, "LoggingDriver")
    is_local = driver in {"json-file", "local", "none", ""}
    yield judged(not is_local, engine, f"logging driver {driver or 'unknown'}", "a driver that sends logs away")


@checks("CIS-2.15", INFO)
def live_restore_is_not_for_swarms(facts: Facts) -> Iterable[Finding]:
    """Live restore and Swarm mode exclude each other."""
    info, engine = _engine(facts)
    observed = "on" if part(info, "LiveRestoreEnabled") is True else "off"
    yield not_applicable(engine, observed, "on outside Swarm mode", "a Swarm's engine cannot have it")


@checks("CIS-2.18", INFO)
def experimental_features_are_off(facts: Facts) -> Iterable[Finding]:
    """Nothing runs that its makers call unfinished; engines since 19.03 decide that by feature."""
    info, engine = _engine(facts)
    is_on = part(info, "ExperimentalBuild") is True
    yield judged(not is_on, engine, f"experimental {'on' if is_on else 'off'}", "experimental off")


@checks("CIS-2.17", INFO)
def seccomp_is_on(facts: Facts) -> Iterable[Finding]:
    """Containers reach only the system calls that they may need."""
    info, engine = _engine(facts)
    options = [str(option) for option in listed(info, "SecurityOptions")]
    found = next((option for option in options if "name=seccomp" in option), "")
    is_good = bool(found) and "unconfined" not in found
    yield judged(is_good, engine, found or "no seccomp", "a seccomp profile")
