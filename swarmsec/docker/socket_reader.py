"""Looking at tasks of a Swarm over the manager's own socket, as quickly as Python can: for the secret driver alone.

Every delivery asks twice, within a fifth of a second each, so what the general client does beside (``engine``) would
be most of the work. The answers are read by the same parsers.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
from contextlib import suppress
from typing import Final

from swarmsec.docker.service_objects import parse_service, parse_task
from swarmsec.docker.swarm_objects import parse_node
from swarmsec.errors import NotFound, Unavailable, UsageProblem
from swarmsec.services.service_records import ServiceState, TaskState

API: Final = "/v1.41"
"""Of Docker Engine 20.10; newer ones answer it too, and everything that a check reads is in it."""
MAX_ANSWER: Final = 8 << 20
_ID: Final = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)


class SocketReader:
    """Answers the port ``services.delivery_ports.TaskReader`` over one kept connection; one thread's own.

    Args:
        path: of the engine's socket.
        seconds: how long an answer may take.
    """

    def __init__(self, path: str, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._kept: _Connection | None = None

    def task(self, task_id: str) -> TaskState:
        """One task.

        Raises:
            NotFound: there is none.
        """
        return parse_task(self._get("tasks", task_id))

    def service(self, service_id: str) -> ServiceState:
        """One service.

        Raises:
            NotFound: there is none.
        """
        return parse_service(self._get("services", service_id))

    def hostname(self, node_id: str) -> str:
        """What a node calls itself.

        Raises:
            NotFound: there is no such node.
        """
        return parse_node(self._get("nodes", node_id)).hostname

    def _get(self, kind: str, object_id: str) -> object:
        if _ID.fullmatch(object_id) is None:
            raise UsageProblem(f"expected an id as Docker writes them, got {object_id!r:.80}")
        try:
            status, body = self._ask(f"{API}/{kind}/{object_id}")
        except (OSError, http.client.HTTPException) as error:
            self.close()
            what = "did not answer in time" if isinstance(error, TimeoutError) else "is away"
            raise Unavailable(f"the Docker Engine at unix://{self._path} {what}", hint="check that it runs") from None
        if status == http.HTTPStatus.NOT_FOUND:
            raise NotFound(f"the manager knows no {kind.removesuffix('s')} {object_id}")
        if status != http.HTTPStatus.OK:
            # One that is no manager, or waits for its unlock key; nobody may be told anything then.
            raise Unavailable(f"expected an answer of a manager at unix://{self._path}, got HTTP status {status}")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise Unavailable(f"expected JSON from unix://{self._path}, got something else") from None

    def _ask(self, target: str) -> tuple[int, bytes]:
        """Ask over the kept connection, and once more over a new one where the engine has ended that meanwhile."""
        if self._kept is not None:
            with suppress(ConnectionError, http.client.BadStatusLine):
                return self._ask_over(self._kept, target)
            self.close()
        self._kept = _Connection(self._path, self._seconds)
        return self._ask_over(self._kept, target)

    def _ask_over(self, connection: _Connection, target: str) -> tuple[int, bytes]:
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read(MAX_ANSWER + 1)
        if len(body) > MAX_ANSWER:
            raise http.client.HTTPException("a longer answer than any object has")
        return answer.status, body

    def close(self) -> None:
        """End the connection; the next question opens another."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("docker", timeout=seconds)
        self._socket_path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._socket_path)
