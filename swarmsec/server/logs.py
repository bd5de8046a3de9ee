"""The server's own log: JSON lines of fixed fields, to stderr.

A line never holds a header, a body, a query or an error's own text; only the fields named here are written, whatever
a caller passes. Everything that is not printable ASCII is escaped, so a line stays a line on every terminal.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Final, TextIO

import msgspec

from swarmsec.clock import rfc3339

FIELDS = (
    "request_id",
    "route",
    "method",
    "status",
    "duration_ms",
    "role",
    "name",
    "address",
    "reason",
    "count",
    "generation",
    "error",
    "frames",
)
"""Fields of a line after ``time``, ``level`` and ``event``, in their order."""

MAX_FRAMES = 40
_quick: Final = msgspec.json.Encoder(enc_hook=str).encode
_encode: Final = json.JSONEncoder(ensure_ascii=True, default=str, separators=(",", ":")).encode


class Lines:
    """Writes the lines of one round of the event loop together, and those of warnings and errors at once.

    Each write lets other threads have their turn at the interpreter, which costs more than the write does. It is no
    handler of ``logging``, whose records cost several times the line: there is one for each request.

    Args:
        stream: text, such as stderr.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        # The loop's thread is not the only one that has something to say; only one of them takes lines out.
        self._lock = threading.Lock()

    def take(self, line: str, loop: asyncio.AbstractEventLoop | None) -> None:
        """Keep a line until a loop comes round, or write it at once.

        Args:
            loop: the one that runs in this thread, where the line may wait for it.
        """
        # One call that no other thread comes between, as in ``flush``: a lock for each line would cost more.
        self._lines.append(line)
        if loop is None:
            self.flush()
        elif self._loop is not loop:
            self._loop = loop
            loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what is kept."""
        # A log that cannot be written stops nobody.
        with self._lock, suppress(OSError, ValueError):
            # Lines that come from now on ask for another flush, or find themselves among those of this one.
            self._loop = None
            count = len(self._lines)
            lines = self._lines[:count]
            del self._lines[:count]
            if lines:
                self._stream.write("".join(lines))
            self._stream.flush()

    def close(self) -> None:
        """Write what is kept, and take no more."""
        self.flush()
        atexit.unregister(self.flush)
        with suppress(ValueError):
            _written_to.remove(self)


_written_to: Final[list[Lines]] = []


def write_logs_to(stream: TextIO) -> Lines:
    """Send the server's log to a stream as JSON lines, until what is returned is closed or the process ends."""
    lines = Lines(stream)
    _written_to.append(lines)
    atexit.register(lines.flush)
    return lines


def log_event(level: int, event: str, **fields: object) -> None:
    """Write one line.

    Args:
        level: of ``logging``.
        event: what happened, a fixed word.
        fields: values for ``FIELDS``; others are dropped.
    """
    if _written_to:
        line = build_line(level, event, fields)
        loop = None if level > logging.INFO else _running_loop()
        for lines in _written_to:
            lines.take(line, loop)


def log_request(
    request_id: str, seconds: float, *, method: str, route: str, status: int, role: str, name: str, address: str
) -> None:
    """Write the line of an answered request: as ``log_event`` would, in a fraction of the time.

    There is one for each request, and most of its members are those of the request before.

    Args:
        request_id: of ours, so it needs no escaping.
        seconds: how long it took.
        method, route, status: what was asked for, and how it was answered.
        role, name, address: who asked.
    """
    if _written_to:
        asked, asking = _asked(route, method, status), _asking(role, name, address)
        line = (
            f'{{"time":"{rfc3339(time.time_ns() // 1_000_000)[:-1]}+00:00","level":"info","event":"request",'
            f'"request_id":"{request_id}",{asked},"duration_ms":{round(seconds * 1000, 3)},{asking}}}\n'
        )
        loop = _running_loop()
        for lines in _written_to:
            lines.take(line, loop)


@lru_cache(maxsize=4096)
def _asked(route: str, method: str, status: int) -> str:
    """Members of a line, worded, without the braces around them."""
    return _printable({"route": route, "method": method, "status": status})[1:-1]


@lru_cache(maxsize=4096)
def _asking(role: str, name: str, address: str) -> str:
    return _printable({"role": role, "name": name, "address": address})[1:-1]


def build_line(level: int, event: str, fields: Mapping[str, object]) -> str:
    """Word one line, its end included; arguments as of ``log_event``."""
    members: dict[str, object] = {
        "time": f"{rfc3339(time.time_ns() // 1_000_000)[:-1]}+00:00",
        "level": logging.getLevelName(level).lower(),
        "event": event,
    }
    for name in FIELDS:
        if name in fields:
            members[name] = fields[name]
    return f"{_printable(members)}\n"


def _printable(members: Mapping[str, object]) -> str:
    """JSON of printable ASCII: the quick encoder's where that is, which leaves letters beyond ASCII as they are."""
    with suppress(ValueError):
        text = _quick(members).decode()
        if text.isascii() and "\x7f" not in text:
            return text
    return _encode(members).replace("\x7f", "\\u007f")


def log_defect(event: str, error: BaseException, **fields: object) -> None:
    """Write a line about an error that nobody worded: its types and frames, not its text, which may quote a secret."""
    log_event(logging.ERROR, event, error=_types(error), frames=list(_frames(error)), **fields)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _types(error: BaseException) -> str:
    return " from ".join(type(link).__qualname__ for link in _chain(error))


def _frames(error: BaseException) -> Iterator[str]:
    for link in _chain(error):
        for frame in traceback.extract_tb(link.__traceback__)[-MAX_FRAMES:]:
            yield f"{frame.filename}:{frame.lineno} {frame.name}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
