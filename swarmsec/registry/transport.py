"""One bounded HTTP exchange: so many bytes, so much time, no redirect followed, nothing decoded.

A peer that sends a byte now and then stays within every socket timeout; so a watch shuts the connection down when the
whole exchange has taken its time, wherever it is then: connecting, in the handshake, in the headers, in the body.
Compression is neither asked for nor accepted, for the digest is over the bytes that were sent. Proxies are not used.
"""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from swarmsec.brokentls import forget_broken
from swarmsec.errors import Denied, Unavailable
from swarmsec.peertrust import system_context
from swarmsec.registry.hosts import Address, Origin

DEFAULT_SECONDS: Final = 30.0
PROBE_SECONDS: Final = 5.0
MAX_HEADER_BYTES: Final = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response: status, headers by lower-case name, exact body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class TooMuch(Denied):
    """A body that is longer than allowed."""


class NoConnection(Unavailable):
    """Nobody answered, or not as TLS or HTTP: nothing was learned."""


class Transport:
    """Connections to any number of hosts, one each, for one thread.

    Args:
        seconds: the time that one exchange may take.
        contexts: makes the TLS context of an origin; the default trusts the system's authorities.
    """

    def __init__(
        self, *, seconds: float = DEFAULT_SECONDS, contexts: Callable[[Origin], ssl.SSLContext] | None = None
    ) -> None:
        self._seconds = seconds
        self._contexts = contexts or (lambda _: system_context())
        self._pools: dict[Origin, tuple[HTTPConnectionPool, _Watch]] = {}

    def close(self) -> None:
        """Close every connection."""
        for pool, watch in self._pools.values():
            pool.close()
            watch.close()
        self._pools.clear()

    def get(self, address: Address, *, headers: Mapping[str, str], limit: int) -> Answer:
        """Ask for a resource.

        Args:
            address: where.
            headers: beside those of every request.
            limit: bytes of the body at most.

        Raises:
            TooMuch: the body is longer.
            Denied: the body is compressed.
            Unavailable: the peer's certificate is not one to trust.
            NoConnection: nothing usable came in time.
        """
        pool, watch = self._pool(address.origin)
        try:
            with watch.within(self._seconds), _worded(address):
                response = pool.urlopen(
                    "GET",
                    address.path,
                    headers={"Accept-Encoding": "identity", "User-Agent": "swarmsec", **headers},
                    retries=False,
                    redirect=False,
                    preload_content=False,
                    decode_content=False,
                )
                try:
                    answer = _read(response, address, limit)
                except BaseException:
                    # What is left unread must not be taken for the next answer.
                    response.close()
                    raise
        except NoConnection:
            if not watch.is_over:
                raise
        if watch.is_over:
            # NOTE: what was shut down in its headers looks like a short but whole answer.
            raise NoConnection(f"expected an answer of {address.origin} within {self._seconds:g} s")
        return answer

    def speaks_tls(self, origin: Origin) -> bool:
        """Whether a peer answers a TLS handshake at all; nothing is sent in it, and nothing about the peer is believed.

        Raises:
            NoConnection: nobody listens there.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            with socket.create_connection((origin.host, origin.port), timeout=self._seconds) as raw:
                raw.settimeout(min(self._seconds, PROBE_SECONDS))
                with context.wrap_socket(raw, server_hostname=origin.host):
                    return True
        except ssl.SSLError:
            return False
        except ConnectionResetError:
            return False
        except OSError as error:
            raise NoConnection(f"{origin} could not be reached: {_plain(error)}", hint="check the address") from None

    def _pool(self, origin: Origin) -> tuple[HTTPConnectionPool, _Watch]:
        if origin not in self._pools:
            watch = _Watch()
            self._pools[origin] = (self._new_pool(origin, watch), watch)
        return self._pools[origin]

    def _new_pool(self, origin: Origin, watch: _Watch) -> HTTPConnectionPool:
        # Waiting for the peer is the watch's matter; only while connecting has it nothing to shut down yet.
        timeout = urllib3.Timeout(connect=self._seconds, read=2 * self._seconds)
        options: dict[str, Any] = {"timeout": timeout}
        if origin.scheme == "http":
            plain = HTTPConnectionPool(origin.host, origin.port, **options)
            plain.ConnectionCls = _watched(HTTPConnection, watch)
            return plain
        pool = HTTPSConnectionPool(origin.host, origin.port, ssl_context=self._contexts(origin), **options)
        pool.ConnectionCls = _watched(HTTPSConnection, watch)
        return pool


def context_with(authorities: bytes | None) -> ssl.SSLContext:
    """A TLS context that trusts the system's authorities, and others if given (PEM)."""
    context = system_context()
    if authorities is not None:
        context.load_verify_locations(cadata=authorities.decode("ascii"))
    return context


class _Watch:
    """Shuts a connection down when its time is over."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self.is_over = False

    def note(self, connected: socket.socket) -> None:
        """Keep a descriptor of our own: TLS takes the other one over."""
        self.close()
        self._socket = socket.socket(fileno=os.dup(connected.fileno()))

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        self.is_over = False
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end(self) -> None:
        self.is_over = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def _watched(kind: type[Any], watch: _Watch) -> type[Any]:
    """A connection class whose sockets the watch knows before the first byte."""

    class Watched(kind):  # type: ignore[misc]  # the base is one of two
        def _new_conn(self) -> socket.socket:
            connected: socket.socket = super()._new_conn()
            watch.note(connected)
            return connected

    return Watched


def _read(response: urllib3.BaseHTTPResponse, address: Address, limit: int) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    if sum(len(name) + len(value) for name, value in headers.items()) > MAX_HEADER_BYTES:
        raise NoConnection(f"expected at most {MAX_HEADER_BYTES} bytes of headers from {address.origin}")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Denied(f"expected bytes as they are from {address.origin}, got compressed ones")
    told = headers.get("content-length", "")
    if told.isdigit() and len(told) < 20 and int(told) > limit:
        raise TooMuch(f"expected at most {limit} bytes from {address.origin}, got {told}")
    body = b""
    while len(body) <= limit and (part := response.read(min(65_536, limit + 1 - len(body)))):
        body += part
    if len(body) > limit:
        raise TooMuch(f"expected at most {limit} bytes from {address.origin}, got more")
    if told.isdigit() and int(told[:20]) != len(body):
        raise NoConnection(f"expected {told[:20]} bytes from {address.origin}, got {len(body)}")
    response.release_conn()
    return Answer(status=response.status, headers=headers, body=body)


@contextmanager
def _worded(address: Address) -> Iterator[None]:
    try:
        yield
    except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        forget_broken()
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise Unavailable(
                f"the certificate of {address.origin} is not one to trust",
                hint="give its authority with --ca, or put it where Docker looks: /etc/docker/certs.d",
            ) from None
        raise NoConnection(
            f"{address.origin} could not be reached: {_plain(error)}", hint="check the address"
        ) from None


def _plain(error: Exception) -> str:
    text = str(error).rpartition(": ")[2] or type(error).__name__
    return "".join(character for character in text[:160] if character.isprintable())
