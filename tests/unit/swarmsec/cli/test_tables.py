"""Tables: tabs in a pipe, aligned on a terminal, and nothing that steers one."""

from __future__ import annotations

import pytest

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
