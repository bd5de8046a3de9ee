"""A simulated Swarm in a process of its own: ``python -m tests.peers.large_swarm SOCKET ROOT-PEM NODES``.

Beside its nodes it has services with tasks, networks, secrets and configs, in the shapes and about the sizes that
Docker Engine 20.10 gives them.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from tests.peers.simulated_manager import SimulatedManager

MANAGERS = 7
SERVICES = 1_000
TASKS = 10_000
STACKS = 100
NETWORKS = 100
SECRETS = 500
CONFIGS = 200
_MADE = {"Version": {"Index": 7}, "CreatedAt": "2026-01-01T00:00:00.1Z", "UpdatedAt": "2026-01-01T00:00:00.1Z"}


def main(socket: str, root: str, nodes: str) -> None:
    """Answer until TERM."""
    manager = SimulatedManager(Path(socket), cluster_id="1nppxlup4gqjnyefueyhd1lwz", root_pem=Path(root).read_text())
    for number in range(int(nodes)):
        manager.add_node(f"n{number}", f"host-{number}", "manager" if number < MANAGERS else "worker")
    for path, objects in _objects(int(nodes)).items():
        manager.raw[path] = json.dumps(objects).encode()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    with manager:
        ended.wait()


def _objects(nodes: int) -> dict[str, list[dict[str, Any]]]:
    return {
        "/services": [_service(number) for number in range(SERVICES)],
        "/tasks": [_task(number, nodes) for number in range(TASKS)],
        "/networks": [
            {
                "Id": f"net{number}",
                "Name": f"stack{number}_default",
                "Driver": "overlay",
                "Scope": "swarm",
                "Options": {"encrypted": ""} if number % 2 else {},
            }
            for number in range(NETWORKS)
        ],
        "/secrets": [{"ID": f"sec{n}", **_MADE, "Spec": {"Name": f"secret.{n}"}} for n in range(SECRETS)],
        "/configs": [{"ID": f"cfg{n}", **_MADE, "Spec": {"Name": f"config.{n}"}} for n in range(CONFIGS)],
    }


def _service(number: int) -> dict[str, Any]:
    stack = f"stack{number % STACKS}"
    spec = {
        "Name": f"{stack}_service{number}",
        "Labels": {"com.docker.stack.namespace": stack, "com.docker.stack.image": f"registry.example/app{number}:1"},
        "TaskTemplate": _template(number),
        "Mode": {"Replicated": {"Replicas": TASKS // SERVICES}},
        "UpdateConfig": {"Parallelism": 1, "FailureAction": "rollback", "Order": "stop-first"},
        "EndpointSpec": {"Mode": "vip"},
    }
    return {"ID": f"svc{number}", **_MADE, "Spec": spec, "PreviousSpec": spec, "Endpoint": {"Spec": {"Mode": "vip"}}}


def _template(number: int) -> dict[str, Any]:
    image = f"registry.example/app{number}" + (f"@sha256:{number:064x}" if number % 2 else ":1")
    secret = {"File": {"Name": "db", "UID": "0", "GID": "0", "Mode": 0o400}, "SecretID": f"sec{number % SECRETS}"}
    return {
        "ContainerSpec": {
            "Image": image,
            "Labels": {"com.docker.stack.namespace": f"stack{number % STACKS}"},
            "Env": [f"SETTING_{n}=value {n}" for n in range(8)] + ["API_PASSWORD=x"] * (number % 10 == 0),
            "User": "1000" if number % 3 else "",
            "Secrets": [{**secret, "SecretName": f"secret.{number % SECRETS}"}],
            "Isolation": "default",
        },
        "Resources": {"Limits": {"MemoryBytes": 1 << 28}, "Reservations": {}},
        "RestartPolicy": {"Condition": "any", "Delay": 5_000_000_000, "MaxAttempts": 0},
        "Placement": {"Constraints": ["node.role == worker"]},
        "Networks": [{"Target": f"net{number % NETWORKS}", "Aliases": ["app"]}],
    }


def _task(number: int, nodes: int) -> dict[str, Any]:
    service = number % SERVICES
    return {
        "ID": f"task{number}",
        **_MADE,
        "Spec": _template(service),
        "ServiceID": f"svc{service}",
        "Slot": number // SERVICES + 1,
        "NodeID": f"n{number % nodes}",
        "Status": {"State": "running", "ContainerStatus": {"ContainerID": f"{number:064x}", "PID": number}},
        "DesiredState": "running",
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
