"""A home, a simulated Swarm, and a server that shows a certificate of the home."""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from ca.identity import NodeRole
from swarmsec.audit.entry import parse_entry
from swarmsec.docker.endpoint import DockerEndpoint
from swarmsec.docker.engine import EngineApi
from swarmsec.docker.swarm_engine import DockerSwarm
from swarmsec.services.swarm.convergence import Held
from swarmsec.services.swarm.swarm_link import SwarmLink, load_link
from swarmsec.wiring.serving.certificate import ServerCertificate
from swarmsec.wiring.swarm.adopting import Adoption, Preflight
from swarmsec.wiring.swarm.opening import OpenSwarm
from swarmsec.wiring.swarm.signing_endpoint import SigningUrl
from swarmsec.wiring.swarm.watching import RotationWatcher
from tests.peers.simulated_manager import SimulatedManager
from tests.unit.swarmsec.homes import OPERATOR, make_home
from tests.unit.swarmsec.services.desk import Desk, new_key
from tests.unit.swarmsec.wiring.ca.foreignroots import build_root

NODES = {"n1": NodeRole.MANAGER, "n2": NodeRole.MANAGER, "n3": NodeRole.WORKER}


class HandshakeServer:
    """Shakes hands with a home's certificate, as its server would, until it is closed."""

    def __init__(self, desk: Desk, directory: Path) -> None:
        self._desk, self._directory = desk, directory
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        if not self._thread.is_alive():
            return
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()

    def _context(self) -> ssl.SSLContext:
        material = ServerCertificate(self._desk.home.store, self._desk.authority, ("localhost",)).current()
        path = self._directory / "server.pem"
        path.write_bytes(material.certificate_chain_pem + material.key_pem.reveal())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection:
                try:
                    self._context().wrap_socket(connection, server_side=True).close()
                except OSError:
                    continue


@dataclass(slots=True, kw_only=True)
class World:
    """What a test moves."""

    desk: Desk
    manager: SimulatedManager
    server: HandshakeServer
    seen: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def swarm(self) -> OpenSwarm:
        endpoint = DockerEndpoint.parse(self.manager.url)
        link = self.desk.home.store.read(load_link)
        return OpenSwarm(engine=DockerSwarm(EngineApi(endpoint)), endpoint=endpoint, link=link)

    @property
    def link(self) -> SwarmLink | None:
        return self.desk.home.store.read(load_link)

    @property
    def url(self) -> SigningUrl:
        return SigningUrl.parse(f"https://localhost:{self.server.port}")

    def adoption(self) -> Adoption:
        return Adoption(
            home=self.desk.home, keys=self.desk.keys, swarm=self.swarm, url=self.url, sleep=lambda seconds: None
        )

    def watcher(self) -> RotationWatcher:
        return RotationWatcher(
            begins=lambda count: self.said.append(f"{count} nodes"),
            renewed=lambda node: self.seen.append(node.hostname),
            says=self.said.append,
        )

    def adopt(self, found: Preflight | None = None, timeout: timedelta = timedelta(minutes=1)) -> list[Held]:
        """Look and do it."""
        adoption = self.adoption()
        return list(adoption.carry_out(found or adoption.look(), OPERATOR, self.watcher(), timeout))

    def issue_all(self) -> None:
        """Give every node what a leader would ask for."""
        for node, role in NODES.items():
            self.desk.issue(role, node, new_key())

    def actions(self) -> list[tuple[str, str]]:
        """Action and outcome of every entry about a Swarm."""
        entries = self.desk.home.store.read(
            lambda transaction: [parse_entry(entry.data) for entry in transaction.log_entries.since(0)]
        )
        return [
            (str(entry["action"]), str(entry["outcome"]))
            for entry in entries
            if str(entry["action"]).startswith("swarm.")
        ]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A Swarm of two managers and a worker whose id the home has."""
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    home, keys, _ = make_home(tmp_path / "home")
    desk = Desk(home=home, keys=keys)
    root = build_root(ec.generate_private_key(ec.SECP256R1())).decode()
    with tempfile.TemporaryDirectory(prefix="ss-", dir="/tmp") as directory:
        made = SimulatedManager(Path(directory) / "d.sock", cluster_id=desk.authority.cluster_id, root_pem=root)
        for number, (node, role) in enumerate(NODES.items()):
            made.add_node(node, ("m1", "m2", "w1")[number], role.word)
        server = HandshakeServer(desk, tmp_path)
        with made:
            yield World(desk=desk, manager=made, server=server)
        server.close()
    home.close()
