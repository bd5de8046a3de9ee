"""Tables for people: aligned, cut to the terminal's width, plain text with tabs where the output is a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under column names.

    On a terminal the table fits its width (80 columns at least are assumed) and the header is bold; in a pipe each
    row is one line, its cells separated by tabs, under a header line.
    """
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            print("\t".join(_plain(cell) for cell in row))  # noqa: T201  # this is the output
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False, expand=False)
    for row in rows:
        table.add_row(*(Text(_plain(cell)) for cell in row))
    Console(highlight=False).print(table)


def _plain(cell: str) -> str:
    """Control characters of a stranger's text never reach a terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in cell)
