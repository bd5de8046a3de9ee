"""A report over a real Swarm set up badly on purpose: every fault is found, named, and gone once it is mended."""

from __future__ import annotations

import http.server
import json
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.peers.engines import Engine, StartEngines
from tests.peers.namespaces import Site
from tests.peers.swarmsec_host import SwarmsecHost

PASSWORD: Final = "correct-horse-battery"
PLANTED: Final = {
    ("CIS-7.1", "swarm", ""): "2 managers",
    ("CIS-7.3", "network", "back"): "not encrypted",
    ("CIS-7.4", "service", "shop_api"): "in the environment: DB_PASSWORD",
    ("CIS-7.5", "swarm", ""): "off",
    ("SWS-03", "service", "shop_api"): "docker.sock is mounted",
    ("SWS-03", "service", "shop_web"): "docker.sock is mounted",
    ("SWS-04", "service", "shop_api"): "image busybox:local",
    ("SWS-05", "service", "shop_api"): "open to everybody in the container: db",
}
"""Control, type and name of the thing, and what is said of it."""

_CREATE: Final = ("service", "create", "--detach", "--no-resolve-image", "--replicas", "0")
_UPDATE: Final = ("service", "update", "--detach", "--no-resolve-image")
_PINNED: Final = f"registry.example/shop/api@sha256:{'a' * 64}"
_SOCKET: Final = "type=bind,source=/var/run/docker.sock,target=/var/run/docker.sock"


@pytest.fixture
def auditor(site: Site, peer_directory: Path) -> Iterator[SwarmsecHost]:
    """A home, made by ``ca init``."""
    with SwarmsecHost(site.add_host("audit"), peer_directory / "audit") as host:
        host.run("ca", "init", "--recovery-out", str(host.directory / "recovery.key"))
        yield host


def plant(manager: Engine, other: Engine) -> None:
    """Set a Swarm up badly."""
    manager.swarm_init()
    other.swarm_join(manager, role="manager")
    manager.wait_for_nodes("m1", "m2")
    manager.docker("network", "create", "--driver", "overlay", "back")
    manager.docker("secret", "create", "db", "-", stdin=PASSWORD.encode())
    faults = ("--env", f"DB_PASSWORD={PASSWORD}", "--mount", _SOCKET, "--secret", "db", "--network", "back")
    manager.docker(*_CREATE, "--name", "shop_api", *faults, "busybox:local")
    whole = "type=bind,source=/var/run/../run,target=/host"
    manager.docker(*_CREATE, "--name", "shop_web", "--mount", whole, _PINNED)


def mend(manager: Engine, third: Engine) -> None:
    """Do what the report says."""
    changes = ("--env-rm", "DB_PASSWORD", "--mount-rm", "/var/run/docker.sock", "--network-rm", "back")
    secret = ("--secret-rm", "db", "--secret-add", "source=db,mode=0400")
    manager.docker(*_UPDATE, *changes, *secret, "--image", _PINNED, "shop_api")
    manager.docker(*_UPDATE, "--mount-rm", "/host", "shop_web")
    manager.docker("network", "rm", "back")
    manager.docker("network", "create", "--driver", "overlay", "--opt", "encrypted", "back")
    third.swarm_join(manager, role="manager")
    manager.wait_for_nodes("m1", "m2", "m3")
    manager.docker("swarm", "update", "--autolock=true")


def found_in(document: dict[str, Any]) -> dict[tuple[str, str, str], tuple[str, str]]:
    """State and observation of every result, by control and thing."""
    return {
        (item["check_id"], item["resource"]["type"], item["resource"]["name"] or ""): (item["status"], item["observed"])
        for item in document["results"]
    }


def report(auditor: SwarmsecHost, url: str, *options: str, code: int = 0) -> str:
    """Make a report with every control."""
    done = auditor.run("audit", "report", "--docker", url, "--profile", "swarmsec-strict", *options, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout


class HalfReadable(socketserver.ThreadingUnixStreamServer):
    """A manager's socket that answers some paths with an error, as a proxy in front of Docker does."""

    daemon_threads = True

    def __init__(self, path: Path, behind: Engine, refused: Sequence[str]) -> None:
        self.behind = behind
        self.refused = tuple(refused)
        super().__init__(str(path), _Forward)


class _Forward(http.server.BaseHTTPRequestHandler):
    server: HalfReadable

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.endswith(self.server.refused):
            self._say(403, b'{"message": "not for you"}')
            return
        answer = self.server.behind.api("GET", self.path)
        self._say(answer.status, answer.body)

    def _say(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class calls it so
        """Say nothing."""


@contextmanager
def half_readable(path: Path, behind: Engine, *refused: str) -> Iterator[str]:
    """Serve such a socket; gives its address."""
    with HalfReadable(path, behind, refused) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"unix://{path}"
        finally:
            server.shutdown()
            thread.join()


def test_every_planted_fault_is_found_named_and_mended(
    engines: StartEngines, auditor: SwarmsecHost, peer_directory: Path
) -> None:
    manager, other = engines("m1", "m2")
    plant(manager, other)

    bad = json.loads(report(auditor, manager.url, "--format", "json"))
    found = found_in(bad)
    assert {key: found.get(key) for key in PLANTED} == {key: ("fail", said) for key, said in PLANTED.items()}
    assert found["SWS-04", "service", "shop_web"][0] == "pass"
    assert not bad["incomplete"]
    assert report(auditor, manager.url, "--fail-on", "high", code=1)
    for form in ("text", "json", "html", "markdown", "sarif", "junit"):
        text = report(auditor, manager.url, "--format", form)
        assert "shop" in text
        assert PASSWORD not in text

    with half_readable(peer_directory / "half.sock", manager, "/services", "/networks") as url:
        half = json.loads(report(auditor, url, "--format", "json", code=3))
        assert "COULD NOT BE READ" in report(auditor, url, "--allow-incomplete")
    states: dict[str, set[str]] = {}
    for item in half["results"]:
        states.setdefault(item["check_id"], set()).add(item["status"])
    assert half["incomplete"]
    assert {states[name] == {"error"} for name in ("CIS-7.3", "CIS-7.4", "SWS-03", "SWS-04", "SWS-05")} == {True}
    assert {states[name] == {"fail"} for name in ("CIS-7.1", "CIS-7.5")} == {True}

    (third,) = engines("m3")
    mend(manager, third)
    mended = found_in(json.loads(report(auditor, manager.url, "--format", "json")))
    assert {key: mended[key][0] for key in PLANTED} == dict.fromkeys(PLANTED, "pass")


HOST_FAULTS: Final = {
    ("CIS-3.16", "docker.sock"): "mode 0666",
    ("SWS-19", "swarm"): "mode 0755",
    ("SWS-20", "swarm-node.key"): "mode 0644",
    ("CIS-7.2", "m1"): "port 2377 on ::",
    ("CIS-2.4", "m1"): "iptables off",
    ("CIS-2.16", "m1"): "userland-proxy on",
    ("CIS-7.9", "m1"): "no data path address; tasks and managers share one",
}
"""Control and the end of the thing's name, and what is said of it."""
MENDED: Final = ("CIS-3.16", "SWS-19", "SWS-20", "CIS-7.2", "CIS-7.9")
"""What can be mended without starting the engine with other arguments."""


def on_node(engine: Engine, *arguments: str) -> str:
    """Run swarmsec in the namespaces of an engine, as on its host."""
    inside = ["nsenter", f"--target={engine.pid}", "--mount", "--net", "--pid", "--"]
    command = [*inside, sys.executable, "-c", "from swarmsec.cli import main; main()", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def of_hosts(auditor: SwarmsecHost, engine: Engine) -> dict[tuple[str, str], tuple[str, str]]:
    """State and observation of the controls of hosts, by control and the last part of the thing's name."""
    document = json.loads(report(auditor, engine.url, "--format", "json"))
    named = [item for item in document["results"] if item["check_id"] in {name for name, _ in HOST_FAULTS}]
    return {
        (item["check_id"], (item["resource"]["id"] or "").rpartition("/")[2]): (item["status"], item["observed"])
        for item in named
    }


def test_an_agent_tells_what_only_its_host_can(
    engines: StartEngines, auditor: SwarmsecHost, peer_directory: Path
) -> None:
    (engine,) = engines("m1")
    engine.swarm_init()
    state = engine.data_root / "swarm"
    key = state / "certificates" / "swarm-node.key"
    for path, mode in ((engine.socket, 0o666), (state, 0o755), (key, 0o644)):
        path.chmod(mode)
    assert {status for status, _ in of_hosts(auditor, engine).values()} == {"not_checked"}

    auditor.serve()
    token = auditor.run("ca", "token", "create", "--role", "agent", "--node-name", "m1").stdout.strip()
    identity = str(peer_directory / "agent")
    on_node(engine, "access", "enrol", "--server", auditor.url, "--token", token, "--dir", identity)
    agent = ("--server", auditor.url, "--identity", identity, "agent", "--once", "--pid-file", "/run/engine.pid")
    assert json.loads(on_node(engine, *agent, "--json")) == {"changed": True}
    assert json.loads(on_node(engine, *agent, "--json")) == {"changed": False}
    found = of_hosts(auditor, engine)
    assert {place: found.get(place) for place in HOST_FAULTS} == {k: ("fail", v) for k, v in HOST_FAULTS.items()}

    log = auditor.run("audit", "log", "--action", "agent.report", "--json").stdout
    (entry,) = [json.loads(line) for line in log.splitlines()]
    results = json.loads(report(auditor, engine.url, "--format", "json"))["results"]
    (socket,) = [item for item in results if item["check_id"] == "CIS-3.16"]
    assert socket["evidence"][0]["sha256"] == entry["fields"]["sha256"]
    assert entry["object"]["id"] == "m1"

    engine.docker("swarm", "leave", "--force")
    address = engine.address
    engine.swarm_init("--listen-addr", f"{address}:2377", "--data-path-addr", "127.0.0.1")
    for path, mode in ((engine.socket, 0o660), (state, 0o700), (key, 0o600)):
        path.chmod(mode)
    on_node(engine, *agent)
    mended = {name: said for (name, _), said in of_hosts(auditor, engine).items() if name in MENDED}
    assert {name: mended[name] for name in MENDED if mended[name][0] != "pass"} == {}
