"""Patterns over names: matching, overlap, and which of two patterns says more.

``*`` stands for any run of characters without ``/``, ``**`` for any run at all; both may be empty. Every other
character stands for itself. There are no classes, braces, question marks or escapes, and their characters are
refused, so that nobody reads a pattern by the rules of another dialect.

Matching follows all ways through the pattern at once, as bits of one number, and so takes one step per character
of the name: there is nothing to backtrack into. (Baeza-Yates and Gonnet, "A new approach to text searching",
1992, with two kinds of wildcard.)

Specificity orders patterns: one without wildcards before any other, then by the number of components (parts
between ``/``) without wildcards, then by the number of literal characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

MAX_PATTERN_LENGTH = 256
MAX_NAME_LENGTH = 4096

_TOKEN = re.compile(r"\*\*|\*|[^*]")
_FOREIGN = frozenset("?[]{}\\")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Specificity:
    """How much a pattern says; more is greater. The order of the fields is the order of comparison."""

    exact: bool = False
    literal_components: int = 0
    literal_length: int = 0


ANY = Specificity()
"""The specificity of a rule that names nothing: below every pattern but ``*`` and ``**``, which equal it."""


@dataclass(frozen=True, slots=True)
class Glob:
    """A checked pattern; make one with ``Glob.parse``."""

    text: str
    _tokens: tuple[str, ...] = field(repr=False, compare=False)
    _literals: Mapping[str, int] = field(repr=False, compare=False)
    _stars: int = field(repr=False, compare=False)
    _wide_stars: int = field(repr=False, compare=False)
    _head: str = field(repr=False, compare=False)
    """What every name begins with that it covers."""
    specificity: Specificity = field(repr=False, compare=False)
    """How much the pattern says."""

    @classmethod
    def parse(cls, text: str) -> Glob:
        """Check a pattern and prepare it for matching.

        Args:
            text: 1 to ``MAX_PATTERN_LENGTH`` characters.

        Raises:
            ValueError: the pattern is empty, too long, or holds what another dialect would read as a wildcard.
        """
        if not 1 <= len(text) <= MAX_PATTERN_LENGTH:
            raise ValueError(f"expected a pattern of 1 to {MAX_PATTERN_LENGTH} characters, got {len(text)}")
        foreign = sorted(_FOREIGN & set(text))
        if foreign:
            raise ValueError(f"expected * and ** as the only wildcards, got {foreign[0]!r}")
        if "***" in text:
            raise ValueError("expected * or **, got three stars or more in a row")
        if text != text.strip():
            raise ValueError("expected a pattern without space around it, got some")
        tokens = tuple(_TOKEN.findall(text))
        head, said = text.partition("*")[0], _specificity(text, tokens)
        return cls(text, tokens, _positions(tokens), _bits(tokens, "*"), _bits(tokens, "**"), head, said)

    def matches(self, name: str) -> bool:
        """Tell whether the pattern covers the whole name; one longer than ``MAX_NAME_LENGTH`` never matches."""
        if len(name) > MAX_NAME_LENGTH or not name.startswith(self._head):
            return False
        begun = len(self._head)
        state = self._skipped(1 << begun)
        for char in name[begun:]:
            stay = self._wide_stars if char == "/" else self._wide_stars | self._stars
            state = self._skipped((state & self._literals.get(char, 0)) << 1 | state & stay)
        return bool(state >> len(self._tokens))

    def _skipped(self, state: int) -> int:
        """Add the states reached by taking a wildcard as empty; wildcards never stand side by side."""
        return state | (state & (self._stars | self._wide_stars)) << 1

    def overlaps(self, other: Glob) -> bool:
        """Tell whether some name is matched by both patterns.

        Walks the pairs of positions in the two patterns, each once: at most the product of their lengths.
        """
        end = (len(self._tokens), len(other._tokens))
        seen = {(0, 0)}
        waiting = [(0, 0)]
        while waiting:
            here = waiting.pop()
            if here == end:
                return True
            new = set(self._followers(other, *here)) - seen
            seen |= new
            waiting.extend(new)
        return False

    def _followers(self, other: Glob, i: int, j: int) -> Iterator[tuple[int, int]]:
        mine = self._tokens[i] if i < len(self._tokens) else ""
        theirs = other._tokens[j] if j < len(other._tokens) else ""
        if _is_wild(mine):
            yield i + 1, j
        if _is_wild(theirs):
            yield i, j + 1
        if mine and mine == theirs and not _is_wild(mine):
            yield i + 1, j + 1
        if _takes(mine, theirs):
            yield i, j + 1
        if _takes(theirs, mine):
            yield i + 1, j


def _specificity(text: str, tokens: Sequence[str]) -> Specificity:
    components = text.split("/")
    return Specificity(
        exact="*" not in text,
        literal_components=sum("*" not in component for component in components),
        literal_length=sum(not _is_wild(token) for token in tokens),
    )


def _is_wild(token: str) -> bool:
    return token.startswith("*")


def _takes(wild: str, literal: str) -> bool:
    """Tell whether a wildcard may stand for this literal character."""
    if not literal or _is_wild(literal):
        return False
    return wild == "**" or (wild == "*" and literal != "/")


def _bits(tokens: tuple[str, ...], wanted: str) -> int:
    return sum(1 << index for index, token in enumerate(tokens) if token == wanted)


def _positions(tokens: tuple[str, ...]) -> dict[str, int]:
    return {token: _bits(tokens, token) for token in set(tokens) if not _is_wild(token)}
