"""Test tables for policies: requests with the answers expected of them, and which rules no request met.

A table is a document of kind ``PolicyTest``. A request with a ``secret`` asks for secret access and expects
``allow`` or ``deny``; one with an ``image`` alone asks for the trust scope and expects its level or ``deny``; one with
``rotation`` asks what is asked of a secret's age and expects ``rotate``, ``report`` or ``none``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from policies.decisions import Allowed, Basis, Denied
from policies.documents import API_VERSION, Document, TrustPolicy
from policies.explaining import Explanation, Outcome, Question, explain
from policies.globs import MAX_NAME_LENGTH
from policies.images import is_repository
from policies.loading import read_name
from policies.parsing import LABEL_KEY
from policies.rotation import RotationQuestion, RotationRequirement
from policies.secret_access import SecretRequestFacts
from policies.trees import (
    Node,
    quoted,
    read_bool,
    read_choice,
    read_fields,
    read_list,
    read_mapping,
    read_text,
)
from policies.trust import TrustRequirement
from policies.yamltext import parse_trees

TEST_KIND = "PolicyTest"
MAX_CASES = 1024
MAX_NODES_OF_REQUEST = 64
MAX_LABELS_OF_REQUEST = 256

_CASE_NAME = re.compile(r".{1,128}")
_FACT = re.compile(f".{{1,{MAX_NAME_LENGTH}}}")
_VALUE = re.compile(f".{{0,{MAX_NAME_LENGTH}}}")
_VERSION = re.compile(re.escape(API_VERSION))
_KIND = re.compile(TEST_KIND)
_SECRET_FIELDS = frozenset({"service", "image", "nodes", "labels", "attached", "imageTrusted"})


class Expectation(StrEnum):
    """The answers that a case can expect: those of ``_ANSWERS`` for its kind of question."""

    ALLOW = "allow"
    ENFORCE = "enforce"
    WARN = "warn"
    AUDIT = "audit"
    SKIP = "skip"
    DENY = "deny"
    ROTATE = "rotate"
    REPORT = "report"
    NONE = "none"


_LEVELS = frozenset({Expectation.ENFORCE, Expectation.WARN, Expectation.AUDIT, Expectation.SKIP, Expectation.DENY})
_ANSWERS: Mapping[type, frozenset[Expectation]] = {
    SecretRequestFacts: frozenset({Expectation.ALLOW, Expectation.DENY}),
    RotationQuestion: frozenset({Expectation.ROTATE, Expectation.REPORT, Expectation.NONE}),
    str: _LEVELS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of the table."""

    name: str
    question: Question
    expect: Expectation


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What came of a case; ``explanation`` shows why."""

    case: Case
    got: Expectation
    explanation: Explanation

    @property
    def is_passed(self) -> bool:
        """Whether the answer is the expected one."""
        return self.got is self.case.expect


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseReport:
    """All results in the order of the cases, and the rules that matched no case, in the order of the documents."""

    results: tuple[CaseResult, ...]
    unmet_rules: tuple[Basis, ...]


def load_cases(text: bytes, *, source: str) -> tuple[Case, ...]:
    """Read test tables.

    Args:
        text: one or several documents of kind ``PolicyTest`` (``schemas/PolicyTest.json``).
        source: name of the text in messages.

    Raises:
        InvalidDocument: the text is not exactly such documents, or a case name appears twice.
    """
    cases: dict[str, Case] = {}
    for tree in parse_trees(text, source=source):
        for node in _case_nodes(tree):
            case = _case(node)
            if case.name in cases:
                raise node.place.refusal(f"expected each case name once, got {quoted(case.name)} again")
            cases[case.name] = case
    return tuple(cases.values())


def _case_nodes(tree: Node) -> tuple[Node, ...]:
    fields = read_fields(tree, required=frozenset({"apiVersion", "kind", "metadata", "spec"}))
    read_text(fields["apiVersion"], pattern=_VERSION, expected=API_VERSION)
    read_text(fields["kind"], pattern=_KIND, expected=TEST_KIND)
    read_name(fields["metadata"])
    return read_list(read_fields(fields["spec"], required=frozenset({"cases"}))["cases"], maximum=MAX_CASES)


def _case(node: Node) -> Case:
    fields = read_fields(node, required=frozenset({"name", "request", "expect"}))
    question = _question(fields["request"])
    expect = read_choice(fields["expect"], Expectation)
    answers = _ANSWERS[type(question)]
    if expect not in answers:
        words = ", ".join(sorted(answers))
        raise fields["expect"].place.refusal(f"expected one of {words} for such a request, got {quoted(expect)}")
    name = read_text(fields["name"], pattern=_CASE_NAME, expected="a case name of 1 to 128 characters")
    return Case(name=name, question=question, expect=expect)


def _question(node: Node) -> Question:
    if "rotation" in read_mapping(node):
        return RotationQuestion(_fact(read_fields(node, required=frozenset({"rotation"}))["rotation"]))
    if "secret" not in read_mapping(node):
        return _repository(read_fields(node, required=frozenset({"image"}))["image"])
    fields = read_fields(node, required=frozenset({"secret"}), optional=_SECRET_FIELDS)
    return SecretRequestFacts(
        secret=_fact(fields["secret"]),
        service=_fact(fields["service"]) if "service" in fields else None,
        image=_repository(fields["image"]) if "image" in fields else None,
        nodes=_node_names(fields["nodes"]) if "nodes" in fields else None,
        labels=_labels(fields["labels"]) if "labels" in fields else None,
        attached="attached" in fields and read_bool(fields["attached"]),
        image_trusted="imageTrusted" in fields and read_bool(fields["imageTrusted"]),
    )


def _fact(node: Node) -> str:
    return read_text(node, pattern=_FACT, expected=f"a name of 1 to {MAX_NAME_LENGTH} characters")


def _repository(node: Node) -> str:
    name = _fact(node)
    if not is_repository(name):
        raise node.place.refusal(
            f"expected an image as domain/path without tag or digest, got {quoted(name)}",
            hint="write docker.io/library/nginx for nginx",
        )
    return name


def _node_names(node: Node) -> tuple[str, ...]:
    return tuple(_fact(item) for item in read_list(node, maximum=MAX_NODES_OF_REQUEST))


def _labels(node: Node) -> Mapping[str, str]:
    items = read_mapping(node)
    if len(items) > MAX_LABELS_OF_REQUEST:
        raise node.place.refusal(f"expected at most {MAX_LABELS_OF_REQUEST} labels, got {len(items)}")
    for key, item in items.items():
        if LABEL_KEY.fullmatch(key) is None:
            raise item.place.refusal(f"expected a label key, got {quoted(key)}")
    return {
        key: read_text(item, pattern=_VALUE, expected=f"a text of at most {MAX_NAME_LENGTH} characters")
        for key, item in items.items()
    }


def run_cases(documents: Sequence[Document], cases: Sequence[Case]) -> CaseReport:
    """Put every case to the documents.

    Args:
        documents: all documents that would be in force.
        cases: the rows to run.

    Returns:
        a result per case, and the rules that matched none of them, which the table does not test.
    """
    results = tuple(_run(documents, case) for case in cases)
    steps = [step for result in results for step in result.explanation.steps]
    met = {step.basis for step in steps if step.outcome is not Outcome.NOT_MATCHED}
    return CaseReport(results=results, unmet_rules=tuple(basis for basis in _all_rules(documents) if basis not in met))


def _run(documents: Sequence[Document], case: Case) -> CaseResult:
    explanation = explain(documents, case.question)
    return CaseResult(case=case, got=_answer(case.question, explanation), explanation=explanation)


def _answer(question: Question, explanation: Explanation) -> Expectation:
    match explanation.decision:
        case Allowed():
            return Expectation.ALLOW
        case Denied():
            is_rotation = isinstance(question, RotationQuestion)
            return Expectation.NONE if is_rotation else Expectation.DENY
        case TrustRequirement() as requirement:
            return Expectation(requirement.level.value)
        case RotationRequirement() as asked:
            return Expectation.REPORT if asked.rule.every is None else Expectation.ROTATE


def _all_rules(documents: Sequence[Document]) -> list[Basis]:
    return [
        Basis(policy=document.name, digest=document.digest, rule=index)
        for document in documents
        for index in range(_rule_count(document))
    ]


def _rule_count(document: Document) -> int:
    if isinstance(document.spec, TrustPolicy):
        return len(document.spec.scopes)
    return len(document.spec.rules)
