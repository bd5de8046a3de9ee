"""The part of a Docker Engine's API that carries secrets to services, in this process: for commands that are killed.

It keeps services and secrets as JSON in the shapes that Docker Engine 20.10 was seen to give, checks versions as
SwarmKit does, and ends every roll at once. What becomes of a roll on a real engine is shown by tests/swarm.
"""

from __future__ import annotations

import base64
import copy
import json
import threading
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.peers.http_handler import StandIn, UnixServer, json_handler, path_of

Json = dict[str, Any]
NODE = {
    "ID": "node1",
    "Version": {"Index": 7},
    "Spec": {"Role": "manager", "Availability": "active"},
    "Description": {"Hostname": "m1", "Engine": {"EngineVersion": "20.10.24"}},
    "Status": {"State": "ready", "Addr": "192.0.2.1"},
}


class ServiceManager(StandIn):
    """A manager's engine behind a unix socket.

    Args:
        socket: where it listens.
    """

    def __init__(self, socket: Path) -> None:
        super().__init__(UnixServer(str(socket), json_handler(self._answer)))
        self.services: dict[str, Json] = {}
        self.secrets: dict[str, Json] = {}
        self.url = f"unix://{socket}"
        self._numbers = 0
        self._lock = threading.Lock()

    def add_service(self, name: str) -> None:
        """A service of two tasks that uses no secret."""
        spec = {
            "Name": name,
            "Mode": {"Replicated": {"Replicas": 2}},
            "TaskTemplate": {"ContainerSpec": {"Image": "busybox"}},
        }
        self.services[f"id-{name}"] = {"ID": f"id-{name}", "Version": {"Index": 1}, "Spec": spec}

    def saved(self) -> tuple[Json, Json]:
        """What there is."""
        with self._lock:
            return copy.deepcopy((self.services, self.secrets))

    def restore(self, saved: tuple[Json, Json]) -> None:
        """Put back what was saved."""
        with self._lock:
            self.services, self.secrets = copy.deepcopy(saved)

    def references(self, name: str) -> list[Json]:
        """The Docker secrets in a service's specification."""
        container = self.services[f"id-{name}"]["Spec"]["TaskTemplate"]["ContainerSpec"]
        return list(container.get("Secrets") or [])

    def labels(self, name: str) -> dict[str, str]:
        """A service's labels."""
        return dict(self.services[f"id-{name}"]["Spec"].get("Labels") or {})

    def value(self, secret_id: str) -> bytes:
        """What Docker itself keeps of a secret."""
        return base64.b64decode(self.secrets[secret_id]["Spec"].get("Data", ""))

    def names(self) -> list[str]:
        """The names of all Docker secrets, sorted."""
        return sorted(item["Spec"]["Name"] for item in self.secrets.values())

    def _answer(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        query = {key: values[0] for key, values in parse_qs(urlsplit(target).query).items()}
        with self._lock:
            status, answer = self._route(method, path_of(target).strip("/").split("/"), query, body)
        return status, json.dumps(answer).encode()

    def _route(self, method: str, path: list[str], query: dict[str, str], body: bytes) -> tuple[int, Any]:
        filters = json.loads(query.get("filters", "{}"))
        match method, path:
            case "GET", ["version"]:
                return 200, {"ApiVersion": "1.41", "Version": "20.10.24"}
            case "GET", ["nodes"]:
                return 200, [NODE]
            case "GET", ["services"]:
                return 200, list(self.services.values())
            case "GET", ["services", name]:
                return _found(item for item in self.services.values() if name in {item["ID"], item["Spec"]["Name"]})
            case "POST", ["services", service_id, "update"]:
                return self._update(self.services[service_id], query, json.loads(body))
            case "GET", ["tasks"]:
                return 200, [task for service_id in filters["service"] for task in self._tasks(service_id)]
            case "GET", ["secrets"]:
                wanted = filters.get("name")
                return 200, [
                    item for item in self.secrets.values() if not wanted or item["Spec"]["Name"].startswith(*wanted)
                ]
            case "POST", ["secrets", "create"]:
                return self._create(json.loads(body))
            case "DELETE", ["secrets", secret_id]:
                return self._remove(secret_id)
        return 404, {"message": "page not found"}

    def _update(self, service: Json, query: dict[str, str], spec: Json) -> tuple[int, Any]:
        if int(query["version"]) != service["Version"]["Index"]:
            return 500, {"message": "rpc error: code = Unknown desc = update out of sequence"}
        service |= {"PreviousSpec": service["Spec"], "Spec": spec, "UpdateStatus": {"State": "completed"}}
        service["Version"] = {"Index": service["Version"]["Index"] + 1}
        return 200, {"Warnings": None}

    def _tasks(self, service_id: str) -> list[Json]:
        return [
            {
                "ID": f"task-{number}",
                "ServiceID": service_id,
                "NodeID": NODE["ID"],
                "Status": {"State": "running"},
                "DesiredState": "running",
                "Spec": self.services[service_id]["Spec"]["TaskTemplate"],
            }
            for number in range(2)
        ]

    def _create(self, spec: Json) -> tuple[int, Any]:
        if spec["Name"] in self.names():
            return 409, {"message": f"rpc error: code = AlreadyExists desc = secret {spec['Name']} already exists"}
        self._numbers += 1
        secret_id = f"secret{self._numbers}"
        self.secrets[secret_id] = {"ID": secret_id, "Version": {"Index": 1}, "Spec": spec}
        return 201, {"ID": secret_id}

    def _remove(self, secret_id: str) -> tuple[int, Any]:
        users = [
            item["Spec"]["Name"]
            for item in self.services.values()
            if secret_id in {used["SecretID"] for used in self.references(item["Spec"]["Name"])}
        ]
        if users:
            return 400, {"message": f"secret '{secret_id}' is in use by the following service(s): {', '.join(users)}"}
        if self.secrets.pop(secret_id, None) is None:
            return 404, {"message": f"secret {secret_id} not found"}
        return 204, None


def _found(items: Any) -> tuple[int, Any]:
    found = next(items, None)
    return (200, found) if found is not None else (404, {"message": "service not found"})
