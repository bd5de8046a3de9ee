"""Runs a target on mutated inputs and judges what comes of each.

An input is good when the parser takes it, and the target's own checks hold, or when it refuses it with one of the
errors it promises. Such an error is held to the house's rules for messages: printable, bounded, and no secret of the
input in it or in its causes. Everything else is a finding: another exception, a hang, memory without bound.

The runs are deterministic. Inputs that are refused at a line that refused nothing before, or are taken, join the ones
that are mutated further; this cheap kind of guidance goes deeper than chance alone. ``atheris_runner`` is guided by
coverage.
"""

from __future__ import annotations

import faulthandler
import re
import resource
import signal
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType
from typing import NoReturn

from tests.fuzz.mutations import mutate

HANG_CPU_SECONDS = 10.0
"""Processor time that one input may take; the slowest honest input takes a hundredth of it."""
STUCK_SECONDS = 240.0
"""After so long the process ends with a trace of where native code is stuck; below the time limit of a test."""
SPARE_MEMORY = 1 << 30
MAX_ERROR_TEXT = 1000
SECRET_RUN = 8
"""So many consecutive characters of a secret are a leak of it."""
_MAX_POOL = 400


class Hang(BaseException):
    """An input took more processor time than any input may; not an ``Exception``, so that no parser catches it."""


class CheckFailed(Exception):
    """A target found a promise of its parser broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A parser under test.

    Args:
        name: as on the command line.
        run: parses the bytes, and checks what came of it.
        seeds: valid inputs, and inputs that once broke it.
        allowed: the errors that the parser promises.
        covers: dotted names of the functions that ``run`` calls with what came from outside.
        words: pieces of the format, spliced in.
        secrets: texts that stand for secrets in the seeds; no error may hold a part of one.
        is_slow: costs milliseconds an input; gets a quarter of the inputs.
    """

    name: str
    run: Callable[[bytes], object]
    seeds: Sequence[bytes]
    allowed: tuple[type[Exception], ...]
    covers: tuple[str, ...]
    words: Sequence[bytes] = ()
    secrets: Sequence[str] = ()
    is_slow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An input that broke a rule."""

    target: str
    data: bytes
    what: str

    def __str__(self) -> str:
        shown = repr(self.data) if len(self.data) <= 2000 else f"{self.data[:2000]!r}… ({len(self.data)} bytes)"
        return f"{self.target}: {self.what}\ninput: {shown}"


@dataclass(slots=True)
class _Pool:
    """Inputs worth mutating: the seeds, and the shortest input for each outcome seen so far, by its index."""

    inputs: list[bytes]
    outcomes: dict[str, int] = field(default_factory=dict)

    def note(self, data: bytes, outcome: str) -> None:
        known = self.outcomes.get(outcome)
        if known is not None and len(data) < len(self.inputs[known]):
            self.inputs[known] = data
        elif known is None and len(self.inputs) < _MAX_POOL:
            self.outcomes[outcome] = len(self.inputs)
            self.inputs.append(data)


def fuzz(target: Target, count: int, *, seed: int = 0) -> Iterator[Finding]:
    """Run the seeds and ``count`` mutated inputs; yields a finding for each distinct way to fail, its input shrunk."""
    random = Random(f"{target.name}/{seed}")
    pool = _Pool(list(target.seeds))
    pieces = [*target.seeds, *target.words]
    failed: set[str] = set()
    with _bounded():
        for number in range(len(target.seeds) + count):
            is_seed = number < len(target.seeds)
            data = target.seeds[number] if is_seed else mutate(random, random.choice(pool.inputs), pieces)
            outcome, what = _judge(target, data)
            if what is None:
                pool.note(data, outcome)
            elif outcome not in failed:
                failed.add(outcome)
                small = _shrunk(target, data, outcome)
                yield Finding(target=target.name, data=small, what=_judge(target, small)[1] or what)


def check(target: Target, data: bytes) -> None:
    """Run one input.

    Raises:
        BaseException: whatever is a finding.
    """
    try:
        target.run(data)
    except target.allowed as error:
        _check_words(target, error)


def _judge(target: Target, data: bytes) -> tuple[str, str | None]:
    """The outcome, which is alike for inputs that end alike, and what is wrong with it, or None."""
    signal.setitimer(signal.ITIMER_VIRTUAL, HANG_CPU_SECONDS)
    try:
        target.run(data)
    except target.allowed as error:
        return _judge_refusal(target, error)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return _place(error), "".join(traceback.format_exception(error)).strip()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    return "taken", None


def _judge_refusal(target: Target, error: Exception) -> tuple[str, str | None]:
    place = _place(error)
    try:
        _check_words(target, error)
    except CheckFailed as broken:
        return f"{place}: words", f"{broken}\n{''.join(traceback.format_exception(error)).strip()}"
    return place + _depth(error), None


def _place(error: BaseException) -> str:
    """Kind of the error, and the line that raised it; a recursion ends at another line each time."""
    if isinstance(error, RecursionError):
        return "RecursionError"
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    where = "" if at is None else f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}"
    return f"{type(error).__name__} {where}"


def _depth(error: Exception) -> str:
    """What a foreign parser said, without its numbers: it refuses at one line of ours, for many reasons."""
    cause = error.__cause__ or error.__context__
    return "" if cause is None else f" {re.sub('[0-9]+', '', str(cause))[:80]}"


def _check_words(target: Target, error: Exception) -> None:
    """Hold an error to the rules for messages.

    Raises:
        CheckFailed: a rule is broken.
    """
    text, hint = str(error), str(getattr(error, "hint", None) or "")
    if not text or not (text + hint).isprintable():
        raise CheckFailed("expected a message of printable characters on one line")
    if len(text) > MAX_ERROR_TEXT:
        raise CheckFailed(f"expected a message of at most {MAX_ERROR_TEXT} characters, got {len(text)}")
    for cause in _shown(error):
        words = f"{cause} {cause.args!r} {getattr(cause, 'hint', None)}"
        for secret in target.secrets:
            if any(secret[start : start + SECRET_RUN] in words for start in range(len(secret) - SECRET_RUN + 1)):
                raise CheckFailed("expected no part of a secret in an error or its causes")


def _shown(error: BaseException) -> Iterator[BaseException]:
    """The error and everything that a traceback of it would show."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _shrunk(target: Target, data: bytes, outcome: str) -> bytes:
    """Leave out whatever the finding does not need, by halves and smaller parts."""
    size = len(data) // 2
    attempts = 300
    while size and attempts and not outcome.startswith(Hang.__name__):
        for start in range(0, len(data), size):
            smaller = data[:start] + data[start + size :]
            attempts -= 1
            found, what = _judge(target, smaller)
            if what is not None and found == outcome:
                data = smaller
                break
            if not attempts:
                break
        else:
            size //= 2
    return data


@contextmanager
def _bounded() -> Iterator[None]:
    """Turn a hang and boundless memory into exceptions while the inputs run.

    Processor time is counted, not time on the clock, so that a busy machine makes no hang. NOTE: pytest-timeout owns
    the real-time alarm, hence the virtual one.
    """
    former_handler = signal.signal(signal.SIGVTALRM, _raise_hang)
    former_limit = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_address_space() + SPARE_MEMORY, former_limit[1]))
    faulthandler.dump_traceback_later(STUCK_SECONDS, repeat=False, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        resource.setrlimit(resource.RLIMIT_AS, former_limit)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, former_handler)


def _raise_hang(number: int, frame: FrameType | None) -> NoReturn:
    raise Hang(f"expected an answer within {HANG_CPU_SECONDS} s of processor time")


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()
