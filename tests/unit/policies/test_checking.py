"""Sets of documents: ties with different answers are found, and what cannot meet is left alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import checking
from policies.checking import check_set
from policies.decisions import DenialCode, Denied
from policies.errors import AmbiguousPolicy, PolicyError
from policies.secret_access import SecretRequestFacts, decide_secret_access
from policies.trust import decide_trust_scope
from tests.unit.policies.builders import secret_policy, trust_policy

DENY: dict[str, object] = {"effect": "deny"}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"secrets": ["a/*"]}, {"secrets": ["a/*"], **DENY}),
        ({"secrets": ["a/b"]}, {"secrets": ["x", "a/b"], **DENY}),
        ({}, DENY),
        ({}, {"secrets": ["**"], **DENY}),
        ({"secrets": ["*/b"]}, {"secrets": ["a/*"], **DENY}),
        ({"secrets": ["a"], "services": ["web*"]}, {"secrets": ["a"], "services": ["*1"], **DENY}),
        ({"secrets": ["a"], "services": ["web*"]}, {"secrets": ["a"], **DENY}),
        ({"secrets": ["a"], "labels": {"k": "x"}}, {"secrets": ["a"], "labels": {"l": "y"}, **DENY}),
        ({"secrets": ["a"]}, {"secrets": ["a"], "requireAttached": True}),
        ({"secrets": ["a"]}, {"secrets": ["a"], "requireTrustedImage": True}),
    ],
)
def test_ties_between_documents_are_refused(first: dict[str, object], second: dict[str, object]) -> None:
    documents = [secret_policy(first, name="one"), secret_policy(second, name="two")]
    with pytest.raises(AmbiguousPolicy, match=r"one rule 0 \(.*\) and two rule 0 \(") as caught:
        check_set(documents)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"secrets": ["a/*"]}, {"secrets": ["a/*"]}),
        ({"secrets": ["a/*"], **DENY}, {"secrets": ["a/*"], "requireAttached": True, **DENY}),
        ({"secrets": ["a/*"]}, {"secrets": ["a/b"], **DENY}),
        ({"secrets": ["a/*"]}, {"secrets": ["b/*"], **DENY}),
        ({"secrets": ["a"], "services": ["x"]}, {"secrets": ["a"], "services": ["y"], **DENY}),
        ({"secrets": ["a"], "images": ["x"]}, {"secrets": ["a"], "images": ["y/*"], **DENY}),
        ({"secrets": ["a"], "nodes": ["x*"]}, {"secrets": ["a"], "nodes": ["y*"], **DENY}),
        ({"secrets": ["a"], "labels": {"k": "x"}}, {"secrets": ["a"], "labels": {"k": "y"}, **DENY}),
    ],
)
def test_what_agrees_or_cannot_meet_is_accepted(first: dict[str, object], second: dict[str, object]) -> None:
    check_set([secret_policy(first, name="one"), secret_policy(second, name="two")])


def test_inside_a_secret_document_deny_wins_and_nothing_ties() -> None:
    check_set([secret_policy({"secrets": ["a"]}, {"secrets": ["a"], **DENY})])


def test_scopes_tie_inside_a_document_too() -> None:
    with pytest.raises(AmbiguousPolicy, match="one rule 0"):
        trust_policy({"images": ["r.example/*"]}, {"images": ["r.example/*"], "minSigners": 2})
    with pytest.raises(AmbiguousPolicy):
        check_set([trust_policy({}, name="one"), trust_policy({"maxAge": "1d"}, name="two")])
    check_set([trust_policy({}, name="one"), trust_policy({"minSigners": 1}, name="two")])


def test_a_name_stands_once_per_kind() -> None:
    with pytest.raises(AmbiguousPolicy, match="expected one TrustPolicy named one, got two"):
        check_set([trust_policy({}), trust_policy({"images": ["a"]})])
    check_set([trust_policy({}), secret_policy({})])


def test_the_work_of_comparing_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    first = secret_policy({"secrets": [f"*x{number:02}" for number in range(50)]}, name="one")
    second = secret_policy({"secrets": [f"*y{number:02}" for number in range(50)], **DENY}, name="two")
    check_set([first, second])
    monkeypatch.setattr(checking, "MAX_STEPS", 30_000)
    with pytest.raises(PolicyError, match="too many patterns") as caught:
        check_set([first, second])
    assert caught.value.hint


def test_patterns_that_begin_differently_cost_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    first = secret_policy({"secrets": [f"x{number:02}/*" for number in range(50)]}, name="one")
    second = secret_policy({"secrets": [f"y{number:02}/*" for number in range(50)], **DENY}, name="two")
    monkeypatch.setattr(checking, "MAX_STEPS", 50 * 50)
    check_set([first, second])


def test_an_empty_set_is_in_order() -> None:
    check_set([])


PATTERN = st.sampled_from(["**", "*", "a", "b", "a/*", "*/b", "a/b", "a/**", "**/b", "a*", "*b"])
RULE = st.fixed_dictionaries(
    {"effect": st.sampled_from(["allow", "deny"])},
    optional={
        "secrets": st.lists(PATTERN, min_size=1, max_size=2, unique=True),
        "services": st.lists(PATTERN, min_size=1, max_size=2, unique=True),
        "requireAttached": st.booleans(),
    },
)
NAME = st.sampled_from(["a", "b", "ab", "a/b", "a/a", "b/b", "a/a/b", "c"])


@settings(max_examples=300)
@given(
    first=st.lists(RULE, min_size=1, max_size=3),
    second=st.lists(RULE, min_size=1, max_size=3),
    secret=NAME,
    service=NAME | st.none(),
)
def test_what_passes_the_check_is_never_ambiguous(
    first: list[dict[str, object]], second: list[dict[str, object]], secret: str, service: str | None
) -> None:
    documents = [secret_policy(*first, name="one"), secret_policy(*second, name="two")]
    try:
        check_set(documents)
    except PolicyError:
        return
    decision = decide_secret_access(documents, SecretRequestFacts(secret=secret, service=service))
    assert not (isinstance(decision, Denied) and decision.code is DenialCode.AMBIGUOUS)


SCOPE = st.fixed_dictionaries(
    {"level": st.sampled_from(["enforce", "warn"]), "images": st.lists(PATTERN, min_size=1, max_size=2, unique=True)}
)


@settings(max_examples=200)
@given(first=SCOPE, second=SCOPE, image=NAME)
def test_scopes_that_pass_the_check_are_never_ambiguous(
    first: dict[str, object], second: dict[str, object], image: str
) -> None:
    documents = [trust_policy(first, name="one"), trust_policy(second, name="two")]
    try:
        check_set(documents)
    except PolicyError:
        return
    decision = decide_trust_scope(documents, f"docker.io/{image}")
    assert not (isinstance(decision, Denied) and decision.code is DenialCode.AMBIGUOUS)
