"""Tables for people: aligned, cut to the terminal's width, plain text with tabs where the output is a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from swarmsec.plaintext import plain_text


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
    """Print one line of a table that has no end yet: in a pipe as ``print_row``, on a terminal in columns.

    Args:
        cells: one for each width.
        widths: characters of each column on a terminal; a longer cell pushes the rest of its line to the right.
    """
    if not is_terminal():
        print_row(cells)
        return
    padded = (plain_text(cell).ljust(width) for cell, width in zip(cells, widths, strict=True))
    print("  ".join(padded).rstrip())  # noqa: T201  # this is the output
