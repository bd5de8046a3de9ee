"""Which verification an image needs."""

from __future__ import annotations

from datetime import timedelta

import pytest

from policies.decisions import DenialCode, Denied
from policies.documents import Level
from policies.trust import TrustRequirement, decide_trust_scope
from tests.unit.policies.builders import secret_policy, trust_policy

POLICY = trust_policy(
    {"images": ["**"], "maxAge": "90d"},
    {"images": ["registry.example/shop/*"], "minSigners": 2},
    {"images": ["registry.example/shop/tool"], "level": "warn"},
    {"images": ["docker.io/library/*"], "level": "skip"},
    name="site",
)


@pytest.mark.parametrize(
    ("image", "level", "signers", "age", "rule"),
    [
        ("other.example/x", Level.ENFORCE, 1, timedelta(days=90), 0),
        ("registry.example/shop/a/b", Level.ENFORCE, 1, timedelta(days=90), 0),
        ("registry.example/shop/api", Level.ENFORCE, 2, None, 1),
        ("registry.example/shop/tool", Level.WARN, 1, None, 2),
        ("docker.io/library/nginx", Level.SKIP, 1, None, 3),
    ],
)
def test_the_most_specific_scope_decides(
    image: str, level: Level, signers: int, age: timedelta | None, rule: int
) -> None:
    decision = decide_trust_scope([POLICY], image)
    assert isinstance(decision, TrustRequirement)
    assert (decision.level, decision.min_signers, decision.max_age) == (level, signers, age)
    assert (decision.basis.policy, decision.basis.digest, decision.basis.rule) == ("site", POLICY.digest, rule)


def test_a_more_specific_scope_may_stand_in_another_document() -> None:
    other = trust_policy({"images": ["other.example/x"], "level": "audit"}, name="other")
    for documents in ([POLICY, other], [other, POLICY]):
        decision = decide_trust_scope(documents, "other.example/x")
        assert isinstance(decision, TrustRequirement)
        assert decision.level is Level.AUDIT


@pytest.mark.parametrize(
    ("documents", "image", "code"),
    [
        ([], "r.example/x", DenialCode.NO_DOCUMENT),
        ([secret_policy({})], "r.example/x", DenialCode.NO_DOCUMENT),
        ([trust_policy({"images": ["a"]})], "r.example/x", DenialCode.NO_RULE),
        ([trust_policy({}, name="a"), trust_policy({"level": "warn"}, name="b")], "r.example/x", DenialCode.AMBIGUOUS),
        ([POLICY], "nginx", DenialCode.INVALID_REQUEST),
        ([POLICY], "r.example/x:1", DenialCode.INVALID_REQUEST),
        ([POLICY], "r.example/x@sha256:aa", DenialCode.INVALID_REQUEST),
        ([POLICY], "", DenialCode.INVALID_REQUEST),
        ([POLICY], "r.example/" + "x" * 5000, DenialCode.INVALID_REQUEST),
    ],
)
def test_denials(documents: list[object], image: str, code: DenialCode) -> None:
    decision = decide_trust_scope(documents, image)  # type: ignore[arg-type]  # parametrize loses the type
    assert isinstance(decision, Denied)
    assert decision.code is code
