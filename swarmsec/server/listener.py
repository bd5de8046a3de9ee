"""The listening sockets: accept, count, shake hands; and change certificate, key and roots while connections live.

Every generation of the TLS material has a context of its own, and each accepted connection gets the newest: new
connections see the new certificate and roots, a session of an older generation cannot be resumed, kept connections
are not touched. Handshakes under way at the moment of a swap that removes a root are ended, so that none of them
finishes under it; their clients try again. A swap that only adds roots, or changes the server's certificate, leaves
them alone: in a rotation of the root, to which every node comes at once, one of several swaps removes a root.

The server accepts by itself rather than leaving it to the loop, because only then do connections count before their
handshake is done.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from swarmsec.errors import Unavailable
from swarmsec.server.addresses import parse_peer
from swarmsec.server.connections import Connection, Connections, State

ACCEPTS_PER_WAKE = 64
PAUSE_WHEN_OUT_OF_RESOURCES = 0.5
TLS_CLOSE_SECONDS = 2.0
_MOST_PICKS = 16
"""How many ports are tried where any will do, until one is free on all addresses."""
_OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

ProtocolFactory = Callable[[Connection], asyncio.Protocol]


def open_sockets(host: str, port: int, *, backlog: int, reuse_port: bool) -> list[socket.socket]:
    """Bind and listen on every address that a host name stands for; port 0 picks one port for all of them.

    Raises:
        Unavailable: the name does not resolve, or an address cannot be bound.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        addresses = [(family, address[0]) for family, _, _, _, address in found]
        return _open_on_one_port(addresses, port, backlog, reuse_port)
    except OSError as error:
        raise Unavailable(
            f"cannot listen on {host}:{port}: {error.strerror or error}",
            hint="choose another address with --listen, or stop what listens there",
        ) from error


def _open_on_one_port(
    addresses: Sequence[tuple[int, str | int]], port: int, backlog: int, reuse_port: bool
) -> list[socket.socket]:
    """Where any port will do, the one that the kernel picked on the first address may be taken on another."""
    tries = _MOST_PICKS if port == 0 else 1
    with ExitStack() as passed_over:
        while True:
            tries -= 1
            opened: list[socket.socket] = []
            try:
                for family, address in addresses:
                    chosen = opened[0].getsockname()[1] if opened else port
                    opened.append(_open_socket(family, (address, chosen), backlog, reuse_port))
            except OSError as error:
                # Held until the end, lest the kernel pick the same port again.
                for listening in opened:
                    passed_over.enter_context(listening)
                if not tries or error.errno != errno.EADDRINUSE:
                    raise
            else:
                return opened


def _open_socket(family: int, address: tuple[str | int, int], backlog: int, reuse_port: bool) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address[0] != "::"))
        listening.bind(address)
        listening.listen(backlog)
        listening.setblocking(False)
    except OSError:
        listening.close()
        raise
    return listening


class Listener:
    """Accepts connections on open sockets and shakes hands under the newest context.

    Args:
        sockets: listening, not blocking; the listener closes them.
        context: the TLS context to begin with.
        connections: where every accepted connection is registered.
        protocol: makes the protocol of an accepted connection.
        handshake_timeout: seconds.
        on_handshake: told ``accepted``, ``failed`` or ``refused`` (no room) for each connection.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        *,
        context: ssl.SSLContext,
        connections: Connections,
        protocol: ProtocolFactory,
        handshake_timeout: float,
        on_handshake: Callable[[str], None],
    ) -> None:
        self._sockets = list(sockets)
        self._context = context
        self._connections = connections
        self._protocol = protocol
        self._handshake_timeout = handshake_timeout
        self._on_handshake = on_handshake
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[bool]] = set()
        self._is_stopped = False

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """The bound addresses."""
        return [(name[0], name[1]) for name in (listening.getsockname() for listening in self._sockets)]

    def start(self) -> None:
        """Begin to accept."""
        for listening in self._sockets:
            self._loop.add_reader(listening, self._accept_waiting, listening)

    def swap(self, context: ssl.SSLContext, *, ends_handshakes: bool) -> None:
        """Serve with another context from now on.

        Args:
            ends_handshakes: whether those under way end: under the former context they might finish under a root
                that is no longer accepted.
        """
        self._context = context
        if ends_handshakes:
            self._connections.close_where(lambda connection: connection.state is State.HANDSHAKE)

    async def stop(self) -> None:
        """Accept no more; handshakes under way end. Safe to call again."""
        self._is_stopped = True
        while self._sockets:
            listening = self._sockets.pop()
            self._loop.remove_reader(listening)
            listening.close()
        for task in self._handshakes:
            task.cancel()
        await asyncio.gather(*self._handshakes, return_exceptions=True)

    def _accept_waiting(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTS_PER_WAKE):
            try:
                peer, peername = listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _OUT_OF_RESOURCES:
                    self._pause(listening)
                    return
                continue  # the peer went away before it was accepted
            peer.setblocking(False)
            self._welcome(peer, parse_peer(peername))

    def _pause(self, listening: socket.socket) -> None:
        """Without descriptors the socket stays readable; looking again at once would spin."""
        self._loop.remove_reader(listening)
        self._loop.call_later(PAUSE_WHEN_OUT_OF_RESOURCES, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if not self._is_stopped:
            self._loop.add_reader(listening, self._accept_waiting, listening)

    def _welcome(self, peer: socket.socket, address: str) -> None:
        connection = self._connections.admit(address, peer.close)
        if connection is None:
            peer.close()
            self._on_handshake("refused")
            return
        task = self._loop.create_task(self._shake_hands(peer, connection, self._context))
        connection.abort = task.cancel
        self._handshakes.add(task)
        task.add_done_callback(lambda done: self._settle(done, peer, connection))

    async def _shake_hands(self, peer: socket.socket, connection: Connection, context: ssl.SSLContext) -> bool:
        try:
            await self._loop.connect_accepted_socket(
                lambda: self._protocol(connection),
                peer,
                ssl=context,
                ssl_handshake_timeout=self._handshake_timeout,
                ssl_shutdown_timeout=TLS_CLOSE_SECONDS,
            )
        except OSError:  # among them SSLError, ConnectionError and TimeoutError
            return False
        return True

    def _settle(self, task: asyncio.Task[bool], peer: socket.socket, connection: Connection) -> None:
        """Clean up after a handshake, also after one that was cancelled before it began.

        A stranger's broken handshake is no event for the log; it is counted.
        """
        self._handshakes.discard(task)
        if not task.cancelled() and task.exception() is None and task.result():
            self._on_handshake("accepted")
            return
        self._connections.forget(connection)
        peer.close()
        self._on_handshake("failed")
