"""SwarmKit's control API, which shows what Docker's HTTP API does not: the certificate that the Swarm has of each node.

Two doors lead to it (swarmkit, manager/manager.go). An engine's own socket, ``swarm/control.sock`` below its exec root,
asks for no certificate and is open to root. The managers' port asks for a manager's certificate. Both show a manager's
certificate themselves.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from swarmsec.docker.control_messages import LIST_NODES, parse_node_list
from swarmsec.docker.engine import ANSWER_SECONDS, CONNECT_SECONDS, MAX_ANSWER, printable
from swarmsec.docker.grpc_call import call_unary
from swarmsec.errors import Denied, Unavailable, UsageProblem

SERVER_NAME: Final = "swarm-manager"
_MAX_PORT: Final = 65_535
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlDoor:
    """Where the control API is reached.

    Args:
        place: a socket's path, or host and port.
    """

    place: Path | tuple[str, int]

    def __str__(self) -> str:
        if isinstance(self.place, Path):
            return str(self.place)
        host, port = self.place
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @classmethod
    def parse(cls, address: str) -> ControlDoor:
        """A manager's address as the Swarm has it, ``HOST:PORT``.

        Raises:
            UsageProblem: it is none.
        """
        host, _, port = address.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        is_port = _PORT.fullmatch(port) is not None and int(port) <= _MAX_PORT
        if not (is_port and _HOST.fullmatch(host)):
            raise UsageProblem(f"expected a manager's HOST:PORT, got {address[:80]!r}", hint="see: docker node inspect")
        return cls(place=(host, int(port)))


def list_certificates(
    door: ControlDoor, context: ssl.SSLContext, *, seconds: float = ANSWER_SECONDS
) -> Mapping[str, bytes]:
    """Ask for every node's certificate.

    Args:
        context: trusts the Swarm's root, and at the port shows a manager's certificate.

    Returns:
        as ``parse_node_list``.

    Raises:
        Denied: the door is not of this Swarm, or does not open for us.
        Unavailable: nobody answers there, or not as SwarmKit does.
    """
    context.set_alpn_protocols(["h2"])
    try:
        with _connect(door.place) as plain, context.wrap_socket(plain, server_hostname=SERVER_NAME) as connection:
            message = call_unary(connection, LIST_NODES, b"", authority=SERVER_NAME, limit=MAX_ANSWER, seconds=seconds)
    except ssl.SSLCertVerificationError as error:
        raise Denied(
            f"the control API at {door} is not of this Swarm: {error.verify_message}",
            hint="name a manager's own socket, and with --docker the same manager's engine",
        ) from None
    except OSError as error:
        raise Unavailable(f"no control API answers at {door}: {_words(error)}", hint=_hint(error)) from None
    return parse_node_list(message)


def _connect(place: Path | tuple[str, int]) -> socket.socket:
    if isinstance(place, tuple):
        return socket.create_connection(place, timeout=CONNECT_SECONDS)
    made = socket.socket(socket.AF_UNIX)
    try:
        made.settimeout(CONNECT_SECONDS)
        made.connect(str(place))
    except BaseException:
        made.close()
        raise
    return made


def _words(error: OSError) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return printable(error.reason.replace("_", " ").lower())
    return printable((error.strerror or str(error) or type(error).__name__).lower())


def _hint(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "run this as root: the socket is Docker's own"
    if isinstance(error, FileNotFoundError):
        return "it is swarm/control.sock below the exec root of a manager's engine: /var/run/docker/swarm/control.sock"
    return "check that the engine runs and is a manager"
