"""Tables for people: aligned, cut to the terminal's width, plain text with tabs where the output is a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under column names.

    On a terminal the table fits its width (80 columns at least are assumed) and the header is bold; in a pipe each
    row is one line, its cells separated by tabs, under a header line.
    """
    if not is_terminal():
        print_row(columns)
        for row in rows:
            print_row(row)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    for row in rows:
        table.add_row(*(Text(plain_text(cell)) for cell in row))
    Console(highlight=False).print(table)


def is_terminal() -> bool:
    """Whether a person sees stdout directly."""
    return sys.stdout.isatty()


def print_row(cells: Sequence[str]) -> None:
    """Print one line, its cells separated by tabs."""
    print("\t".join(plain_text(cell) for cell in cells))  # noqa: T201  # this is the output


def plain_text(text: str) -> str:
    """Write control and invisible characters of a stranger's text as escapes, so that they never reach a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
