"""A parsed text as a tree that remembers where each value stood.

Between the text (``yamltext``) and the typed values (``documents``, ``access``, ``fixtures``): the functions here
read one node strictly and refuse anything else, naming document, path and line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias, TypeVar

from policies.errors import InvalidDocument

MAX_QUOTED = 60
"""Characters of an offending value that a message repeats."""

Plain: TypeAlias = "str | int | bool | list[Plain] | dict[str, Plain] | None"
Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a value stood: source name, document number from 1, path, line from 1."""

    source: str
    document: int
    path: str
    line: int

    def refusal(self, message: str, *, hint: str | None = None) -> InvalidDocument:
        """Return the error that speaks of this place."""
        return InvalidDocument(
            message, source=self.source, document=self.document, path=self.path, line=self.line, hint=hint
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One value with its place; sequences and mappings hold nodes."""

    value: str | int | bool | tuple[Node, ...] | Mapping[str, Node] | None
    place: Place

    def plain(self) -> Plain:
        """Return the value without places, made of JSON types only."""
        if isinstance(self.value, tuple):
            return [item.plain() for item in self.value]
        if isinstance(self.value, Mapping):
            return {key: item.plain() for key, item in self.value.items()}
        return self.value


def quoted(text: str) -> str:
    """Quote a value for a message, shortened to ``MAX_QUOTED`` characters and with nothing unprintable."""
    return ascii(text if len(text) <= MAX_QUOTED else text[:MAX_QUOTED] + "…")


def described(node: Node) -> str:
    """Say what a node holds, for messages of the form "expected X, got Y"."""
    match node.value:
        case bool():
            return "true" if node.value else "false"
        case None:
            return "nothing"
        case int():
            return f"the number {node.value}"
        case str():
            return quoted(node.value)
        case tuple():
            return "a list"
        case _:
            return "a mapping"


def read_fields(node: Node, *, required: frozenset[str], optional: frozenset[str] = frozenset()) -> Mapping[str, Node]:
    """Read a mapping that has all of the required fields and none that is not named.

    Raises:
        InvalidDocument: the node is no mapping, or a field is missing or unknown.
    """
    if not isinstance(node.value, Mapping):
        raise node.place.refusal(f"expected a mapping, got {described(node)}")
    known = required | optional
    for name, field in node.value.items():
        if name not in known:
            raise field.place.refusal(f"expected one of {', '.join(sorted(known))}, got {quoted(name)}")
    missing = sorted(required - node.value.keys())
    if missing:
        raise node.place.refusal(f"expected the field {missing[0]}, got none")
    return node.value


def read_mapping(node: Node) -> Mapping[str, Node]:
    """Read a mapping with free keys.

    Raises:
        InvalidDocument: the node is no mapping.
    """
    if not isinstance(node.value, Mapping):
        raise node.place.refusal(f"expected a mapping, got {described(node)}")
    return node.value


def read_list(node: Node, *, maximum: int) -> tuple[Node, ...]:
    """Read a list of 1 to ``maximum`` items; an empty one is refused, because it could be meant as any or none.

    Raises:
        InvalidDocument: the node is no list, or it is empty or too long.
    """
    if not isinstance(node.value, tuple):
        raise node.place.refusal(f"expected a list, got {described(node)}")
    if not node.value:
        raise node.place.refusal("expected at least one item, got an empty list", hint="leave the field out")
    if len(node.value) > maximum:
        raise node.place.refusal(f"expected at most {maximum} items, got {len(node.value)}")
    return node.value


def read_text(node: Node, *, pattern: re.Pattern[str], expected: str) -> str:
    """Read a string that matches ``pattern`` in full; ``expected`` names what that is.

    Raises:
        InvalidDocument: the node is no string or does not match.
    """
    if not isinstance(node.value, str) or pattern.fullmatch(node.value) is None:
        raise node.place.refusal(f"expected {expected}, got {described(node)}")
    return node.value


def read_bool(node: Node) -> bool:
    """Read ``true`` or ``false``.

    Raises:
        InvalidDocument: the node is something else.
    """
    if not isinstance(node.value, bool):
        raise node.place.refusal(f"expected true or false, got {described(node)}")
    return node.value


def read_int(node: Node, *, minimum: int, maximum: int) -> int:
    """Read a whole number in ``minimum..maximum``.

    Raises:
        InvalidDocument: the node is no number, or out of range.
    """
    value = node.value
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        raise node.place.refusal(f"expected a whole number from {minimum} to {maximum}, got {described(node)}")
    return value


def read_choice(node: Node, choices: type[Choice]) -> Choice:
    """Read one word of an enumeration.

    Raises:
        InvalidDocument: the node is not one of the words.
    """
    words = {choice.value: choice for choice in choices}
    if not isinstance(node.value, str) or node.value not in words:
        raise node.place.refusal(f"expected one of {', '.join(words)}, got {described(node)}")
    return words[node.value]
