"""A Swarm in memory that carries secrets: what a manager would say of services, tasks and Docker secrets.

Its rolls end at once. What a task of it does with a value is a function of the test's; where one fails, the update ends
as the service's own settings say. It answers the ports of ``services.secrets.delivery_ports``; the tests in tests/swarm
hold real engines to the same steps.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from swarmsec.docker.service_objects import parse_secret, parse_service, parse_task
from swarmsec.errors import AlreadyExists, NotFound, UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.secrets.service_records import DockerSecret, ServiceState, TaskState

ChangeService = Callable[[ServiceState, dict[str, Any]], dict[str, Any]]


class PowerCut(BaseException):
    """The process dies here: nothing that catches errors may catch it."""


@dataclass
class PretendSwarm:
    """One Swarm.

    Args:
        accepts: whether a task of a service comes up with this specification.
    """

    accepts: Callable[[str, dict[str, Any]], bool] = lambda service, spec: True
    cut_at: int = 0
    """The call, counted from 1, at which the process dies; 0 for never."""
    cut_after: bool = False
    """Whether Docker still did what it was asked then."""
    calls: int = 0
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    values: dict[str, bytes] = field(default_factory=dict)
    history: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Every specification's labels, in the order of their writing."""

    def add_service(self, name: str, **update: Any) -> str:
        """A service of two tasks; returns its id."""
        service_id = f"id-{name}"
        spec: dict[str, Any] = {
            "Name": name,
            "Mode": {"Replicated": {"Replicas": 2}},
            "TaskTemplate": {"ContainerSpec": {"Image": "busybox"}},
        }
        if update:
            spec["UpdateConfig"] = update
        self.objects[service_id] = {"ID": service_id, "Version": {"Index": 1}, "Spec": spec}
        return service_id

    def spec(self, service_id: str) -> dict[str, Any]:
        """The present specification."""
        found: dict[str, Any] = self.objects[service_id]["Spec"]
        return found

    def service(self, id_or_name: str) -> ServiceState:
        self._call()
        for item in self.objects.values():
            if id_or_name in {item["ID"], item["Spec"]["Name"]}:
                return parse_service(copy.deepcopy(item))
        raise NotFound(f"no service {id_or_name}")

    def services(self) -> Sequence[ServiceState]:
        self._call()
        return [parse_service(copy.deepcopy(item)) for item in self.objects.values()]

    def task(self, task_id: str) -> TaskState:
        raise NotFound(f"no task {task_id}")

    def tasks(self, service_id: str) -> Sequence[TaskState]:
        self._call()
        spec = self.spec(service_id)
        state = "running" if self.accepts(spec["Name"], spec) else "failed"
        return [
            parse_task(
                {
                    "ID": f"task-{number}",
                    "ServiceID": service_id,
                    "NodeID": "node1",
                    "Status": {"State": state, "Err": "" if state == "running" else "exit 3"},
                    "DesiredState": "running",
                    "Spec": spec["TaskTemplate"],
                }
            )
            for number in range(2)
        ]

    def hostname(self, node_id: str) -> str:
        return f"host-{node_id}"

    def node_names(self) -> list[tuple[str, str]]:
        return [("node1", "host-node1")]

    def secret(self, name: str) -> DockerSecret | None:
        return next((found for found in self.secrets() if found.name == name), None)

    def secrets(self) -> Sequence[DockerSecret]:
        self._call()
        return [parse_secret(item) for item in self.kept.values()]

    def create_driver_secret(self, name: str, labels: Mapping[str, str], driver: str) -> str:
        return self._keep({"Name": name, "Labels": dict(labels), "Driver": {"Name": driver}}, b"")

    def create_secret(self, name: str, labels: Mapping[str, str], value: SecretBytes) -> str:
        return self._keep({"Name": name, "Labels": dict(labels)}, value.reveal())

    def remove_secret(self, secret_id: str) -> None:
        if any(self._uses(item["Spec"], secret_id) for item in self.objects.values()):
            raise UsageProblem("a service uses it")
        self._call(lambda: self.kept.pop(secret_id, None))

    def change_service(self, service_id: str, change: ChangeService) -> None:
        item = self.objects[service_id]
        spec = change(parse_service(copy.deepcopy(item)), copy.deepcopy(item["Spec"]))
        self._call(lambda: self._write(item, spec))

    def roll_back(self, service_id: str) -> None:
        item = self.objects[service_id]
        self._call(lambda: self._write(item, item["PreviousSpec"]))

    def _write(self, item: dict[str, Any], spec: dict[str, Any]) -> None:
        former = item["Spec"]
        item |= {"Spec": spec, "PreviousSpec": former, "Version": {"Index": item["Version"]["Index"] + 1}}
        self.history.append((spec["Name"], dict(spec.get("Labels") or {})))
        item["UpdateStatus"] = {"State": "completed"}
        if not self.accepts(spec["Name"], spec):
            action = (spec.get("UpdateConfig") or {}).get("FailureAction", "pause")
            item["UpdateStatus"] = {"State": "rollback_completed" if action == "rollback" else "paused"}
            if action == "rollback":
                item |= {"Spec": former, "PreviousSpec": None}

    def _keep(self, spec: dict[str, Any], value: bytes) -> str:
        secret_id = f"secret-{spec['Name']}"
        if secret_id in self.kept:
            raise AlreadyExists(f"{spec['Name']} exists")

        def keep() -> None:
            self.kept[secret_id] = {"ID": secret_id, "Spec": spec}
            self.values[secret_id] = value

        self._call(keep)
        return secret_id

    def _uses(self, spec: dict[str, Any], secret_id: str) -> bool:
        listed = spec["TaskTemplate"]["ContainerSpec"].get("Secrets") or []
        return secret_id in {reference["SecretID"] for reference in listed}

    def _call(self, effect: Callable[[], object] = lambda: None) -> None:
        self.calls += 1
        dies = self.calls == self.cut_at
        if dies and not self.cut_after:
            raise PowerCut
        effect()
        if dies:
            raise PowerCut
