"""The fuzzer finds what it is there to find; each fault is planted and must be reported."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from tests.fuzz import engine
from tests.fuzz.engine import CheckFailed, Finding, Target, check, fuzz
from tests.fuzz.mutations import MAX_EXTREME, MAX_INPUT, mutate

SECRET = "correct-horse-battery"


class Refusal(Exception):
    """What the planted parsers promise."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


def target_of(run: Callable[[bytes], object], *seeds: bytes) -> Target:
    return Target(name="planted", run=run, seeds=seeds or (b"[1,2]",), allowed=(Refusal,), covers=(), secrets=(SECRET,))


def findings(run: Callable[[bytes], object], *seeds: bytes, count: int = 300) -> list[Finding]:
    return list(fuzz(target_of(run, *seeds), count))


def test_a_parser_that_keeps_its_promises_is_left_alone() -> None:
    def run(data: bytes) -> None:
        if not data.startswith(b"["):
            raise Refusal("expected a list", hint="begin with [")

    assert findings(run) == []


def test_another_exception_is_found_once_and_shrunk() -> None:
    def run(data: bytes) -> None:
        if b"9" in data:
            raise KeyError("nine")

    (found,) = findings(run, b"a" * 500 + b"9" + b"b" * 500)
    assert found.data == b"9"
    assert "KeyError" in found.what
    assert "planted" in str(found)


def test_a_recursion_is_found() -> None:
    def run(data: bytes) -> None:
        if data:
            run(data)

    assert "RecursionError" in findings(run, count=0)[0].what


def test_a_hang_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "HANG_CPU_SECONDS", 0.05)

    def run(data: bytes) -> None:
        while data == b"[1,2]":
            try:
                len(data)
            except Exception:
                continue

    (found,) = findings(run, count=0)
    assert "Hang" in found.what


def test_boundless_memory_is_found() -> None:
    def run(data: bytes) -> None:
        bytes(engine.SPARE_MEMORY * 2)

    (found,) = findings(run, count=0)
    assert "MemoryError" in found.what


def raising(error: Exception) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        raise error

    return run


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Refusal(""), "printable"),
        (Refusal("two\nlines"), "printable"),
        (Refusal("red \x1b[31m"), "printable"),
        (Refusal("fine", hint="half \ud800"), "printable"),
        (Refusal("a" * 1001), "at most 1000"),
        (Refusal(f"got {SECRET[3:12]}"), "no part of a secret"),
        (Refusal("got it", hint=SECRET), "no part of a secret"),
        (caused(Refusal("got it"), ValueError(SECRET.encode())), "no part of a secret"),
    ],
)
def test_words_that_break_a_rule_are_found(error: Exception, words: str) -> None:
    (found,) = findings(raising(error), count=0)
    assert words in found.what
    with pytest.raises(CheckFailed, match=words):
        check(target_of(raising(error)), b"")


def test_a_cause_that_is_not_shown_may_hold_anything() -> None:
    def run(data: bytes) -> None:
        try:
            raise ValueError(SECRET)
        except ValueError:
            raise Refusal("expected something else") from None

    assert findings(run, count=0) == []


def test_guidance_reaches_what_chance_alone_does_not() -> None:
    def run(data: bytes) -> None:
        if not data.startswith(b"{"):
            raise Refusal("expected {")
        if data[1:2] != b'"':
            raise Refusal("expected a name")
        if data[2:3] != b"\\":
            raise Refusal("expected an escape")
        raise KeyError("deep")

    assert findings(run, b"[", count=20_000)


def test_the_same_seed_makes_the_same_inputs() -> None:
    def inputs(seed: int) -> list[bytes]:
        random = Random(seed)
        return [mutate(random, b"seed", [b"piece"]) for _ in range(200)]

    assert inputs(1) == inputs(1)
    assert inputs(1) != inputs(2)


def test_inputs_are_bounded_and_sometimes_extreme() -> None:
    random = Random(0)
    lengths = [len(mutate(random, b"a" * 200, [b"b" * 50])) for _ in range(2000)]
    assert max(lengths) <= MAX_EXTREME + MAX_INPUT
    assert max(lengths) > 60_000
    assert sum(length > MAX_INPUT for length in lengths) < 100
