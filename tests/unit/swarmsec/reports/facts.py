"""Facts for reports: a home and a Swarm that are as they should be, and ways to spoil them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from policies.bundled_files import bundled
from policies.controls import Catalogue, load_catalogue
from swarmsec.reports.assembling import assemble_report
from swarmsec.reports.facts import (
    Answer,
    CertificateFact,
    Facts,
    HomeFacts,
    HostFact,
    ImageFact,
    SecretFact,
    TrustRoleFact,
)
from swarmsec.reports.host_report import (
    Daemon,
    HostFile,
    HostReport,
    Kind,
    Listener,
    Purpose,
    SwarmAddresses,
)
from swarmsec.reports.model import Evidence, Report, Result, State

NOW = 1_800_000_000
DAY = 86_400
DIGEST = "a" * 64

IMAGE = f"registry.example/shop/api@sha256:{DIGEST}"


def host_file(purpose: Purpose, path: str, mode: int, *, kind: Kind = Kind.FILE, group: str = "root") -> HostFile:
    """A file of root."""
    return HostFile(
        purpose=purpose,
        path=path,
        kind=kind,
        mode=mode,
        uid=0,
        gid=0 if group == "root" else 999,
        owner="root",
        group=group,
    )


HOST = HostReport(
    version=1,
    problems={},
    daemon=Daemon(
        tcp_hosts=["tcp://10.0.0.1:2376"],
        tls_verify=True,
        iptables=True,
        userland_proxy=False,
        no_new_privileges=True,
        log_level="info",
    ),
    files=[
        host_file(Purpose.SERVICE_UNIT, "/lib/systemd/system/docker.service", 0o644),
        host_file(Purpose.SOCKET_UNIT, "/lib/systemd/system/docker.socket", 0o644),
        host_file(Purpose.CONFIG_DIRECTORY, "/etc/docker", 0o755, kind=Kind.DIRECTORY),
        host_file(Purpose.REGISTRY_CERTIFICATE, "/etc/docker/certs.d/registry.example/ca.crt", 0o444),
        host_file(Purpose.TLS_CA, "/etc/docker/ca.pem", 0o444),
        host_file(Purpose.TLS_CERTIFICATE, "/etc/docker/cert.pem", 0o444),
        host_file(Purpose.TLS_KEY, "/etc/docker/key.pem", 0o400),
        host_file(Purpose.SOCKET, "/run/docker.sock", 0o660, kind=Kind.SOCKET, group="docker"),
        host_file(Purpose.DAEMON_CONFIG, "/etc/docker/daemon.json", 0o644),
        host_file(Purpose.DEFAULTS, "/etc/default/docker", 0o644),
        host_file(Purpose.SYSCONFIG, "/etc/sysconfig/docker", 0o644),
        host_file(Purpose.CONTAINERD_SOCKET, "/run/containerd/containerd.sock", 0o660, kind=Kind.SOCKET),
        host_file(Purpose.SWARM_STATE, "/var/lib/docker/swarm", 0o700, kind=Kind.DIRECTORY),
        host_file(Purpose.SWARM_KEY, "/var/lib/docker/swarm/certificates/swarm-node.key", 0o600),
        host_file(Purpose.PLUGIN, "/run/docker/plugins/swarmsec.sock", 0o600, kind=Kind.SOCKET),
    ],
    listeners=[Listener(address="10.0.0.1", port=2377), Listener(address="0.0.0.0", port=7946)],
    swarm=SwarmAddresses(listen="10.0.0.1:2377", advertise="10.0.0.1:2377", data_path="10.1.0.1"),
    swaps=[],
)


def hosts(*reports: HostReport, seen: int = NOW - 60) -> tuple[HostFact, ...]:
    """Facts of the managers m1, m2, … that their agents brought."""
    return tuple(
        HostFact(node=f"m{number}", last_seen=seen, sha256=DIGEST, report=report)
        for number, report in enumerate(reports, start=1)
    )


HOME = HomeFacts(
    now=NOW,
    store_id="store-1",
    cluster_id="cluster1",
    log_size=42,
    log_problem="",
    checkpoint="swarmsec.dev/log/x/1\n42\nroot\n",
    witnesses=1,
    anchor_present=True,
    anchor_apart=True,
    last_backup=NOW - 3600,
    short_lifetimes=False,
    has_authority=True,
    root_not_after=NOW + 3650 * DAY,
    root_in_token=True,
    crl_next_update=NOW + DAY,
    certificates=(
        CertificateFact(
            subject_id="n1",
            role="manager",
            serial="01",
            status="valid",
            is_newest=True,
            is_overdue=False,
            not_after=NOW + 89 * DAY,
        ),
    ),
    standing_tokens={"manager": NOW - DAY, "worker": NOW - DAY},
    trust_roles=(TrustRoleFact(role="root", threshold=2, keys=3, custody="external", expires=NOW + 300 * DAY),),
    secrets=(SecretFact(name="team/app/db", changed=NOW - DAY),),
    unlock_key_rotated=NOW - DAY,
    images={IMAGE: ImageFact(standing="trusted", reason="", is_asked=True)},
    hosts=hosts(HOST, HOST, HOST),
)

_SERVICE: dict[str, Any] = {
    "ID": "svc1",
    "Spec": {
        "Name": "shop_api",
        "Labels": {},
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": IMAGE,
                "User": "1000",
                "Env": ["LANG=C", "DB_PASSWORD_FILE=/run/secrets/db"],
                "ReadOnly": True,
                "Privileges": {"NoNewPrivileges": True},
                "Healthcheck": {"Test": ["CMD", "true"]},
                "Secrets": [{"File": {"Name": "db", "Mode": 0o400}, "SecretID": "sec1", "SecretName": "team.app.db"}],
            },
            "Placement": {"Constraints": ["node.labels.tier == app"]},
            "Resources": {"Limits": {"MemoryBytes": 1 << 28}},
        },
    },
}


def _manager(number: int) -> dict[str, Any]:
    return {
        "ID": f"n{number}",
        "Spec": {"Role": "manager", "Availability": "drain"},
        "Description": {"Hostname": f"m{number}", "Engine": {"EngineVersion": "20.10.24+dfsg1"}},
        "ManagerStatus": {"Reachability": "reachable"},
    }


SWARM: dict[str, Any] = {
    "/info": {
        "ID": "e1",
        "Name": "m1",
        "Debug": False,
        "Driver": "overlay2",
        "ExperimentalBuild": False,
        "LoggingDriver": "syslog",
        "SecurityOptions": ["name=seccomp,profile=default", "name=userns", "name=rootless"],
        "Plugins": {"Authorization": ["guard"]},
        "RegistryConfig": {"IndexConfigs": {"docker.io": {"Secure": True}}, "InsecureRegistryCIDRs": ["127.0.0.0/8"]},
        "Swarm": {"LocalNodeState": "active"},
    },
    "/swarm": {
        "ID": "cluster1",
        "Spec": {
            "EncryptionConfig": {"AutoLockManagers": True},
            "CAConfig": {"NodeCertExpiry": 90 * DAY * 10**9, "ExternalCAs": [{"URL": "https://ca"}]},
        },
        "RootRotationInProgress": False,
    },
    "/nodes": [_manager(1), _manager(2), _manager(3)],
    "/services": [_SERVICE],
    "/tasks": [],
    "/networks": [
        {"Id": "o1", "Name": "back", "Driver": "overlay", "Scope": "swarm", "Options": {"encrypted": ""}},
        {"Id": "o2", "Name": "ingress", "Driver": "overlay", "Scope": "swarm", "Ingress": True, "Options": {}},
        {
            "Id": "b1",
            "Name": "bridge",
            "Driver": "bridge",
            "Scope": "local",
            "Options": {"com.docker.network.bridge.enable_icc": "false"},
        },
    ],
    "/secrets": [
        {
            "ID": "sec1",
            "CreatedAt": "2026-01-01T00:00:00.1Z",
            "Spec": {"Name": "team.app.db", "Driver": {"Name": "swarmsec"}},
        }
    ],
    "/configs": [{"ID": "c1", "Spec": {"Name": "nginx.conf"}}],
}


def swarm() -> dict[str, Any]:
    """The Swarm's answers, free to be spoiled."""
    return copy.deepcopy(SWARM)


def container(answers: dict[str, Any]) -> dict[str, Any]:
    """The container of its only service."""
    found: dict[str, Any] = answers["/services"][0]["Spec"]["TaskTemplate"]["ContainerSpec"]
    return found


def facts(answers: Mapping[str, Any] | None = None, **home: Any) -> Facts:
    """Facts from answers; without any, of a home whose manager nobody asked."""
    evidence = Evidence(source="unix:///docker.sock", query="GET", sha256=DIGEST)
    given = {path: Answer(document=document, evidence=evidence) for path, document in (answers or {}).items()}
    return Facts(home=replace(HOME, **home), answers=None if answers is None else given)


@cache
def catalogue() -> Catalogue:
    """The controls that ship."""
    return load_catalogue(bundled("controls.yaml"))


def report(answers: Mapping[str, Any] | None = None, **home: Any) -> Report:
    """A report over every control."""
    return report_of(facts(answers, **home))


def report_of(known: Facts) -> Report:
    """A report over every control from facts."""
    controls = catalogue()
    strict = controls.profiles["swarmsec-strict"]
    return assemble_report(
        known, controls, strict, profile="swarmsec-strict", created="2027-01-15T08:00:00Z", version="0.1.0"
    )


def results(made: Report, control_id: str) -> list[Result]:
    """The results of a control."""
    return [result for result in made.results if result.control.id == control_id]


def states(made: Report, control_id: str) -> list[State]:
    """The states of a control's results."""
    return [result.state for result in results(made, control_id)]
