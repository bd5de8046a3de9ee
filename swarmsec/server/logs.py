"""The server's own log: JSON lines of fixed fields, to stderr.

A line never holds a header, a body, a query or an error's own text; only the fields named here are written, whatever
a caller passes. Everything that is not printable ASCII is escaped, so a line stays a line on every terminal.
"""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Final, TextIO

LOGGER = logging.getLogger("swarmsec.server")

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
_encode: Final = json.JSONEncoder(ensure_ascii=True, default=str).encode


class JsonLines(logging.Formatter):
    """Formats records of ``log_event``; the fields of any other record are dropped."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line without its end."""
        given = getattr(record, "fields", {})
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": str(record.msg),
        }
        line.update((name, given[name]) for name in FIELDS if name in given)
        return _encode(line).replace("\x7f", "\\u007f")


class Lines(logging.StreamHandler[TextIO]):
    """Writes the lines of one round of the event loop together, and those of warnings and errors at once.

    Each write lets other threads have their turn at the interpreter, which costs more than the write does.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line until the loop comes round, or write it where no loop runs."""
        try:
            self._lines.append(self.format(record) + self.terminator)
            loop = _running_loop()
            if loop is None or record.levelno > logging.INFO:
                self.flush()
            elif self._loop is not loop:
                self._loop = loop
                loop.call_soon(self.flush)
        except Exception:  # noqa: BLE001  # as of every handler: a log that cannot be written stops nobody
            self.handleError(record)

    def flush(self) -> None:
        """Write what is kept."""
        with self.lock or nullcontext():
            lines, self._lines, self._loop = self._lines, [], None
            if lines:
                self.stream.write("".join(lines))
            super().flush()


def log_event(level: int, event: str, **fields: object) -> None:
    """Write one line.

    Args:
        level: of ``logging``.
        event: what happened, a fixed word.
        fields: values for ``FIELDS``; others are dropped.
    """
    if LOGGER.isEnabledFor(level):
        # Made by hand, because ``LOGGER.log`` looks up the calling line, which no line of ours shows.
        LOGGER.handle(LOGGER.makeRecord(LOGGER.name, level, "", 0, event, (), None, extra={"fields": fields}))


def log_defect(event: str, error: BaseException, **fields: object) -> None:
    """Write a line about an error that nobody worded: its types and frames, not its text, which may quote a secret."""
    log_event(logging.ERROR, event, error=_types(error), frames=list(_frames(error)), **fields)


def write_logs_to(stream: TextIO, level: int = logging.INFO) -> logging.Handler:
    """Send the server's log to a stream as JSON lines; returns the handler, for whoever removes it again."""
    handler = Lines(stream)
    handler.setFormatter(JsonLines())
    LOGGER.addHandler(handler)
    LOGGER.setLevel(level)
    LOGGER.propagate = False
    return handler


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
