"""Services, tasks and secrets of a Swarm through one of its managers.

A service's specification is read, changed and written whole, over the version that was read; see ``swarm_engine``.
"""

from __future__ import annotations

import base64
import copy
import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from swarmsec.docker.engine import EngineApi
from swarmsec.docker.service_objects import parse_each, parse_secret, parse_service, parse_task
from swarmsec.docker.swarm_engine import again_if_changed
from swarmsec.docker.swarm_objects import members_of, parse_node, required_text
from swarmsec.errors import NotFound, SwarmsecError, Unavailable, UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.secrets.service_records import DockerSecret, ServiceState, TaskState

_OBJECT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}", re.ASCII)
ChangeService = Callable[[ServiceState, dict[str, Any]], dict[str, Any]]


class DockerServices:
    """Answers the ports of ``services.secrets.delivery_ports``.

    Args:
        api: the engine.
    """

    def __init__(self, api: EngineApi) -> None:
        self._api = api

    def service(self, id_or_name: str) -> ServiceState:
        """One service, by its id or name.

        Raises:
            NotFound: there is none.
        """
        return parse_service(self._api.get(f"/services/{_path(id_or_name, 'service')}"))

    def services(self) -> Sequence[ServiceState]:
        """Every service."""
        return [parse_service(item) for item in self._list("/services")]

    def find_tasks(self, ids: Collection[str]) -> Mapping[str, TaskState | SwarmsecError]:
        """The tasks with these ids, in one question."""
        return parse_each(self._list("/tasks", {"id": dict.fromkeys(ids, True)}), ids, parse_task)

    def find_services(self, ids: Collection[str]) -> Mapping[str, ServiceState | SwarmsecError]:
        """The services with these ids, in one question."""
        return parse_each(self._list("/services", {"id": dict.fromkeys(ids, True)}), ids, parse_service)

    def tasks(self, service_id: str) -> Sequence[TaskState]:
        """The tasks of a service, those that ended included as long as the Swarm keeps them."""
        return [parse_task(item) for item in self._list("/tasks", {"service": {service_id: True}})]

    def hostname(self, node_id: str) -> str:
        """What a node calls itself.

        Raises:
            NotFound: there is no such node.
        """
        return parse_node(self._api.get(f"/nodes/{_path(node_id, 'node')}")).hostname

    def node_names(self) -> list[tuple[str, str]]:
        """Id and host name of every node."""
        return [(node.id, node.hostname) for node in map(parse_node, self._list("/nodes"))]

    def secret(self, name: str) -> DockerSecret | None:
        """The Docker secret of exactly this name, or None. Docker would take the beginning of an id as well."""
        for item in self._list("/secrets", {"name": {name: True}}):
            found = parse_secret(item)
            if found.name == name:
                return found
        return None

    def secrets(self) -> Sequence[DockerSecret]:
        """Every Docker secret."""
        return [parse_secret(item) for item in self._list("/secrets")]

    def create_driver_secret(self, name: str, labels: Mapping[str, str], driver: str) -> str:
        """Make a Docker secret whose value a driver gives; returns its id.

        Raises:
            AlreadyExists: the name is taken.
            Unavailable: the engine finds no such driver.
        """
        body = {"Name": name, "Labels": dict(labels), "Driver": {"Name": driver}}
        return self._created(body)

    def create_secret(self, name: str, labels: Mapping[str, str], value: SecretBytes) -> str:
        """Make a Docker secret that the Swarm itself keeps; returns its id.

        Raises:
            AlreadyExists: the name is taken.
        """
        body = {"Name": name, "Labels": dict(labels), "Data": base64.b64encode(value.reveal()).decode()}
        return self._created(body)

    def remove_secret(self, secret_id: str) -> None:
        """Remove a Docker secret that no service uses; nothing happens where there is none.

        Raises:
            UsageProblem: a service uses it.
        """
        try:
            self._api.call("DELETE", f"/secrets/{_path(secret_id, 'secret')}")
        except NotFound:
            return

    def change_service(self, service_id: str, change: ChangeService) -> None:
        """Write a changed specification.

        Args:
            service_id: of the service.
            change: the present state and a copy of its specification in, the whole new one out.

        Raises:
            Changed: somebody was faster, twice.
            NotFound: there is no such service.
        """

        def write() -> None:
            state = self.service(service_id)
            spec = change(state, copy.deepcopy(dict(state.spec)))
            self._api.call("POST", f"/services/{state.id}/update", query={"version": str(state.version)}, body=spec)

        again_if_changed(write)

    def _created(self, body: dict[str, Any]) -> str:
        answer = members_of(self._api.call("POST", "/secrets/create", body=body), "/secrets/create")
        return required_text(answer, "ID", "/secrets/create")

    def _list(self, path: str, filters: Mapping[str, Mapping[str, bool]] | None = None) -> list[Any]:
        query = {"filters": json.dumps(filters)} if filters else None
        answer = self._api.get(path, query)
        if answer is None:
            return []
        if not isinstance(answer, list):
            raise Unavailable(f"expected a list at {path} as Docker Engine gives it, got something else")
        return answer


def _path(text: str, kind: str) -> str:
    """An id or name as part of a path."""
    if _OBJECT.fullmatch(text) is None:
        raise UsageProblem(f"expected the name or id of a {kind}, got {text!r:.80}")
    return quote(text, safe="")
