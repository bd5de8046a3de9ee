"""The open connections: who holds them, what they wait for, and when they have to go.

A connection is counted from the moment it is accepted, so handshakes and half-sent requests weigh as much as answered
ones. When the cap is reached, a connection without a request at work makes room; if all are at work the newcomer is
refused. Those without a client certificate, half-done handshakes among them, make room first as soon as they hold more
than a quarter of the places, and the longest waiting of them goes: a flood of strangers cannot take the rest, and nodes
that keep their connections cannot keep others from shaking hands. Of those with one the last goes that is not among
those who have just asked: nodes come one after another and again, so it is the one that comes back latest. If the
longest waiting went each time, it would always be the one that comes next, and nobody would find theirs. It also keeps
the places of others from whoever opens one connection after another: those are the last.

A connection stays authenticated by TLS for as long as it is open. Whoever revokes a certificate closes its
connections here (``close_for``), whatever they are doing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from hashlib import sha256
from itertools import islice
from typing import Final

STRANGERS_PART: Final = 4
"""Strangers that wait may hold one place in so many before they make room first."""
RECENT_PART: Final = 16
"""Of known callers that wait, the last in so many to have asked may be about to ask again, and stay."""
LEAST_RECENT: Final = 8
"""And so many of them in any case."""


class State(Enum):
    """What a connection waits for."""

    HANDSHAKE = auto()
    IDLE = auto()
    """The first byte of the next request."""
    READING = auto()
    """The rest of a request's headers."""
    BUSY = auto()
    """Our answer, or the body that the answer needs."""


@dataclass(slots=True, kw_only=True, eq=False)
class Connection:
    """One accepted connection."""

    address: str
    since: float
    abort: Callable[[], object]
    """Ends it at once; safe to call again."""
    state: State = State.HANDSHAKE
    certificate_der: bytes | None = field(default=None, repr=False)
    certificate_sha256: str = ""
    """Lower-case hex of the peer's leaf; empty without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds that a connection may stay in a state; ``BUSY`` is bounded where the work is done."""

    handshake: float
    headers: float
    idle: float

    def of(self, state: State) -> float:
        """Return the seconds for a state."""
        match state:
            case State.HANDSHAKE:
                return self.handshake
            case State.READING:
                return self.headers
            case State.IDLE:
                return self.idle
            case State.BUSY:
                return float("inf")


class Connections:
    """Registry of open connections.

    Args:
        limit: most connections open at the same time.
        patience: how long each state may last.
        clock: monotonic seconds.
    """

    def __init__(self, *, limit: int, patience: Patience, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._patience = patience
        self._clock = clock
        self._open: dict[Connection, None] = {}
        # Of these those without a request at work, ordered by the last change of state: the longest waiting first.
        self._strangers: dict[Connection, None] = {}
        self._known: dict[Connection, None] = {}
        self._changed = asyncio.Event()
        self._watchers = 0

    def __len__(self) -> int:
        return len(self._open)

    def count(self, state: State) -> int:
        """Return how many connections are in a state."""
        return sum(1 for connection in self._open if connection.state is state)

    def admit(self, address: str, abort: Callable[[], object]) -> Connection | None:
        """Register an accepted connection, or return None where there is no room for it."""
        if len(self._open) >= self._limit and not self._make_room():
            return None
        connection = Connection(address=address, since=self._clock(), abort=abort)
        self._open[connection] = self._strangers[connection] = None
        return connection

    def establish(self, connection: Connection, certificate_der: bytes | None, abort: Callable[[], object]) -> None:
        """Note a finished handshake: the peer's certificate, and how the connection is ended from now on."""
        self._strangers.pop(connection, None)
        connection.abort = abort
        connection.certificate_der = certificate_der
        connection.certificate_sha256 = sha256(certificate_der).hexdigest() if certificate_der else ""
        self.mark(connection, State.IDLE)

    def mark(self, connection: Connection, state: State) -> None:
        """Note a change of state."""
        if connection not in self._open:
            return
        line = self._known if connection.certificate_sha256 else self._strangers
        line.pop(connection, None)
        if state is not State.BUSY:
            line[connection] = None
        connection.state = state
        connection.since = self._clock()
        if self._watchers:
            self._changed.set()

    def forget(self, connection: Connection) -> None:
        """Note that a connection is gone."""
        for line in (self._open, self._strangers, self._known):
            line.pop(connection, None)
        self._changed.set()

    def close_for(self, certificate_sha256: str) -> int:
        """End every connection of one client certificate; return how many.

        Args:
            certificate_sha256: lower-case hex; empty matches nothing.
        """
        return self.close_where(
            lambda connection: bool(certificate_sha256) and connection.certificate_sha256 == certificate_sha256
        )

    def close_where(self, predicate: Callable[[Connection], bool]) -> int:
        """End every connection that the predicate holds for; return how many."""
        chosen = [connection for connection in self._open if predicate(connection)]
        for connection in chosen:
            self._end(connection)
        return len(chosen)

    def close_overdue(self) -> int:
        """End every connection that has outstayed its state; return how many."""
        now = self._clock()
        return self.close_where(lambda connection: now - connection.since >= self._patience.of(connection.state))

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Return once the condition holds; it is asked again whenever a connection changes or goes."""
        self._watchers += 1
        try:
            while not condition():
                self._changed.clear()
                await self._changed.wait()
        finally:
            self._watchers -= 1

    def _make_room(self) -> bool:
        if not self._known and not self._strangers:
            return False
        if not self._known or len(self._strangers) > self._limit // STRANGERS_PART:
            self._end(next(iter(self._strangers)))
        else:
            count = len(self._known)
            recent = min(max(count // RECENT_PART, LEAST_RECENT), count - 1)
            self._end(next(islice(reversed(self._known), recent, None)))
        return True

    def _end(self, connection: Connection) -> None:
        self.forget(connection)
        connection.abort()
