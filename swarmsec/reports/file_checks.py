"""Checks of the files around an engine: section 3 of the CIS Docker Benchmark 1.6, and the Swarm's own state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from swarmsec.reports.checks import checks, for_a_person, judged, not_applicable
from swarmsec.reports.each_host import known_part, node_of, on_each_host
from swarmsec.reports.facts import Facts, HostFact
from swarmsec.reports.host_report import HostFile, HostReport, Kind, Part, Purpose
from swarmsec.reports.model import Finding, Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRule:
    """What a benchmark asks of a file: its owner, or the permissions that it may have at most."""

    purpose: Purpose
    groups: tuple[str, ...] = ()
    mode: int | None = None


FILE_RULES: Final = {
    "CIS-3.1": FileRule(purpose=Purpose.SERVICE_UNIT, groups=("root",)),
    "CIS-3.2": FileRule(purpose=Purpose.SERVICE_UNIT, mode=0o644),
    "CIS-3.3": FileRule(purpose=Purpose.SOCKET_UNIT, groups=("root",)),
    "CIS-3.4": FileRule(purpose=Purpose.SOCKET_UNIT, mode=0o644),
    "CIS-3.5": FileRule(purpose=Purpose.CONFIG_DIRECTORY, groups=("root",)),
    "CIS-3.6": FileRule(purpose=Purpose.CONFIG_DIRECTORY, mode=0o755),
    "CIS-3.7": FileRule(purpose=Purpose.REGISTRY_CERTIFICATE, groups=("root",)),
    "CIS-3.8": FileRule(purpose=Purpose.REGISTRY_CERTIFICATE, mode=0o444),
    "CIS-3.9": FileRule(purpose=Purpose.TLS_CA, groups=("root",)),
    "CIS-3.10": FileRule(purpose=Purpose.TLS_CA, mode=0o444),
    "CIS-3.11": FileRule(purpose=Purpose.TLS_CERTIFICATE, groups=("root",)),
    "CIS-3.12": FileRule(purpose=Purpose.TLS_CERTIFICATE, mode=0o444),
    "CIS-3.13": FileRule(purpose=Purpose.TLS_KEY, groups=("root",)),
    "CIS-3.14": FileRule(purpose=Purpose.TLS_KEY, mode=0o400),
    "CIS-3.15": FileRule(purpose=Purpose.SOCKET, groups=("docker", "root")),
    "CIS-3.16": FileRule(purpose=Purpose.SOCKET, mode=0o660),
    "CIS-3.17": FileRule(purpose=Purpose.DAEMON_CONFIG, groups=("root",)),
    "CIS-3.18": FileRule(purpose=Purpose.DAEMON_CONFIG, mode=0o644),
    "CIS-3.19": FileRule(purpose=Purpose.DEFAULTS, groups=("root",)),
    "CIS-3.20": FileRule(purpose=Purpose.SYSCONFIG, mode=0o644),
    "CIS-3.21": FileRule(purpose=Purpose.SYSCONFIG, groups=("root",)),
    "CIS-3.22": FileRule(purpose=Purpose.DEFAULTS, mode=0o644),
    "CIS-3.23": FileRule(purpose=Purpose.CONTAINERD_SOCKET, groups=("root",)),
    "CIS-3.24": FileRule(purpose=Purpose.CONTAINERD_SOCKET, mode=0o660),
    "SWS-19": FileRule(purpose=Purpose.SWARM_STATE, mode=0o700),
    "SWS-20": FileRule(purpose=Purpose.SWARM_KEY, mode=0o600),
}
"""Control to what is asked; several files of a purpose are held against it one by one."""


def _by_rule(rule: FileRule) -> Callable[[Facts], Iterable[Finding]]:
    def judge(fact: HostFact, report: HostReport) -> Iterator[Finding]:
        found = [file for file in known_part(report, Part.FILES, report.files) if file.purpose is rule.purpose]
        for file in found:
            yield _judged_file(fact, file, rule)
        if not found:
            reason = "the engine of this node has none"
            yield not_applicable(node_of(fact), "no such file", _expected(rule), reason)

    def check(facts: Facts) -> Iterable[Finding]:
        return on_each_host(facts, _expected(rule), judge)

    check.__doc__ = f"The {rule.purpose.replace('-', ' ')} of each node's engine: {_expected(rule)}."
    return check


def _judged_file(fact: HostFact, file: HostFile, rule: FileRule) -> Finding:
    resource = Resource(type="file", id=f"{fact.node}:{file.path}")
    if file.kind is Kind.LINK:
        reason = "what a link leads to is not looked at"
        return for_a_person(resource, "a symbolic link", _expected(rule), reason)
    if rule.mode is not None:
        observed = f"mode {file.mode:04o}"
        return judged(not file.mode & ~rule.mode, resource, observed, _expected(rule))
    is_owned = file.uid == 0 and (file.group in rule.groups or (file.gid == 0 and "root" in rule.groups))
    observed = f"owner {file.owner or file.uid}:{file.group or file.gid}"
    return judged(is_owned, resource, observed, _expected(rule))


def _expected(rule: FileRule) -> str:
    if rule.mode is not None:
        return f"mode {rule.mode:04o} or less"
    return f"owner root:{' or root:'.join(rule.groups)}"


for _control, _rule in FILE_RULES.items():
    checks(_control)(_by_rule(_rule))
