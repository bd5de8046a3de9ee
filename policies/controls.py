"""The controls of reports: what is looked at, why, how bad it is, and what to do; as data.

A control says nothing about how it is checked. Profiles name the controls that belong to them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from policies.documents import API_VERSION
from policies.errors import InvalidDocument
from policies.trees import Node, quoted, read_choice, read_fields, read_list, read_mapping, read_text
from policies.yamltext import parse_trees

CATALOGUE_KIND = "ControlCatalogue"
PROFILE_KIND = "ReportProfile"
MAX_CONTROLS = 512
MAX_PROFILES = 32
CONTROL_ID = re.compile(r"[A-Z]{2,8}-[0-9]{1,3}(?:\.[0-9]{1,3}){0,2}", re.ASCII)
_PROFILE = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}", re.ASCII)
_SENTENCE = re.compile(r"[^\x00-\x1f]{1,600}")


class Severity(StrEnum):
    """How bad a failure is, the worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


class Means(StrEnum):
    """Where what a control needs comes from."""

    HOME = "home"
    MANAGER = "manager"
    AGENT = "agent"
    PERSON = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One control.

    Args:
        id: such as ``CIS-7.5``.
        section: the heading it stands under.
        why: what goes wrong where it fails.
        remedy: what to do then.
        references: sections of standards.
        means: where the facts come from.
    """

    id: str
    title: str
    section: str
    severity: Severity
    why: str
    remedy: str
    references: tuple[str, ...]
    means: Means


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """Every control by id, in the order of the document, and the controls of each profile."""

    controls: Mapping[str, Control]
    profiles: Mapping[str, tuple[str, ...]]


def load_catalogue(text: bytes, *, source: str = "control catalogue") -> Catalogue:
    """Read a catalogue.

    Args:
        text: one YAML document of kind ``ControlCatalogue``.
        source: name of the text in messages.

    Raises:
        InvalidDocument: it is not exactly one, an id is there twice, or a profile names an unknown control.
    """
    fields = kind_fields(text, source, CATALOGUE_KIND, frozenset({"controls", "profiles"}))
    controls: dict[str, Control] = {}
    for node in read_list(fields["controls"], maximum=MAX_CONTROLS):
        control = _control(node)
        if control.id in controls:
            raise node.place.refusal(f"expected each control once, got {control.id} twice")
        controls[control.id] = control
    named = read_mapping(fields["profiles"])
    if len(named) > MAX_PROFILES:
        raise fields["profiles"].place.refusal(f"expected at most {MAX_PROFILES} profiles, got {len(named)}")
    profiles = {_profile_name(name, node): _named(node, controls) for name, node in named.items()}
    return Catalogue(controls=controls, profiles=profiles)


def load_profile(text: bytes, catalogue: Catalogue, *, source: str = "profile") -> tuple[str, ...]:
    """Read a profile of one's own: the ids of its controls.

    Args:
        text: one YAML document of kind ``ReportProfile``.
        catalogue: the controls there are.
        source: name of the text in messages.

    Raises:
        InvalidDocument: it is not exactly one, or names an unknown control.
    """
    return _named(kind_fields(text, source, PROFILE_KIND, frozenset({"controls"}))["controls"], catalogue.controls)


def kind_fields(
    text: bytes, source: str, kind: str, names: frozenset[str] = frozenset(), *, optional: frozenset[str] = frozenset()
) -> Mapping[str, Node]:
    """Read the fields of one document of a kind; ``apiVersion`` and ``kind`` are checked.

    Raises:
        InvalidDocument: it is not one, a field is missing, or one is unknown.
    """
    trees = parse_trees(text, source=source)
    if len(trees) != 1:
        raise InvalidDocument(f"expected one document, got {len(trees)}", source=source)
    fields = read_fields(trees[0], required=names | {"apiVersion", "kind"}, optional=optional)
    for name, expected in (("apiVersion", API_VERSION), ("kind", kind)):
        read_text(fields[name], pattern=re.compile(re.escape(expected)), expected=expected)
    return fields


def _control(node: Node) -> Control:
    names = frozenset({"id", "title", "section", "severity", "why", "remedy", "means"})
    fields = read_fields(node, required=names, optional=frozenset({"references"}))
    references = read_list(fields["references"], maximum=16) if "references" in fields else ()
    return Control(
        id=read_text(fields["id"], pattern=CONTROL_ID, expected="a control's id"),
        title=sentence_of(fields["title"]),
        section=sentence_of(fields["section"]),
        severity=read_choice(fields["severity"], Severity),
        why=sentence_of(fields["why"]),
        remedy=sentence_of(fields["remedy"]),
        references=tuple(map(sentence_of, references)),
        means=read_choice(fields["means"], Means),
    )


def _named(node: Node, controls: Mapping[str, Control]) -> tuple[str, ...]:
    ids = []
    for item in read_list(node, maximum=MAX_CONTROLS):
        text = read_text(item, pattern=CONTROL_ID, expected="the id of a control")
        if text not in controls:
            raise item.place.refusal(f"expected the id of a control, got {quoted(text)}")
        if text in ids:
            raise item.place.refusal(f"expected each control once, got {text} twice")
        ids.append(text)
    return tuple(ids)


def sentence_of(node: Node) -> str:
    """Read 1 to 600 characters without control characters.

    Raises:
        InvalidDocument: it is something else.
    """
    return read_text(node, pattern=_SENTENCE, expected="a sentence of at most 600 characters")


def _profile_name(name: str, node: Node) -> str:
    if _PROFILE.fullmatch(name) is None:
        raise node.place.refusal(f"expected a profile's name, got {quoted(name)}")
    return name
