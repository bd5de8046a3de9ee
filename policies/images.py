"""Images as policies name them: by repository, never by tag or digest.

A tag beside a digest is the caller's claim and nothing checks it, so no rule may hang on one. Patterns are read
as Docker reads names: ``nginx`` is ``docker.io/library/nginx``, ``team/app`` is ``docker.io/team/app``
(distribution/reference, ``splitDockerDomain``); a first component with a wildcard may stand for any registry.
All is lower-case, the registry too: hosts are the same in any case, and a rule shall not be evaded by spelling.
"""

from __future__ import annotations

import re

from policies.globs import Glob

_DEFAULT_DOMAIN = "docker.io"
_WITHOUT_TAG = re.compile(r"(?:[^@A-Z]*/)?[^/:@A-Z]+")


def parse_image_pattern(text: str) -> Glob:
    """Read a pattern over repositories.

    Args:
        text: as in a document, such as ``registry.example/shop/*`` or ``nginx``.

    Returns:
        the pattern over full repository names.

    Raises:
        ValueError: the pattern is malformed, or names a tag or digest.
    """
    Glob.parse(text)
    if _WITHOUT_TAG.fullmatch(text) is None:
        raise ValueError(f"expected a lower-case repository without tag or digest, got {text!r}")
    return Glob.parse(_with_domain(text))


def _with_domain(text: str) -> str:
    first, slash, rest = text.partition("/")
    if "**" in first or (slash and "*" in first):
        return text
    if not slash or not _is_domain(first):
        first, rest = _DEFAULT_DOMAIN, text
    elif first == f"index.{_DEFAULT_DOMAIN}":
        first = _DEFAULT_DOMAIN
    if first == _DEFAULT_DOMAIN and "/" not in rest and "**" not in rest:
        rest = f"library/{rest}"
    return f"{first}/{rest}"


def _is_domain(component: str) -> bool:
    return "." in component or ":" in component or component == "localhost"


def is_repository(name: str) -> bool:
    """Tell whether this is a full repository name, lower-case ``domain/path``, as decisions take it."""
    first, slash, _ = name.partition("/")
    return bool(slash) and _is_domain(first) and _WITHOUT_TAG.fullmatch(name) is not None
