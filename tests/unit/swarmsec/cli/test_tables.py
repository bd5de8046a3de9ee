"""Tables: tabs in a pipe, aligned on a terminal, and nothing that steers one."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import redirect_stdout

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from swarmsec.cli import tables
from swarmsec.plaintext import plain_text

ROWS = [("a", "first"), ("b\x1b[2J", "x" * 30)]


def test_a_pipe_gets_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    tables.print_table(("NAME", "TEXT"), ROWS)
    assert capsys.readouterr().out == f"NAME\tTEXT\na\tfirst\nb\\x1b[2J\t{'x' * 30}\n"


def test_a_terminal_gets_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "is_terminal", lambda: True)
    tables.print_table(("NAME", "TEXT"), ROWS)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert "\x1b" not in "".join(lines)
    (header,) = (line for line in lines if "NAME" in line)
    (first,) = (line for line in lines if "first" in line)
    assert header.index("TEXT") == first.index("first")


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain ä", "plain ä"), ("a\tb\nc", r"a\tb\nc"), ("\x9b\u202e\u2028", r"\x9b\u202e\u2028"), ("\ud800", r"\ud800")],
)
def test_characters_that_are_not_seen_are_written_out(text: str, shown: str) -> None:
    assert plain_text(text) == shown


def test_a_table_without_end_has_columns_on_a_terminal_and_tabs_in_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tables.print_cells(("a", "b\x1b"), (4, 0))
    monkeypatch.setattr(tables, "is_terminal", lambda: True)
    tables.print_cells(("a", "b\x1b"), (4, 0))

    assert capsys.readouterr().out == "a\tb\\x1b\na     b\\x1b\n"


WIDTHS = (3, 8, 6, 20, 0)
LETTERS = "ab7-.  \u4e16\u00e9\t\x1b\U0001f680"
"""Narrow ones and wide ones, blanks, and what is not seen."""
ROW = ("12", "2026", "ca.issue", "node n1", "it was asked for by somebody who may")


def shown(columns: int, *rows: Sequence[str]) -> list[str]:
    """The lines of these rows on a terminal of so many columns."""
    with pytest.MonkeyPatch.context() as monkeypatch, io.StringIO() as out, redirect_stdout(out):
        monkeypatch.setattr(tables, "is_terminal", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))
        for row in rows:
            tables.print_cells(row, WIDTHS)
        return out.getvalue().splitlines()


def test_columns_without_room_stand_below_in_every_row() -> None:
    short = ("1", "2025", "log", "", "none")
    assert shown(45, ROW, short) == [
        "12   2026      ca.issue  node n1",
        "     it was asked for by somebody who may",
        "1    2025      log",
        "     none",
    ]


def test_a_wide_terminal_has_a_row_on_a_line() -> None:
    assert len(shown(200, ROW)) == 1


@given(
    columns=st.integers(24, 120),
    cells=st.lists(st.text(LETTERS, max_size=60), min_size=5, max_size=5),
)
def test_no_line_is_wider_than_the_terminal_and_nothing_is_lost(columns: int, cells: list[str]) -> None:
    lines = shown(columns, cells)

    assert all(cell_len(line) <= columns for line in lines)
    assert "".join("".join(lines).split()) == "".join("".join(map(plain_text, cells)).split())
