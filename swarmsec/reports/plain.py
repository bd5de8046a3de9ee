"""A stranger's text, made harmless for a terminal or a line of a table."""

from __future__ import annotations


def plain(text: str, limit: int = 400) -> str:
    """Write control and invisible characters as escapes, and cut what is long."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in cut)
