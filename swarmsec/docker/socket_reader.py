"""Looking at tasks of a Swarm over the manager's own socket, as quickly as Python can: for the secret driver alone.

Deliveries wait for it, a fifth of a second for each answer at most, so what the general client does beside (``engine``)
would be most of the work. The answers are read by the same parsers.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import quote

import msgspec

from swarmsec.docker.service_objects import parse_each, parse_service, parse_task
from swarmsec.docker.swarm_objects import parse_node
from swarmsec.errors import NotFound, SwarmsecError, Unavailable, UsageProblem
from swarmsec.services.secrets.delivery_ports import AnswerTooLong
from swarmsec.services.secrets.service_records import ServiceState, TaskState

API: Final = "/v1.41"
"""Of Docker Engine 20.10; newer ones answer it too, and everything that a check reads is in it."""
MAX_ANSWER: Final = 8 << 20
_ID: Final = re.compile(r"[A-Za-z0-9]{1,64}", re.ASCII)


class SocketReader:
    """Answers the port ``services.secrets.delivery_ports.TaskReader`` over one kept connection; one thread's own.

    Args:
        path: of the engine's socket.
        seconds: how long an answer may take.
    """

    def __init__(self, path: str, seconds: float) -> None:
        self._path = path
        self._seconds = seconds
        self._kept: _Connection | None = None

    def find_tasks(self, ids: Collection[str]) -> Mapping[str, TaskState | SwarmsecError]:
        """The tasks with these ids, in one question.

        Raises:
            AnswerTooLong: there is more to say of them than one answer may hold.
            Unavailable: no answer that can be used.
        """
        return parse_each(self._list("tasks", ids), ids, parse_task)

    def find_services(self, ids: Collection[str]) -> Mapping[str, ServiceState | SwarmsecError]:
        """The services with these ids, in one question; errors as ``find_tasks``."""
        return parse_each(self._list("services", ids), ids, parse_service)

    def hostname(self, node_id: str) -> str:
        """What a node calls itself.

        Raises:
            NotFound: there is no such node.
        """
        _verify_ids((node_id,))
        status, body = self._get(f"{API}/nodes/{node_id}")
        if status == http.HTTPStatus.NOT_FOUND:
            raise NotFound(f"the manager knows no node {node_id}")
        return parse_node(self._decoded(status, body)).hostname

    def _list(self, kind: str, ids: Collection[str]) -> object:
        _verify_ids(ids)
        filters = json.dumps({"id": dict.fromkeys(ids, True)}, separators=(",", ":"))
        return self._decoded(*self._get(f"{API}/{kind}?filters={quote(filters)}"))

    def _get(self, target: str) -> tuple[int, bytes]:
        try:
            return self._ask(target)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            what = "did not answer in time" if isinstance(error, TimeoutError) else "is away"
            raise Unavailable(f"the Docker Engine at unix://{self._path} {what}", hint="check that it runs") from None

    def _decoded(self, status: int, body: bytes) -> object:
        if status != http.HTTPStatus.OK:
            # One that is no manager, or waits for its unlock key; nobody may be told anything then.
            raise Unavailable(f"expected an answer of a manager at unix://{self._path}, got HTTP status {status}")
        try:
            return msgspec.json.decode(body)
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
            self.close()
            raise AnswerTooLong(f"expected at most {MAX_ANSWER} bytes from unix://{self._path}, got more")
        return answer.status, body

    def close(self) -> None:
        """End the connection; the next question opens another."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def _verify_ids(ids: Collection[str]) -> None:
    for text in ids:
        if _ID.fullmatch(text) is None:
            raise UsageProblem(f"expected an id as Docker writes them, got {text!r:.80}")


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("docker", timeout=seconds)
        self._socket_path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._socket_path)
