"""Text to documents: what a document must be, exactly."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.documents import Effect, Kind, Level, SecretAccessPolicy, TrustPolicy
from policies.errors import AmbiguousPolicy, InvalidDocument, PolicyError
from policies.loading import load_documents
from tests.unit.policies.builders import document, text_of

CONTRACT = b"""
apiVersion: swarmsec.dev/v1
kind: SecretAccessPolicy
metadata: {name: db}
spec:
  rules:
    - {secrets: ["team/app/*"], services: ["shop_api"], images: ["registry.example/shop/*"], nodes: ["*"],
       labels: {}, requireTrustedImage: false, requireAttached: true, effect: allow}
---
apiVersion: swarmsec.dev/v1
kind: TrustPolicy
metadata: {name: default}
spec:
  scopes:
    - {images: ["**"], level: enforce, minSigners: 1, maxAge: 90d}
"""


def test_the_documented_example_loads() -> None:
    secrets, trust = load_documents(CONTRACT, source="policy.yaml")
    assert (secrets.kind, secrets.name, trust.kind, trust.name) == (Kind.SECRET_ACCESS, "db", Kind.TRUST, "default")
    assert isinstance(secrets.spec, SecretAccessPolicy)
    assert isinstance(trust.spec, TrustPolicy)
    (rule,) = secrets.spec.rules
    assert rule.effect is Effect.ALLOW
    assert [glob.text for glob in rule.secrets or ()] == ["team/app/*"]
    assert (rule.require_trusted_image, rule.require_attached, rule.labels) == (False, True, {})
    (scope,) = trust.spec.scopes
    assert (scope.level, scope.min_signers, scope.max_age) == (Level.ENFORCE, 1, timedelta(days=90))


def test_defaults() -> None:
    text = text_of(
        document("SecretAccessPolicy", {"rules": [{"effect": "deny"}]}),
        document("TrustPolicy", {"scopes": [{"level": "audit"}]}),
    )
    secrets, trust = load_documents(text, source="x")
    assert isinstance(secrets.spec, SecretAccessPolicy)
    assert isinstance(trust.spec, TrustPolicy)
    (rule,) = secrets.spec.rules
    assert (rule.secrets, rule.services, rule.images, rule.nodes) == (None, None, None, None)
    assert (rule.require_trusted_image, rule.require_attached) == (False, True)
    (scope,) = trust.spec.scopes
    assert (scope.images, scope.min_signers, scope.max_age) == (None, 1, None)


def test_the_digest_covers_the_canonical_form_and_not_the_spelling() -> None:
    (first,) = load_documents(
        b"{kind: TrustPolicy, apiVersion: swarmsec.dev/v1, metadata: {name: a},\n"
        b" spec: {scopes: [{level: audit}]}}  # said tersely\n",
        source="x",
    )
    (second,) = load_documents(text_of(document("TrustPolicy", {"scopes": [{"level": "audit"}]}, name="a")), source="y")
    expected = (
        b'{"apiVersion":"swarmsec.dev/v1","kind":"TrustPolicy","metadata":{"name":"a"},'
        b'"spec":{"scopes":[{"level":"audit"}]}}'
    )
    assert first.canonical == second.canonical == expected
    assert first.digest == second.digest == "sha256:" + hashlib.sha256(expected).hexdigest()
    (third,) = load_documents(text_of(document("TrustPolicy", {"scopes": [{"level": "warn"}]}, name="a")), source="y")
    assert third.digest != first.digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"apiVersion": "swarmsec.dev/v2"}, r"apiVersion: expected swarmsec\.dev/v1, got 'swarmsec\.dev/v2'"),
        ({"apiVersion": 1}, "apiVersion: expected"),
        (
            {"kind": "QuotaPolicy"},
            "kind: expected one of SecretAccessPolicy, TrustPolicy, RotationPolicy, got 'QuotaPolicy'",
        ),
        ({"kind": None}, "kind: expected one of .* got nothing"),
        ({"status": {}}, "status: expected one of"),
        ({"metadata": {"name": "a", "labels": {}}}, r"metadata\.labels: expected one of name, got 'labels'"),
        ({"metadata": {}}, "metadata: expected the field name, got none"),
        ({"metadata": {"name": "A"}}, "expected a name of"),
        ({"metadata": {"name": "a" * 64}}, "expected a name of"),
        ({"metadata": {"name": "-a"}}, "expected a name of"),
        ({"metadata": {"name": True}}, "got true"),
        ({"metadata": []}, "metadata: expected a mapping, got a list"),
        ({"spec": {}}, "spec: expected the field scopes"),
        ({"spec": {"scopes": []}}, r"spec\.scopes: expected at least one item"),
        ({"spec": {"scopes": {}}}, "expected a list, got a mapping"),
        ({"spec": {"scopes": [{"level": "audit"}] * 257}}, "at most 256 items"),
    ],
)
def test_a_document_that_is_not_exactly_one_is_refused(change: dict[str, object], message: str) -> None:
    changed = {**document("TrustPolicy", {"scopes": [{"level": "audit"}]}), **change}
    with pytest.raises(InvalidDocument, match=message):
        load_documents(text_of(changed), source="x")


@pytest.mark.parametrize("field", ["apiVersion", "kind", "metadata", "spec"])
def test_every_field_is_needed(field: str) -> None:
    whole = document("TrustPolicy", {"scopes": [{"level": "audit"}]})
    del whole[field]
    with pytest.raises(InvalidDocument, match=f"expected the field {field}, got none"):
        load_documents(text_of(whole), source="x")


@pytest.mark.parametrize("root", [b"[]", b"a", b"null", b"---\n"])
def test_a_document_is_a_mapping(root: bytes) -> None:
    with pytest.raises(InvalidDocument, match="expected a mapping"):
        load_documents(root, source="x")


def test_documents_of_one_text_must_go_together() -> None:
    audit = document("TrustPolicy", {"scopes": [{"level": "audit"}]}, name="a")
    warn = document("TrustPolicy", {"scopes": [{"level": "warn"}]}, name="b")
    with pytest.raises(AmbiguousPolicy, match=r"a rule 0 .* b rule 0"):
        load_documents(text_of(audit, warn), source="x")
    with pytest.raises(AmbiguousPolicy, match="got two"):
        load_documents(text_of(audit, audit), source="x")


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_in_our_words(text: bytes) -> None:
    with pytest.raises(PolicyError):
        load_documents(text, source="fuzz")


WORDS = st.sampled_from(
    [
        "apiVersion",
        "swarmsec.dev/v1",
        "kind",
        "TrustPolicy",
        "SecretAccessPolicy",
        "metadata",
        "name",
        "spec",
        "rules",
        "scopes",
        "images",
        "level",
        "skip",
        "effect",
        "allow",
        "labels",
        "maxAge",
        "minSigners",
        "**",
        "a/*",
        "a:b",
    ]
)
VALUES = st.recursive(
    WORDS | st.booleans() | st.integers(-2, 200) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=10,
)


@given(kind=st.sampled_from(list(Kind)), rule=st.dictionaries(WORDS, VALUES, max_size=5), spec=VALUES)
def test_almost_documents_load_or_are_refused_in_our_words(kind: Kind, rule: object, spec: object) -> None:
    for body in ({"rules": [rule]}, {"scopes": [rule]}, spec):
        text = json.dumps({**document(kind.value, {}), "spec": body}).encode()
        try:
            load_documents(text, source="fuzz")
        except PolicyError:
            continue
