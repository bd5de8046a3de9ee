"""Rotation rules: which one decides, what an age means under it, and when its window is open."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.decisions import DenialCode, Denied
from policies.documents import Window
from policies.errors import AmbiguousPolicy, InvalidDocument
from policies.explaining import Outcome, explain
from policies.fixtures import load_cases, run_cases
from policies.loading import load_documents
from policies.rotation import RotationQuestion, RotationRequirement, decide_rotation, is_within, judge_age
from tests.unit.policies.builders import document, rotation_policy, text_of

HOUR, DAY = 3600, 86_400
DOCUMENTS = [
    rotation_policy(
        {"secrets": ["team/**"], "maxAge": "90d"},
        {"secrets": ["team/app/*"], "every": "30d", "window": "02:00-04:00", "length": 64, "keep": 1},
        name="team",
    ),
    rotation_policy({"secrets": ["keys/*"], "every": "1d", "maxAge": "2d"}, name="keys"),
]


def required(secret: str) -> RotationRequirement:
    decided = decide_rotation(DOCUMENTS, secret)
    assert isinstance(decided, RotationRequirement)
    return decided


@pytest.mark.parametrize(
    ("secret", "policy", "rule"), [("team/x", "team", 0), ("team/app/db", "team", 1), ("keys/session", "keys", 0)]
)
def test_the_most_specific_rule_decides(secret: str, policy: str, rule: int) -> None:
    basis = required(secret).basis
    assert (basis.policy, basis.rule) == (policy, rule)


@pytest.mark.parametrize(
    ("documents", "secret", "code"),
    [
        ([], "a", DenialCode.NO_DOCUMENT),
        (DOCUMENTS, "other", DenialCode.NO_RULE),
        (DOCUMENTS, "", DenialCode.INVALID_REQUEST),
        (DOCUMENTS, "a" * 4097, DenialCode.INVALID_REQUEST),
        ([rotation_policy({"maxAge": "1d"}), rotation_policy({"maxAge": "2d"}, name="b")], "a", DenialCode.AMBIGUOUS),
    ],
)
def test_without_one_answer_nobody_is_rotated(documents: list[object], secret: str, code: DenialCode) -> None:
    decided = decide_rotation(documents, secret)  # type: ignore[arg-type]  # documents of one kind or none
    assert isinstance(decided, Denied)
    assert decided.code is code


def test_rules_that_tie_are_refused_when_they_are_read() -> None:
    rules = [{"secrets": ["team/a*"], "maxAge": "1d"}, {"secrets": ["team/*b"], "maxAge": "2d"}]
    with pytest.raises(AmbiguousPolicy, match="one rule 0"):
        load_documents(text_of(document("RotationPolicy", {"rules": rules})), source="x")


def test_a_value_may_not_be_overdue_before_it_is_replaced() -> None:
    rules = [{"every": "30d", "maxAge": "29d"}]
    with pytest.raises(InvalidDocument, match=r"spec.rules\[0\].maxAge: expected maxAge not to be less than every"):
        load_documents(text_of(document("RotationPolicy", {"rules": rules})), source="x")


@pytest.mark.parametrize(
    ("secret", "age", "is_due", "is_overdue"),
    [
        ("team/x", 90 * DAY - 1, False, False),
        ("team/x", 90 * DAY, False, True),
        ("team/app/db", 30 * DAY - 1, False, False),
        ("team/app/db", 30 * DAY, True, False),
        ("team/app/db", 31 * DAY, True, True),
        ("keys/session", DAY, True, False),
        ("keys/session", 2 * DAY, True, True),
    ],
)
def test_an_age_is_due_at_its_schedule_and_overdue_past_what_is_allowed(
    secret: str, age: int, is_due: bool, is_overdue: bool
) -> None:
    judged = judge_age(required(secret), changed=1000, now=1000 + age)
    assert (judged.is_due, judged.is_overdue) == (is_due, is_overdue)
    assert (judged.due is None) == (secret == "team/x")


def test_a_clock_that_was_set_back_makes_nothing_due() -> None:
    judged = judge_age(required("keys/session"), changed=10 * DAY, now=0)
    assert (judged.is_due, judged.is_overdue) == (False, False)


def test_a_window_over_midnight_is_open_on_both_sides() -> None:
    window = Window(begin=23 * 60, end=60)
    assert [is_within(window, hour * HOUR) for hour in (22, 23, 24, 25)] == [False, True, True, False]
    assert is_within(None, 0)


@given(begin=st.integers(0, 1439), end=st.integers(0, 1439), now=st.integers(0, 2**33))
def test_a_window_and_its_opposite_never_open_together(begin: int, end: int, now: int) -> None:
    if begin != end:
        assert is_within(Window(begin=begin, end=end), now) != is_within(Window(begin=end, end=begin), now)


def test_an_explanation_shows_every_rule_and_the_real_decision() -> None:
    explanation = explain(DOCUMENTS, RotationQuestion("team/app/db"))
    assert [(step.outcome, step.detail) for step in explanation.steps] == [
        (Outcome.LESS_SPECIFIC, "a more specific rule matches as well"),
        (Outcome.DECIDED, "replaced every 30 d, from 02:00 to 04:00 UTC"),
        (Outcome.NOT_MATCHED, "secrets does not cover the request"),
    ]
    assert explanation.decision == decide_rotation(DOCUMENTS, "team/app/db")


def test_a_table_can_test_them() -> None:
    asked = {"team/app/db": "rotate", "team/x": "report", "other": "none", "keys/session": "report"}
    cases = [{"name": name, "request": {"rotation": name}, "expect": expect} for name, expect in asked.items()]
    report = run_cases(DOCUMENTS, load_cases(text_of(document("PolicyTest", {"cases": cases})), source="x"))
    assert [result.is_passed for result in report.results] == [True, True, True, False]
    assert report.unmet_rules == ()
