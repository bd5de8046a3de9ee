"""stdout and stderr of this process, and what happens where one of them takes nothing more.

Results that could not be delivered are never called done: a full disk behind stdout ends a command with 3, and a
reader that went away (``| head``) ends it without a word, with the code of a process that SIGPIPE ended. Talk that
nobody can take is lost, and stops no work.
"""

from __future__ import annotations

import io
import os
import select
import signal
import sys
from typing import TYPE_CHECKING, Final, TextIO

import click

if TYPE_CHECKING:
    from typing_extensions import Buffer

READER_GONE: Final = 128 + signal.SIGPIPE
"""The exit code when nobody reads stdout any more."""
_STDIN, _STDOUT, _STDERR = range(3)


class OutputLost(BaseException):
    """stdout takes nothing more; as with an interrupt, no handler of the work's own errors may go on after it.

    Args:
        reason: in the system's words; None where the reader went away.
    """

    def __init__(self, reason: str | None) -> None:
        super().__init__(reason)
        self.reason = reason


class _Waiting(io.FileIO):
    """A stream that waits where another process has made it one that does not (``O_NONBLOCK`` is shared)."""

    def write(self, data: Buffer, /) -> int:
        while (written := super().write(data)) is None:
            select.select([], [self], [])
        return written


class _Results(_Waiting):
    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            raise OutputLost(None) from None
        except OSError as error:
            raise OutputLost(error.strerror) from None


class _Talk(_Waiting):
    def write(self, data: Buffer, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def prepare_streams() -> None:
    """Take both streams over, at the start of the process; streams that it was started without become refusing ones.

    A missing one is opened, since its number would else go to the next file: the database, say.
    """
    for number in (_STDIN, _STDOUT, _STDERR):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if number == _STDERR else os.O_RDONLY)
    if sys.stdin is None:
        sys.stdin = open(_STDIN, encoding="utf-8", closefd=False)  # noqa: SIM115  # a number, for good
    sys.stdout = _text(_Results(_STDOUT, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Talk(_STDERR, "w", closefd=False), sys.stderr)


def _text(raw: io.FileIO, former: TextIO | None) -> TextIO:
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding="utf-8" if former is None else former.encoding,
        # What the terminal's encoding lacks is written as an escape; a name must not end in a traceback.
        errors="backslashreplace",
        line_buffering=raw.isatty() or raw.fileno() == _STDERR,
    )


def in_colour(text: str, colour: str) -> str:
    """A word for a terminal in colour, unless its owner wants none (https://no-color.org) or it knows none."""
    is_plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    return text if is_plain else click.style(text, fg=colour)


def verify_read() -> None:
    """For commands that wait before they write again.

    Raises:
        OutputLost: stdout is a pipe that nobody reads any more.
    """
    stdout = select.poll()
    stdout.register(_STDOUT, 0)
    if any(found & select.POLLERR for _, found in stdout.poll(0)):
        raise OutputLost(None)


def forget_output() -> None:
    """Let what stdout still holds go nowhere, so that ending the process does not try to write it again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDOUT)
    os.close(nowhere)
