"""Test tables: what they may say, what running them yields, and which rules they leave out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.errors import InvalidDocument, PolicyError
from policies.fixtures import Expectation, load_cases, run_cases
from policies.secret_access import SecretRequestFacts
from tests.unit.policies.builders import document, secret_policy, text_of, trust_policy

TABLE = b"""
apiVersion: swarmsec.dev/v1
kind: PolicyTest
metadata: {name: shop}
spec:
  cases:
    - name: the shop reads its password
      request: {secret: team/app/db, service: shop_api, nodes: [w1], labels: {tier: back}, attached: true}
      expect: allow
    - {name: others do not, request: {secret: team/app/db, service: web}, expect: deny}
    - {name: images are verified, request: {image: r.example/app}, expect: enforce}
    - {name: this one fails, request: {secret: x}, expect: allow}
"""

DOCUMENTS = [
    secret_policy(
        {"secrets": ["team/app/*"], "services": ["shop_*"], "requireAttached": True}, {"secrets": ["never"]}, name="db"
    ),
    trust_policy({"images": ["**"]}, {"images": ["never"]}, name="site"),
]


def test_a_table_loads_into_typed_questions() -> None:
    cases = load_cases(TABLE, source="t.yaml")
    assert cases[0].question == SecretRequestFacts(
        secret="team/app/db", service="shop_api", nodes=("w1",), labels={"tier": "back"}, attached=True
    )
    assert cases[2].question == "r.example/app"
    assert [case.expect for case in cases[1:3]] == [Expectation.DENY, Expectation.ENFORCE]


def test_running_a_table_tells_results_and_untested_rules() -> None:
    report = run_cases(DOCUMENTS, load_cases(TABLE, source="t.yaml"))
    assert [result.is_passed for result in report.results] == [True, True, True, False]
    assert report.results[3].got is Expectation.DENY
    assert [(basis.policy, basis.rule) for basis in report.unmet_rules] == [("db", 1), ("site", 1)]


def test_without_documents_everything_is_denied() -> None:
    report = run_cases([], load_cases(TABLE, source="t.yaml"))
    assert {result.got for result in report.results} == {Expectation.DENY}
    assert report.unmet_rules == ()


def test_a_case_name_stands_once() -> None:
    row = {"name": "a", "request": {"secret": "x"}, "expect": "deny"}
    text = text_of(document("PolicyTest", {"cases": [row]}), document("PolicyTest", {"cases": [row]}))
    with pytest.raises(InvalidDocument, match=r"document 2, spec\.cases\[0\]: expected each case name once"):
        load_cases(text, source="x")


@pytest.mark.parametrize(
    ("request_", "expect", "message"),
    [
        ({"secret": "x"}, "enforce", "expected one of allow, deny for such a request"),
        ({"image": "r.example/x"}, "allow", "expected one of audit, deny, enforce, skip, warn for such a request"),
        ({"image": "nginx"}, "deny", "expected an image as domain/path"),
        ({"secret": "x", "image": "nginx"}, "deny", r"request\.image: expected an image"),
        ({"secret": "x", "nodes": []}, "deny", "at least one item"),
        ({"secret": "x", "labels": {" ": "v"}}, "deny", "expected a label key"),
        ({"secret": "x", "labels": {f"k{n}": "v" for n in range(257)}}, "deny", "at most 256 labels"),
        ({"secret": "x", "user": "me"}, "deny", "expected one of attached, image"),
        ({"secret": 1}, "deny", "expected a name of"),
        ([], "deny", "expected a mapping"),
    ],
)
def test_a_case_that_cannot_be_meant_is_refused(request_: object, expect: str, message: str) -> None:
    row = {"name": "a", "request": request_, "expect": expect}
    with pytest.raises(InvalidDocument, match=message):
        load_cases(text_of(document("PolicyTest", {"cases": [row]})), source="x")


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_in_our_words(text: bytes) -> None:
    with pytest.raises(PolicyError):
        load_cases(text, source="fuzz")
