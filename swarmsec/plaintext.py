"""A stranger's text, made harmless for a terminal, a line of a table or a report."""

from __future__ import annotations


def plain_text(text: str) -> str:
    """Write control and invisible characters of a stranger's text as escapes, so that they never reach a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def plain(text: str, limit: int = 400) -> str:
    """The same, and what is longer than ``limit`` characters is cut before."""
    return plain_text(text if len(text) <= limit else text[: limit - 1] + "…")
