"""Every role on every route of the real server: what the access table says is what callers meet, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from ca.identity import NodeRole
from policies.bundled_files import bundled
from swarmsec.http import RoleKind
from swarmsec.services.swarm.trust_swarm import trust_swarm
from tests.integration.serve_clients import Bearer, ForeignSwarm
from tests.integration.serve_world import ServedHome
from tests.peers.namespaces import Site
from tests.unit.swarmsec.homes import OPERATOR

ROUTE_NAMES = {
    ("GET", "/healthz"): "healthz",
    ("GET", "/readyz"): "readyz",
    ("GET", "/metrics"): "metrics",
    ("GET", "/openapi.json"): "openapi",
    ("GET", "/api/v1/whoami"): "whoami",
    ("GET", "/api/v1/ca/bundle"): "ca.bundle",
    ("GET", "/api/v1/ca/crl"): "ca.crl",
    ("GET", "/api/v1/ca/crl/{root}"): "ca.crl-of-root",
    ("POST", "/api/v1/node/join"): "node.join",
    ("POST", "/api/v1/access/enrol"): "access.enrol",
    ("POST", "/api/v1/secrets/deliver"): "secrets.deliver",
    ("POST", "/api/v1/node/renew"): "node.renew",
    ("POST", "/api/v1/node/check"): "node.check",
    ("POST", "/api/v1/node/recover"): "node.recover",
    ("PUT", "/api/v1/agent/facts"): "agent.facts",
    ("POST", "/api/v1/cfssl/sign"): "cfssl.sign",
    ("GET", "/api/v1/ca/certificates"): "ca.certificates",
    ("GET", "/api/v1/policies"): "policies.list",
    ("GET", "/log/checkpoint"): "log.checkpoint",
    ("GET", "/log/tile/{path}"): "log.tile",
    ("POST", "/log/cosignatures"): "log.cosignatures",
    ("GET", "/tuf/{name}"): "tuf.file",
    ("GET", "/tuf/policy/{name}"): "tuf.policy",
    ("POST", "/api/v1/trust/images"): "trust.sign",
    ("GET", "/api/v1/trust/changes"): "trust.pending",
    ("POST", "/api/v1/trust/signatures"): "trust.signatures",
}
"""The access table's names of the routes, written out: a route that nobody thought about has none here."""
ALLOWED = {
    "/log/tile/": 404,
    "/api/v1/agent/facts": 400,
    "/api/v1/access/enrol": 400,
    "/api/v1/secrets/deliver": 400,
    "/log/cosignatures": 400,
    "/api/v1/trust/images": 400,
    "/api/v1/trust/signatures": 400,
    "/api/v1/ca/crl/": 404,
    "/tuf/": 404,
    "/tuf/policy/": 404,
}
"""What an empty request gets from whoever may ask, where that is not 200."""
IDENTITIES = ("admin", "operator", "auditor", "signer:registry.example/app", "driver", "agent:node-1")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    directory = tmp_path_factory.mktemp("roles")
    with pytest.MonkeyPatch.context() as patch, ServedHome(directory) as home:
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        yield home.create().serve()


@pytest.fixture(scope="module")
def callers(served: ServedHome) -> dict[str, tuple[RoleKind, Bearer | None]]:
    """A caller of every kind, by a word for the test's name."""
    swarm = ForeignSwarm(served.cluster_id, served.directory)
    served.write(lambda transaction, authority: trust_swarm(transaction, authority, swarm.root_pem, OPERATOR))
    foreign = swarm.node(NodeRole.MANAGER, "foreignmanager")
    served.wait_status(403, "GET", "/api/v1/whoami", foreign)
    found: dict[str, tuple[RoleKind, Bearer | None]] = {
        role.partition(":")[0]: (RoleKind(role.partition(":")[0]), served.identity(role)) for role in IDENTITIES
    }
    return found | {
        "worker": (RoleKind.NODE, served.joined(NodeRole.WORKER)),
        "manager": (RoleKind.SWARM_MANAGER, served.joined(NodeRole.MANAGER)),
        "foreign manager": (RoleKind.SWARM_MANAGER, foreign),
        "anonymous": (RoleKind.ANONYMOUS, None),
    }


@pytest.fixture(scope="module")
def document(served: ServedHome, callers: Mapping[str, tuple[RoleKind, Bearer | None]]) -> Any:
    answer = served.ask("GET", "/openapi.json", callers["admin"][1])
    assert answer.status == 200
    return answer.json()


def _table() -> dict[str, dict[str, list[str]]]:
    loaded: dict[str, dict[str, list[str]]] = yaml.safe_load(bundled("access.yaml"))["routes"]
    return loaded


def _operations(document: Any) -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}


def test_every_route_has_an_entry_and_every_entry_a_route(document: Any) -> None:
    assert _operations(document) == set(ROUTE_NAMES)
    assert set(_table()) == set(ROUTE_NAMES.values())


def test_there_is_a_caller_of_every_role(callers: Mapping[str, tuple[RoleKind, Bearer | None]]) -> None:
    assert {kind for kind, _ in callers.values()} == set(RoleKind)


@pytest.mark.parametrize("route", sorted(ROUTE_NAMES))
def test_roles_on_a_route(
    route: tuple[str, str], served: ServedHome, callers: Mapping[str, tuple[RoleKind, Bearer | None]]
) -> None:
    method, path = route
    entry = _table()[ROUTE_NAMES[route]]
    # These tests ask from the loopback address; what holds elsewhere is tested below.
    allowed = {*entry["roles"], *entry.get("loopbackOnly", [])}
    for word, (kind, bearer) in callers.items():
        asked = path.format(name="none", path="0/999", root="none")
        answer = served.ask(method, asked, bearer, b"{}" if method == "POST" else None)
        usual = 400 if path.startswith("/api/v1/node/") else 200
        expected = 403 if kind not in allowed else ALLOWED.get(path.split("{")[0], usual)
        assert answer.status == expected, (word, answer)
        if expected == 403:
            assert answer.message == f"role {kind} may not call {ROUTE_NAMES[route]}"


def test_a_caller_is_who_the_table_says(
    served: ServedHome, callers: Mapping[str, tuple[RoleKind, Bearer | None]]
) -> None:
    answer = served.ask("GET", "/api/v1/whoami", callers["signer"][1])

    assert answer.json()["role"] == "signer:registry.example/app"


def test_metrics_are_for_everybody_on_the_loopback_address_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    with Site() as site:
        here, there = site.add_host("ca"), site.add_host("peer")
        with ServedHome(tmp_path, wrapper=here.command([])) as home:
            home.create().serve(listen="0.0.0.0:0")
            auditor = home.identity("auditor")

            def ask(host: Any, url: str, *flags: str) -> str:
                command = ["curl", "--silent", "--insecure", "--output", "/dev/null", "--write-out", "%{http_code}"]
                return str(host.run([*command, *flags, url]).stdout)

            assert ask(here, f"https://127.0.0.1:{home.port}/metrics") == "200"
            assert ask(here, f"https://{here.address}:{home.port}/metrics") == "403"
            assert ask(there, f"https://{here.address}:{home.port}/metrics") == "403"
            assert ask(there, f"https://{here.address}:{home.port}/healthz") == "200"
            known = ("--cert", str(auditor.file), "--key", str(auditor.file))
            assert ask(there, f"https://{here.address}:{home.port}/metrics", *known) == "200"
