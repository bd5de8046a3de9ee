"""Trees to typed specs, one function per kind; ``schemas/`` says the same for outside validators."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta

from policies.documents import (
    Effect,
    Level,
    Patterns,
    RotationPolicy,
    RotationRule,
    SecretAccessPolicy,
    SecretAccessRule,
    TrustPolicy,
    TrustScope,
    Window,
)
from policies.globs import Glob
from policies.images import parse_image_pattern
from policies.trees import (
    Node,
    described,
    quoted,
    read_bool,
    read_choice,
    read_fields,
    read_int,
    read_list,
    read_mapping,
    read_text,
)

MAX_RULES = 256
MAX_PATTERNS = 64
MAX_LABELS = 32
MAX_SIGNERS = 100
MIN_LENGTH = 16
MAX_LENGTH = 4096
MAX_KEEP = 100
MIN_EVERY = timedelta(hours=1)
"""Each replacement makes the tasks of every service anew that uses the secret."""

LABEL_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}", re.ASCII)
_DURATION = re.compile(r"([1-9][0-9]{0,3})([smhdw])", re.ASCII)
_WINDOW = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def parse_secret_access(spec: Node) -> SecretAccessPolicy:
    """Read the ``spec`` of a ``SecretAccessPolicy``.

    Raises:
        InvalidDocument: it is not exactly one.
    """
    fields = read_fields(spec, required=frozenset({"rules"}))
    return SecretAccessPolicy(rules=tuple(_rule(item) for item in read_list(fields["rules"], maximum=MAX_RULES)))


def _rule(node: Node) -> SecretAccessRule:
    fields = read_fields(
        node,
        required=frozenset({"effect"}),
        optional=frozenset(
            {"secrets", "services", "images", "nodes", "labels", "requireTrustedImage", "requireAttached"}
        ),
    )
    return SecretAccessRule(
        effect=read_choice(fields["effect"], Effect),
        secrets=_patterns(fields.get("secrets")),
        services=_patterns(fields.get("services")),
        images=_patterns(fields.get("images"), parse=parse_image_pattern),
        nodes=_patterns(fields.get("nodes")),
        labels=_labels(fields.get("labels")),
        require_trusted_image=_flag(fields.get("requireTrustedImage"), default=False),
        require_attached=_flag(fields.get("requireAttached"), default=True),
    )


def parse_trust(spec: Node) -> TrustPolicy:
    """Read the ``spec`` of a ``TrustPolicy``.

    Raises:
        InvalidDocument: it is not exactly one.
    """
    fields = read_fields(spec, required=frozenset({"scopes"}))
    return TrustPolicy(scopes=tuple(_scope(item) for item in read_list(fields["scopes"], maximum=MAX_RULES)))


def _scope(node: Node) -> TrustScope:
    fields = read_fields(
        node,
        required=frozenset({"level"}),
        optional=frozenset({"images", "minSigners", "maxAge"}),
    )
    level = read_choice(fields["level"], Level)
    if level is Level.SKIP:
        _check_skip(node, fields)
    signers, age = fields.get("minSigners"), fields.get("maxAge")
    return TrustScope(
        level=level,
        images=_patterns(fields.get("images"), parse=parse_image_pattern),
        min_signers=1 if signers is None else read_int(signers, minimum=1, maximum=MAX_SIGNERS),
        max_age=_optional_duration(age),
    )


def _check_skip(node: Node, fields: Mapping[str, Node]) -> None:
    """A scope without verification names what it exempts, and asks for nothing."""
    for name in ("minSigners", "maxAge"):
        if name in fields:
            raise fields[name].place.refusal(f"expected no {name} beside level skip, got one")
    if "images" not in fields:
        raise node.place.refusal("expected images beside level skip, got none")
    for item in read_list(fields["images"], maximum=MAX_PATTERNS):
        components = item.value.split("/") if isinstance(item.value, str) else []
        if all(not component or "*" in component for component in components):
            raise item.place.refusal(
                f"expected a pattern with a component without * beside level skip, got {described(item)}"
            )


def parse_rotation(spec: Node) -> RotationPolicy:
    """Read the ``spec`` of a ``RotationPolicy``.

    Raises:
        InvalidDocument: it is not exactly one.
    """
    fields = read_fields(spec, required=frozenset({"rules"}))
    items = read_list(fields["rules"], maximum=MAX_RULES)
    return RotationPolicy(rules=tuple(_rotation_rule(item) for item in items))


def _rotation_rule(node: Node) -> RotationRule:
    fields = read_fields(
        node, required=frozenset(), optional=frozenset({"secrets", "maxAge", "every", "length", "keep", "window"})
    )
    if "maxAge" not in fields and "every" not in fields:
        raise node.place.refusal("expected maxAge or every, got neither")
    for name in ("length", "keep", "window"):
        if name in fields and "every" not in fields:
            raise fields[name].place.refusal(f"expected {name} beside every, got it alone")
    age, every = _optional_duration(fields.get("maxAge")), _optional_duration(fields.get("every"))
    if every is not None and every < MIN_EVERY:
        raise fields["every"].place.refusal(f"expected an hour or more, got {described(fields['every'])}")
    if every is not None and age is not None and age < every:
        raise fields["maxAge"].place.refusal("expected maxAge not to be less than every, got less")
    length, keep, window = fields.get("length"), fields.get("keep"), fields.get("window")
    return RotationRule(
        secrets=_patterns(fields.get("secrets")),
        max_age=age,
        every=every,
        length=40 if length is None else read_int(length, minimum=MIN_LENGTH, maximum=MAX_LENGTH),
        keep=2 if keep is None else read_int(keep, minimum=1, maximum=MAX_KEEP),
        window=None if window is None else _window(window),
    )


def _window(node: Node) -> Window:
    text = read_text(node, pattern=_WINDOW, expected="hours of the day in UTC such as 02:00-04:30")
    begin, end = (int(part[:2]) * 60 + int(part[3:]) for part in text.split("-"))
    if begin == end:
        raise node.place.refusal("expected a beginning and another end, got the same; leave it out for always")
    return Window(begin=begin, end=end)


def _patterns(node: Node | None, *, parse: Callable[[str], Glob] = Glob.parse) -> Patterns:
    if node is None:
        return None
    seen: dict[str, Glob] = {}
    for item in read_list(node, maximum=MAX_PATTERNS):
        glob = _pattern(item, parse)
        written = str(item.value)
        if written in seen:
            raise item.place.refusal(f"expected each pattern once, got {described(item)} again")
        seen[written] = glob
    return tuple(seen.values())


def _pattern(node: Node, parse: Callable[[str], Glob]) -> Glob:
    if not isinstance(node.value, str):
        raise node.place.refusal(f"expected a pattern, got {described(node)}")
    try:
        return parse(node.value)
    except ValueError as error:
        raise node.place.refusal(str(error)) from error


def _labels(node: Node | None) -> dict[str, Glob]:
    items = {} if node is None else read_mapping(node)
    if node is not None and len(items) > MAX_LABELS:
        raise node.place.refusal(f"expected at most {MAX_LABELS} labels, got {len(items)}")
    for key, item in items.items():
        if LABEL_KEY.fullmatch(key) is None:
            raise item.place.refusal(f"expected a label key, got {quoted(key)}")
    return {key: _pattern(item, Glob.parse) for key, item in items.items()}


def _flag(node: Node | None, *, default: bool) -> bool:
    return default if node is None else read_bool(node)


def _optional_duration(node: Node | None) -> timedelta | None:
    if node is None:
        return None
    text = read_text(node, pattern=_DURATION, expected="a duration such as 90d")
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})
