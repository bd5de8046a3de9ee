"""Who gets which secret: every rule of the decision, with the request that would slip by without it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies.decisions import Allowed, DenialCode, Denied
from policies.documents import Document
from policies.globs import MAX_NAME_LENGTH
from policies.secret_access import SecretRequestFacts, decide_secret_access
from tests.unit.policies.builders import secret_policy, trust_policy

FACTS = SecretRequestFacts(
    secret="team/app/db",
    service="shop_api",
    image="registry.example/shop/api",
    nodes=("w8x1", "worker-1"),
    labels={"tier": "back"},
)
DENY: dict[str, object] = {"effect": "deny"}


def code(documents: list[Document], facts: SecretRequestFacts = FACTS) -> DenialCode | None:
    """Decide, and return the code of the denial or None for allowed."""
    decision = decide_secret_access(documents, facts)
    return decision.code if isinstance(decision, Denied) else None


def test_no_document_is_a_denial() -> None:
    assert code([]) is DenialCode.NO_DOCUMENT
    assert code([trust_policy({})]) is DenialCode.NO_DOCUMENT


def test_no_matching_rule_is_a_denial() -> None:
    assert code([secret_policy({"secrets": ["other/*"]})]) is DenialCode.NO_RULE


def test_a_matching_rule_allows_and_is_named() -> None:
    document = secret_policy({"secrets": ["x"]}, {"secrets": ["team/app/*"]}, name="db")
    decision = decide_secret_access([document], FACTS)
    assert isinstance(decision, Allowed)
    assert decision.basis is not None
    assert (decision.basis.policy, decision.basis.digest, decision.basis.rule) == ("db", document.digest, 1)


def test_absent_lists_mean_any() -> None:
    assert code([secret_policy({})]) is None
    assert code([secret_policy({})], SecretRequestFacts(secret="x")) is None


@pytest.mark.parametrize(
    ("field", "covering", "other"),
    [
        ("secrets", ["x", "team/app/*"], ["team/*"]),
        ("services", ["shop_*"], ["shop"]),
        ("images", ["registry.example/shop/*"], ["registry.example/*"]),
        ("nodes", ["worker-1"], ["worker-2"]),
        ("nodes", ["w8x1"], ["W8X1"]),
        ("labels", {"tier": "b*"}, {"tier": "front"}),
        ("labels", {}, {"tier": "back", "absent": "*"}),
    ],
)
def test_every_field_counts(field: str, covering: object, other: object) -> None:
    assert code([secret_policy({field: covering})]) is None
    assert code([secret_policy({field: other})]) is DenialCode.NO_RULE
    deny = {field: covering, **DENY}
    assert code([secret_policy({}, deny)]) is DenialCode.DENY_RULE
    assert code([secret_policy({}, {field: other, **DENY})]) is None


@pytest.mark.parametrize(
    ("fact", "field", "pattern"),
    [
        ("service", "services", ["**"]),
        ("image", "images", ["**"]),
        ("nodes", "nodes", ["**"]),
        ("labels", "labels", {"tier": "**"}),
    ],
)
def test_a_fact_that_is_not_known_never_opens_anything(fact: str, field: str, pattern: object) -> None:
    match fact:
        case "service":
            facts = replace(FACTS, service=None)
        case "image":
            facts = replace(FACTS, image=None)
        case "nodes":
            facts = replace(FACTS, nodes=None)
        case _:
            facts = replace(FACTS, labels=None)
    assert code([secret_policy({field: pattern})], FACTS) is None
    assert code([secret_policy({field: pattern})], facts) is DenialCode.NO_RULE
    assert code([secret_policy({}, {field: pattern, **DENY})], facts) is DenialCode.DENY_RULE


def test_deny_wins_inside_a_document_however_specific() -> None:
    document = secret_policy({"secrets": ["team/app/db"]}, {"secrets": ["team/**"], **DENY}, name="db")
    decision = decide_secret_access([document], FACTS)
    assert isinstance(decision, Denied)
    assert decision.code is DenialCode.DENY_RULE
    assert decision.basis is not None
    assert (decision.basis.policy, decision.basis.rule) == ("db", 1)


def test_between_documents_the_most_specific_scope_decides() -> None:
    broad_deny = secret_policy({"secrets": ["team/**"], **DENY}, name="broad")
    narrow_allow = secret_policy({"secrets": ["team/app/db"]}, name="narrow")
    assert code([broad_deny, narrow_allow]) is None
    broad_allow = secret_policy({"secrets": ["team/**"]}, name="broad")
    narrow_deny = secret_policy({"secrets": ["team/app/*"], **DENY}, name="narrow")
    assert code([broad_allow, narrow_deny]) is DenialCode.DENY_RULE
    assert code([narrow_deny, broad_allow]) is DenialCode.DENY_RULE


def test_a_rule_is_as_specific_as_the_best_of_its_patterns() -> None:
    listed = secret_policy({"secrets": ["**", "team/app/db", "team/*/db"]}, name="listed")
    assert code([secret_policy({"secrets": ["team/app/*"], **DENY}, name="wide"), listed]) is None


def test_a_silenced_allow_does_not_decide_for_its_document() -> None:
    split = secret_policy({"secrets": ["team/app/db"]}, {"secrets": ["**"], **DENY}, name="split")
    other = secret_policy({"secrets": ["team/app/*"], "requireAttached": True}, name="other")
    assert code([split, other]) is DenialCode.NOT_ATTACHED


def test_a_tie_between_documents_is_denied() -> None:
    documents = [secret_policy({}, name="one"), secret_policy(DENY, name="two")]
    decision = decide_secret_access(documents, FACTS)
    assert isinstance(decision, Denied)
    assert decision.code is DenialCode.AMBIGUOUS
    assert "one rule 0 and two rule 0" in decision.reason


def test_equal_answers_are_no_tie() -> None:
    assert code([secret_policy({}, name="one"), secret_policy({}, name="two")]) is None


def test_requirements_of_the_deciding_rules_all_hold() -> None:
    document = secret_policy({"requireAttached": True}, {"requireTrustedImage": True})
    assert code([document]) is DenialCode.NOT_ATTACHED
    assert code([document], replace(FACTS, image_trusted=True)) is DenialCode.NOT_ATTACHED
    assert code([document], replace(FACTS, attached=True)) is DenialCode.IMAGE_NOT_TRUSTED
    assert code([document], replace(FACTS, attached=True, image_trusted=True)) is None


def test_a_less_specific_rule_requires_nothing() -> None:
    document = secret_policy({"secrets": ["team/**"], "requireAttached": True}, {"secrets": ["team/app/db"]})
    assert code([document]) is None


def test_attachment_is_required_unless_the_rule_says_otherwise() -> None:
    document = secret_policy({"requireAttached": True})
    assert code([document]) is DenialCode.NOT_ATTACHED
    assert code([document], replace(FACTS, attached=True)) is None


def test_a_denying_rule_denies_whatever_it_requires() -> None:
    document = secret_policy({}, {"requireTrustedImage": True, "requireAttached": True, **DENY})
    assert code([document], replace(FACTS, attached=True, image_trusted=True)) is DenialCode.DENY_RULE
    assert code([document], FACTS) is DenialCode.DENY_RULE


@pytest.mark.parametrize(
    "facts",
    [
        replace(FACTS, secret=""),
        replace(FACTS, secret="x" * (MAX_NAME_LENGTH + 1)),
        replace(FACTS, service="x" * (MAX_NAME_LENGTH + 1)),
        replace(FACTS, nodes=("x" * (MAX_NAME_LENGTH + 1),)),
        replace(FACTS, labels={"k": "x" * (MAX_NAME_LENGTH + 1)}),
        replace(FACTS, image="nginx"),
        replace(FACTS, image=""),
        replace(FACTS, image="registry.example/shop/api:1"),
        replace(FACTS, image="Registry.example/shop/api"),
    ],
)
def test_facts_that_could_slip_by_a_pattern_are_denied(facts: SecretRequestFacts) -> None:
    assert code([secret_policy({})], facts) is DenialCode.INVALID_REQUEST
