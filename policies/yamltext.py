"""Bytes to trees: the small part of YAML that policy text may use.

Only what JSON can say is accepted. Refused are anchors, aliases, tags, directives, duplicate keys, keys that are
no strings, control and invisible characters, and plain scalars that YAML 1.1 and 1.2 readers take differently
(``no``, ``1.5``, ``012``, ``2026-01-01``), so that every reader of a document reads the same document. Work is
bounded by the size of the text, the depth, and the number of nodes, each checked while the text is read.

YAML 1.1 section 10 (the types), YAML 1.2.2 section 10.3 (the core schema).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from policies.errors import InvalidDocument
from policies.trees import Node, Place, quoted

if TYPE_CHECKING:
    import yaml

MAX_TEXT_BYTES = 256 * 1024
MAX_DEPTH = 16
MAX_NODES = 20_000
MAX_DOCUMENTS = 256

_LAYOUT = frozenset("\t\n\r")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JSON_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})", re.ASCII)
_NUMBER_OF_YAML_1_2 = re.compile(
    r"0o[0-7]+|0x[0-9a-fA-F]+|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII
)
_STANDARD = "tag:yaml.org,2002:"


def parse_trees(text: bytes, *, source: str) -> tuple[Node, ...]:
    """Parse every document of a text.

    Args:
        text: UTF-8, at most ``MAX_TEXT_BYTES`` bytes.
        source: name of the text in messages.

    Returns:
        one root node per document, at least one.

    Raises:
        InvalidDocument: the text is no YAML of the accepted kind, or it is over a limit.
    """
    import yaml  # costs some 15 ms, which commands without policy text shall not pay

    builder = _Builder(source=source, events=iter(yaml.parse(_decoded(text, source), Loader=yaml.SafeLoader)))
    try:
        return tuple(builder.documents())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise InvalidDocument(
            f"expected YAML, got something else: {error.problem or error.context}",
            source=source,
            line=mark.line + 1 if mark else None,
        ) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # NOTE: PyYAML's scanner lets the last two out for escapes beyond U+10FFFF.
        raise InvalidDocument("expected YAML, got something else", source=source) from error


def _decoded(text: bytes, source: str) -> str:
    if len(text) > MAX_TEXT_BYTES:
        raise InvalidDocument(f"expected at most {MAX_TEXT_BYTES} bytes, got {len(text)}", source=source)
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise InvalidDocument("expected UTF-8, got other bytes", source=source, line=line) from error
    hidden = _first_hidden(decoded, allowed=_LAYOUT)
    if hidden is not None:
        line = decoded.count("\n", 0, hidden) + 1
        raise InvalidDocument(
            f"expected visible characters, got U+{ord(decoded[hidden]):04X}", source=source, line=line
        )
    return decoded


def _first_hidden(text: str, *, allowed: frozenset[str] = frozenset()) -> int | None:
    """Return the index of the first character that a reader of the text would not see."""
    hidden = {char for char in set(text) - allowed if unicodedata.category(char) in _INVISIBLE}
    return min((text.index(char) for char in hidden), default=None)


@dataclass(slots=True)
class _Builder:
    """Builds nodes from the event stream; the only mutable thing here, and it lives for one call."""

    source: str
    events: Iterator[yaml.Event]
    document: int = 0
    nodes: int = field(default=0)

    def documents(self) -> Iterator[Node]:
        import yaml

        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                self._start_document(event)
                yield self._node(next(self.events), path="", depth=1)
        if self.document == 0:
            raise InvalidDocument("expected a document, got an empty text", source=self.source)

    def _start_document(self, event: yaml.DocumentStartEvent) -> None:
        self.document += 1
        place = self._place(event, "")
        if event.version or event.tags:
            raise place.refusal("expected no directives, got one")
        if self.document > MAX_DOCUMENTS:
            raise place.refusal(f"expected at most {MAX_DOCUMENTS} documents, got more")

    def _place(self, event: yaml.Event, path: str) -> Place:
        mark = event.start_mark
        line = mark.line + 1 if mark is not None else 1
        return Place(source=self.source, document=self.document, path=path, line=line)

    def _node(self, event: yaml.Event, *, path: str, depth: int) -> Node:
        import yaml

        place = self._place(event, path)
        self._count(place, depth)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise place.refusal("expected no anchors or aliases, got one")
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise place.refusal(f"expected no tags, got {quoted(str(tag))}")
        if isinstance(event, yaml.ScalarEvent):
            return Node(value=_scalar(event, place), place=place)
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(value=tuple(self._items(path, depth)), place=place)
        return Node(value=dict(self._members(path, depth)), place=place)

    def _count(self, place: Place, depth: int) -> None:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise place.refusal(f"expected at most {MAX_NODES} values, got more")
        if depth > MAX_DEPTH:
            raise place.refusal(f"expected at most {MAX_DEPTH} levels, got more")

    def _items(self, path: str, depth: int) -> Iterator[Node]:
        import yaml

        index = 0
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            yield self._node(event, path=f"{path}[{index}]", depth=depth + 1)
            index += 1

    def _members(self, path: str, depth: int) -> Iterator[tuple[str, Node]]:
        import yaml

        seen: set[str] = set()
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key = self._node(event, path=path, depth=depth + 1)
            if not isinstance(key.value, str):
                raise key.place.refusal("expected a string as key, got something else")
            if key.value in seen:
                raise key.place.refusal(f"expected each key once, got {quoted(key.value)} again")
            seen.add(key.value)
            yield (
                key.value,
                self._node(next(self.events), path=_joined(path, key.value), depth=depth + 1),
            )


def _joined(path: str, key: str) -> str:
    name = key if re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,39}", key) else f"[{quoted(key)}]"
    return f"{path}.{name}" if path and not name.startswith("[") else f"{path}{name}"


def _scalar(event: yaml.ScalarEvent, place: Place) -> str | int | bool | None:
    value = event.value
    if _first_hidden(value) is not None:
        raise place.refusal(f"expected visible characters on one line, got {quoted(value)}")
    if not event.implicit[0]:
        return value
    match _yaml_type(value):
        case "str" if not _NUMBER_OF_YAML_1_2.fullmatch(value):
            return value
        case "null" if value in {"", "null"}:
            return None
        case "bool" if value in {"true", "false"}:
            return value == "true"
        case "int" if _JSON_INTEGER.fullmatch(value):
            return int(value)
    raise place.refusal(
        f"expected a value that every YAML reader reads alike, got {quoted(value)}", hint="put it in quotes"
    )


def _yaml_type(value: str) -> str:
    """Return the type that YAML 1.1 gives a plain scalar, by its short name."""
    import yaml

    for tag, pattern in yaml.SafeLoader.yaml_implicit_resolvers.get(value[:1], []):
        if pattern.match(value):
            return str(tag).removeprefix(_STANDARD)
    return "str"
