"""Patterns: matching against a naive reference, overlap, specificity, and the number of steps."""

from __future__ import annotations

import itertools
import sys
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policies.globs import ANY, MAX_NAME_LENGTH, MAX_PATTERN_LENGTH, Glob

PATTERNS = st.from_regex(r"([ab/]|\*{1,2}(?!\*)){1,8}", fullmatch=True)
NAMES = st.text("ab/", max_size=8)


def naive(pattern: str, name: str) -> bool:
    """Match by trying every way, straight from the definition."""
    if not pattern:
        return not name
    if pattern.startswith("**"):
        return any(naive(pattern[2:], name[cut:]) for cut in range(len(name) + 1))
    if pattern.startswith("*"):
        reach = name.find("/") if "/" in name else len(name)
        return any(naive(pattern[1:], name[cut:]) for cut in range(reach + 1))
    return name[:1] == pattern[0] and naive(pattern[1:], name[1:])


@given(pattern=PATTERNS, name=NAMES)
@example(pattern="a/**/b", name="a//b")
@example(pattern="*", name="")
def test_matching_agrees_with_the_definition(pattern: str, name: str) -> None:
    assert Glob.parse(pattern).matches(name) is naive(pattern, name)


@given(first=PATTERNS, second=PATTERNS, name=NAMES)
def test_a_name_that_both_match_is_an_overlap(first: str, second: str, name: str) -> None:
    if naive(first, name) and naive(second, name):
        assert Glob.parse(first).overlaps(Glob.parse(second))


@settings(max_examples=40)
@given(
    first=st.from_regex(r"([ab/]|\*{1,2}(?!\*)){1,3}", fullmatch=True),
    second=st.from_regex(r"([ab/]|\*{1,2}(?!\*)){1,3}", fullmatch=True),
)
def test_an_overlap_has_a_name_that_both_match(first: str, second: str) -> None:
    names = ("".join(letters) for size in range(7) for letters in itertools.product("ab/", repeat=size))
    found = any(Glob.parse(first).matches(name) and Glob.parse(second).matches(name) for name in names)
    assert Glob.parse(first).overlaps(Glob.parse(second)) is found


@given(first=PATTERNS, second=PATTERNS)
def test_overlap_is_symmetric(first: str, second: str) -> None:
    a, b = Glob.parse(first), Glob.parse(second)
    assert a.overlaps(b) is b.overlaps(a)


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("team/app/*", "team/app/db", True),
        ("team/app/*", "team/app/db/password", False),
        ("team/app/**", "team/app/db/password", True),
        ("team/app/**", "team/app", False),
        ("*", "a/b", False),
        ("**", "a/b", True),
        ("a.b", "axb", False),
        ("web", "web\n", False),
        ("web", "Web", False),
    ],
)
def test_examples(pattern: str, name: str, expected: bool) -> None:
    assert Glob.parse(pattern).matches(name) is expected


@pytest.mark.parametrize(
    "text",
    ["", "a" * (MAX_PATTERN_LENGTH + 1), "a?", "[ab]", "{a,b}", "a\\*", "a***", "****", " a", "a ", "]", "}"],
)
def test_other_dialects_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        Glob.parse(text)


def test_a_name_over_the_limit_matches_nothing() -> None:
    assert Glob.parse("**").matches("a" * MAX_NAME_LENGTH)
    assert not Glob.parse("**").matches("a" * (MAX_NAME_LENGTH + 1))


def test_specificity_is_ordered_as_documented() -> None:
    rising = ["**", "a*", "abc*", "a/*", "abc/*", "a/b/*", "a/b/c*", "a/*/c/*", "a", "a/b", "a/b/c"]
    by_rank = sorted(rising, key=lambda text: Glob.parse(text).specificity)
    assert by_rank[0] == "**"
    assert by_rank[-3:] == ["a", "a/b", "a/b/c"]
    assert by_rank.index("abc*") < by_rank.index("a/*") < by_rank.index("abc/*") < by_rank.index("a/b/*")
    assert Glob.parse("**").specificity == Glob.parse("*").specificity == ANY


@given(pattern=PATTERNS, name=NAMES.filter(bool))
def test_no_pattern_is_more_specific_than_the_exact_name(pattern: str, name: str) -> None:
    glob = Glob.parse(pattern)
    if glob.matches(name) and pattern != name:
        assert glob.specificity < Glob.parse(name).specificity


def lines_run(glob: Glob, name: str) -> int:
    """Count the lines of Python that one match runs."""
    count = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        glob.matches(name)
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("pattern", ["*a" * 60 + "b", "**a" * 60 + "b", "a*/**" * 40 + "c", "**/" * 60 + "x"])
def test_steps_grow_with_the_name_and_nothing_else(pattern: str) -> None:
    plain = lines_run(Glob.parse("**"), "a" * 1000)
    assert lines_run(Glob.parse(pattern), "a" * 1000) <= plain
    assert lines_run(Glob.parse(pattern), "a" * 2000) <= 2 * plain


def test_overlap_visits_each_pair_of_positions_once(monkeypatch: pytest.MonkeyPatch) -> None:
    visits: list[tuple[int, int]] = []
    original = Glob._followers

    def counting(self: Glob, other: Glob, i: int, j: int) -> Any:
        visits.append((i, j))
        return original(self, other, i, j)

    monkeypatch.setattr(Glob, "_followers", counting)
    first, second = Glob.parse("*a" * 30 + "b"), Glob.parse("**a" * 30 + "c")
    assert not first.overlaps(second)
    assert len(visits) == len(set(visits)) <= 62 * 62
