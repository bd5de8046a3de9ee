"""The Swarm part of a Docker Engine's API, in this process: for failures and sizes that no real engine shows on demand.

It keeps one Swarm and its nodes as JSON in the shapes that Docker Engine 20.10 was seen to give, checks versions as
SwarmKit does, and moves a rotation on by one node at each ``GET /nodes``. What only a real engine can tell (that the
shapes and the order of checks are right) is told by tests/swarm, where the same client meets one.
"""

from __future__ import annotations

import base64
import copy
import json
import ssl
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.peers.http_handler import Answering, StandIn, UnixServer, json_handler, path_of

Json = dict[str, Any]
NOT_A_MANAGER = 'This node is not a swarm manager. Use "docker swarm init" to connect this node to swarm and try again.'
LOCKED = 'Swarm is encrypted and needs to be unlocked before it can be used. Please use "docker swarm unlock".'
OUT_OF_SEQUENCE = "rpc error: code = Unknown desc = update out of sequence"
UNLOCK_KEY = "SWMKEY-1-" + "a" * 43


class Refused(Exception):
    """An answer with a status other than 200."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def tls_info(root_pem: str, issuer_pem: str) -> Json:
    """``TLSInfo`` of a Swarm or a node."""
    issuer = x509.load_pem_x509_certificate(issuer_pem.encode())
    spki = issuer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "TrustRoot": root_pem,
        "CertIssuerSubject": base64.b64encode(issuer.subject.public_bytes()).decode(),
        "CertIssuerPublicKey": base64.b64encode(spki).decode(),
    }


class SimulatedManager(StandIn):
    """One Swarm behind a unix socket, or behind TCP.

    Args:
        socket: where it listens; a TCP port of loopback where it is None.
        cluster_id: of the Swarm.
        root_pem: its present root.
        tls: of the TCP port.
    """

    def __init__(
        self, socket: Path | None, *, cluster_id: str, root_pem: str, tls: ssl.SSLContext | None = None
    ) -> None:
        self.root_pem = root_pem
        self.issuer_pem = root_pem
        self.version = 10
        self.writes: list[Json] = []
        self.refuse: dict[str, Refused] = {}
        """Path to what it answers instead."""
        self.hang: set[str] = set()
        """Paths that never answer."""
        self.before_write: Callable[[], None] | None = None
        """Called once between the reading of a request to write and its check."""
        self.raw: dict[str, bytes] = {}
        """Path to a body that is sent as it is."""
        self.is_locked = False
        self.stuck: set[str] = set()
        """Host names of nodes that a rotation does not reach."""
        self.spec: Json = {
            "Name": "default",
            "Labels": {},
            "Orchestration": {"TaskHistoryRetentionLimit": 5},
            "Raft": {"SnapshotInterval": 10000, "LogEntriesForSlowFollowers": 500, "ElectionTick": 10},
            "Dispatcher": {"HeartbeatPeriod": 5_000_000_000},
            "CAConfig": {"NodeCertExpiry": 7_776_000_000_000_000, "ForceRotate": 3},
            "TaskDefaults": {},
            "EncryptionConfig": {"AutoLockManagers": False},
            "MemberOfALaterVersion": {"kept": [1, 2.5, None]},
        }
        self.cluster_id = cluster_id
        self.nodes: list[Json] = []
        server = _server(socket, json_handler(_answering(self)), tls)
        super().__init__(server)
        self.url = f"unix://{socket}" if socket else f"tcp://localhost:{server.server_address[1]}"

    def add_node(self, node_id: str, hostname: str, role: str, *, state: str = "ready") -> Json:
        """Put a node into the Swarm."""
        node: Json = {
            "ID": node_id,
            "Version": {"Index": 20 + len(self.nodes)},
            "Spec": {"Labels": {}, "Role": role, "Availability": "active"},
            "Description": {
                "Hostname": hostname,
                "Platform": {"Architecture": "x86_64", "OS": "linux"},
                "Engine": {"EngineVersion": "20.10.24+dfsg1"},
                "TLSInfo": tls_info(self.root_pem, self.issuer_pem),
            },
            "Status": {"State": state, "Addr": f"192.0.2.{len(self.nodes) % 250 + 1}"},
        }
        if role == "manager":
            leads = not any("ManagerStatus" in other for other in self.nodes)
            node["ManagerStatus"] = {"Reachability": "reachable", "Addr": "192.0.2.1:2377"}
            if leads:
                node["ManagerStatus"]["Leader"] = True
        self.nodes.append(node)
        return node

    def answer(self, method: str, target: str, body: bytes) -> bytes:
        """Answer one request."""
        path = path_of(target)
        query = {name: values[0] for name, values in parse_qs(urlsplit(target).query).items()}
        if path in self.hang:
            self.ended.wait(30)
        if path in self.refuse:
            raise self.refuse[path]
        if path in self.raw:
            return self.raw[path]
        document = json.loads(body) if body else {}
        return json.dumps(self._route(method, path, query, document)).encode()

    def _route(self, method: str, path: str, query: dict[str, str], body: Json) -> Any:
        match method, path.strip("/").split("/"):
            case "GET", ["version"]:
                return {"ApiVersion": "1.41", "Version": "20.10.24+dfsg1"}
            case "GET", ["info"]:
                return self._info()
            case "POST", ["swarm", "unlock"]:
                return self._unlock(body)
        if self.is_locked:
            raise Refused(503, LOCKED)
        match method, path.strip("/").split("/"):
            case "GET", ["swarm"]:
                return self._swarm()
            case "GET", ["swarm", "unlockkey"]:
                return {"UnlockKey": UNLOCK_KEY if self.spec["EncryptionConfig"]["AutoLockManagers"] else ""}
            case "POST", ["swarm", "update"]:
                return self._update(query, body)
            case "GET", ["nodes"]:
                self._move_on()
                return self.nodes
            case "GET", ["nodes", node_id]:
                return self._node(node_id)
            case "POST", ["nodes", node_id, "update"]:
                return self._update_node(self._node(node_id), query, body)
            case "DELETE", ["nodes", node_id]:
                return self.nodes.remove(self._node(node_id))
        raise Refused(404, "page not found")

    def _info(self) -> Json:
        state = "locked" if self.is_locked else "active"
        now = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        swarm = {"LocalNodeState": state, "NodeID": "n1", "ControlAvailable": not self.is_locked}
        return {
            "ServerVersion": "20.10.24+dfsg1",
            "Driver": "overlay2",
            "SystemTime": f"{now}.123456789Z",
            "Swarm": swarm,
        }

    def _swarm(self) -> Json:
        return {
            "ID": self.cluster_id,
            "Version": {"Index": self.version},
            "Spec": {**self.spec, "CAConfig": {k: v for k, v in self.spec["CAConfig"].items() if "Signing" not in k}},
            "TLSInfo": tls_info(self.root_pem, self.issuer_pem),
            "RootRotationInProgress": self.issuer_pem != self.root_pem,
            "JoinTokens": {"Worker": "SWMTKN-1-w", "Manager": "SWMTKN-1-m"},
        }

    def _update(self, query: dict[str, str], body: Json) -> None:
        if self.before_write is not None:
            hook, self.before_write = self.before_write, None
            hook()
        wanted = body.get("CAConfig", {}).get("SigningCACert")
        if int(query["version"]) != self.version:
            raise Refused(500, OUT_OF_SEQUENCE)
        self.version += 1
        self.writes.append(copy.deepcopy(body))
        self.spec = body
        if wanted and wanted != self.root_pem:
            self.issuer_pem = wanted

    def _update_node(self, node: Json, query: dict[str, str], body: Json) -> None:
        if int(query["version"]) != node["Version"]["Index"]:
            raise Refused(500, OUT_OF_SEQUENCE)
        node["Version"]["Index"] += 1
        node["Spec"] = body
        if body["Role"] == "worker":
            node.pop("ManagerStatus", None)

    def _node(self, node_id: str) -> Json:
        for node in self.nodes:
            if node["ID"] == node_id:
                return node
        raise Refused(404, f"node {node_id} not found")

    def _move_on(self) -> None:
        """Give one more node its certificate of the new root; with the last, the rotation is over."""
        if self.issuer_pem == self.root_pem:
            return
        target = tls_info(self.root_pem, self.issuer_pem)
        waiting = [node for node in self.nodes if node["Description"]["TLSInfo"] != target]
        for node in waiting:
            if node["Description"]["Hostname"] not in self.stuck:
                node["Description"]["TLSInfo"] = target
                return
        if not waiting:
            self.root_pem = self.issuer_pem
            for node in self.nodes:
                node["Description"]["TLSInfo"] = tls_info(self.root_pem, self.issuer_pem)

    def _unlock(self, body: Json) -> None:
        if not self.is_locked:
            raise Refused(409, "swarm is not locked")
        if body.get("UnlockKey") != UNLOCK_KEY:
            raise Refused(401, "swarm could not be unlocked: invalid key provided")
        self.is_locked = False


def _server(socket: Path | None, handler: type[BaseHTTPRequestHandler], tls: ssl.SSLContext | None) -> Any:
    if socket is not None:
        return UnixServer(str(socket), handler)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    return server


def _answering(manager: SimulatedManager) -> Answering:
    def answer(method: str, target: str, body: bytes) -> tuple[int, bytes]:
        try:
            return 200, manager.answer(method, target, body)
        except Refused as refused:
            return refused.status, json.dumps({"message": str(refused)}).encode()

    return answer
