"""Questions to the log: what a time, an action and a selection mean."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsec.errors import UsageProblem
from swarmsec.services.log.read_log import LogQuestion, parse_action, parse_since

NOW_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z
ENTRY: dict[str, object] = {
    "time": "2026-01-01T00:00:00.000Z",
    "action": "ca.issue",
    "actor": {"type": "local", "id": "uid:0"},
    "object": {"type": "certificate", "id": "1f", "name": "alice"},
}


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-01-01T12:30:00Z", "2026-01-01T12:30:00.000Z"),
        ("2026-01-01T12:30:00.5+02:00", "2026-01-01T10:30:00.500Z"),
        ("2026-01-01", "2026-01-01T00:00:00.000Z"),
        ("0001-01-01", "0001-01-01T00:00:00.000Z"),
        ("30s", "2025-12-31T23:59:30.000Z"),
        ("1h", "2025-12-31T23:00:00.000Z"),
        ("1w", "2025-12-25T00:00:00.000Z"),
        ("999999w", "1970-01-01T00:00:00.000Z"),
    ],
)
def test_times_are_read_as_entries_write_them(text: str, time: str) -> None:
    assert parse_since(text, now_ms=NOW_MS) == time


@pytest.mark.parametrize("text", ["", "0d", "1y", "-1d", "1000000w", "soon", "2026-02-30", "2026-01-01T25:00:00Z"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="expected a time"):
        parse_since(text, now_ms=NOW_MS)


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    with suppress(UsageProblem):
        assert parse_since(text, now_ms=NOW_MS).endswith("Z")


@pytest.mark.parametrize("text", ["ca.issue", "ca", "policy.apply", "home"])
def test_actions_and_their_subjects_are_known(text: str) -> None:
    assert parse_action(text) == text


@pytest.mark.parametrize("text", ["", "ca.", "CA", "ca.issu", "issue", "*"])
def test_other_actions_are_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="expected an action"):
        parse_action(text)


@pytest.mark.parametrize(
    "question",
    [
        LogQuestion(),
        LogQuestion(since="2026-01-01T00:00:00.000Z"),
        LogQuestion(actor="uid:0"),
        LogQuestion(actor="local:uid:0"),
        LogQuestion(action="ca"),
        LogQuestion(action="ca.issue"),
        LogQuestion(target="certificate"),
        LogQuestion(target="1f"),
        LogQuestion(target="alice", action="ca", actor="uid:0"),
    ],
)
def test_an_entry_is_selected(question: LogQuestion) -> None:
    assert question.matches(ENTRY)


@pytest.mark.parametrize(
    "question",
    [
        LogQuestion(since="2026-01-01T00:00:00.001Z"),
        LogQuestion(actor="uid"),
        LogQuestion(actor="service:uid:0"),
        LogQuestion(action="ca.revoke"),
        LogQuestion(action="c"),
        LogQuestion(target="1"),
        LogQuestion(target="alice", action="policy"),
    ],
)
def test_an_entry_is_left_out(question: LogQuestion) -> None:
    assert not question.matches(ENTRY)


def test_an_entry_without_its_parts_is_left_out() -> None:
    assert not LogQuestion(actor="uid:0").matches({**ENTRY, "actor": "uid:0"})
