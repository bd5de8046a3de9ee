"""Tables for people: aligned, cut to the terminal's width, plain text with tabs where the output is a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from swarmsec.plaintext import plain_text

if TYPE_CHECKING:
    from rich.console import Console

_GAP: Final = "  "
_REST: Final = 16
"""Characters that a last column without a width should have at least."""


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

    # Two characters between columns, so that six with a node's id among them fit 80.
    table = Table(*columns, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for row in rows:
        table.add_row(*(Text(plain_text(cell)) for cell in row))
    Console(highlight=False).print(table)


def is_terminal() -> bool:
    """Whether a person sees stdout directly."""
    return sys.stdout.isatty()


def print_row(cells: Sequence[str]) -> None:
    """Print one line, its cells separated by tabs."""
    print("\t".join(plain_text(cell) for cell in cells))  # noqa: T201  # this is the output


def print_cells(cells: Sequence[str], widths: Sequence[int]) -> None:
    """Print one row of a table that has no end yet: in a pipe as ``print_row``, on a terminal in columns.

    Columns that a terminal has no room for stand on further lines, indented under the second column, the same ones for
    each row. What is longer than its column pushes the rest of its line to the right, and what is then too long for
    the line goes on below.

    Args:
        cells: one for each width.
        widths: characters of each column on a terminal; 0 for a last one that takes what is left.
    """
    if not is_terminal():
        print_row(cells)
        return
    from rich.console import Console

    console, indent = Console(), widths[0] + len(_GAP)
    for columns in _lines_of(widths, console.width, indent):
        text = _GAP.join(plain_text(cells[column]).ljust(widths[column]) for column in columns).rstrip()
        for line in _folded(console, text, indent, is_first=0 in columns):
            print(line)  # noqa: T201  # this is the output


def _lines_of(widths: Sequence[int], room: int, indent: int) -> Iterator[list[int]]:
    """The columns that stand on each line of a row."""
    columns, used = [0], widths[0]
    for column, width in enumerate(widths[1:], start=1):
        wanted = len(_GAP) + (width or _REST)
        if used + wanted > room:
            yield columns
            columns, used = [], indent - len(_GAP)
        columns.append(column)
        used += wanted
    yield columns


def _folded(console: Console, text: str, indent: int, *, is_first: bool) -> Iterator[str]:
    """The lines that a text takes up, all but the first of a row indented; words that are too long are cut."""
    from rich.text import Text

    room = max(console.width - indent, 1)
    if is_first:
        head = Text(text).wrap(console, console.width, overflow="fold")[0].plain
        yield head.rstrip()
        text = text[len(head) :].lstrip()
    if text:
        yield from (" " * indent + line.plain.rstrip() for line in Text(text).wrap(console, room, overflow="fold"))
