"""``swarmsec policy test`` and ``policy explain``: put questions to documents and show how they were answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, assert_never

import click

from swarmsec.cli.frame import opened_home, options_of, print_json, verify_local
from swarmsec.cli.policyfiles import FILES, read_cases, read_documents
from swarmsec.cli.tables import print_table
from swarmsec.plaintext import plain_text

if TYPE_CHECKING:
    from policies.documents import Document
    from policies.explaining import Decision, Explanation, Question
    from policies.fixtures import CaseReport, CaseResult

MAX_LABELS: Final = 256
DENIED: Final = 1
"""The exit code of a decision against."""

_from_files = click.option(
    "--file",
    "files",
    multiple=True,
    type=FILES,
    metavar="FILE",
    help="Ask the documents of FILE instead of those in force; repeat for several.",
)


def _documents(context: click.Context, files: Sequence[Path]) -> Sequence[Document]:
    from swarmsec.services.access.apply_policy import active_documents

    verify_local(options_of(context))
    if files:
        return read_documents(files)
    with opened_home(context) as home:
        return home.store.read(active_documents)


@click.command()
@click.argument("files", metavar="[FILE]...", nargs=-1, type=FILES)
@click.option("--cases", multiple=True, required=True, type=FILES, metavar="FILE", help="Test tables (PolicyTest).")
@click.pass_context
def test(context: click.Context, files: Sequence[Path], cases: Sequence[Path]) -> None:
    """Put a table of requests to documents, and compare the answers with the expected ones.

    Without FILE the documents in force are asked. Ends with 1 when an answer is another; rules that no request met
    are named.

    \b
    Example:
      swarmsec policy test policies.yaml --cases cases.yaml
    """
    from policies.fixtures import run_cases

    table = read_cases(cases)
    report = run_cases(_documents(context, files), table)
    failed = [result for result in report.results if not result.is_passed]
    if options_of(context).json:
        print_json(_report(report))
    else:
        _print_report(report, failed)
    if failed:
        context.exit(DENIED)


def _report(report: CaseReport) -> dict[str, object]:
    return {
        "cases": [
            {
                "name": result.case.name,
                "passed": result.is_passed,
                "expected": result.case.expect.value,
                "got": result.got.value,
            }
            for result in report.results
        ],
        "unmet_rules": [_rule(basis) for basis in report.unmet_rules],
    }


def _print_report(report: CaseReport, failed: Sequence[CaseResult]) -> None:
    for result in failed:
        click.echo(f"failed: {plain_text(result.case.name)}: expected {result.case.expect}, got {result.got}")
        for step in result.explanation.steps:
            click.echo(f"  {step.basis.policy} rule {step.basis.rule}: {step.outcome}, {step.detail}")
        click.echo(f"  {_decision_text(result.explanation.decision)}")
    for basis in report.unmet_rules:
        click.echo(f"not tested: {basis.policy} rule {basis.rule}")
    click.echo(f"{len(report.results) - len(failed)} of {len(report.results)} cases as expected")


@click.group()
def explain() -> None:
    """Show every rule in order and what it came to; ends with 1 when the answer is no.

    \b
    Examples:
      swarmsec policy explain secret --secret team/app/db --service shop_api --attached
      swarmsec policy explain rotation team/app/db
      swarmsec policy explain image registry.example/shop/api
    """


@explain.command()
@click.option("--secret", required=True, help="The name of the secret.")
@click.option("--service", help="The name of the service.")
@click.option("--image", help="The image of the task; its tag and digest do not matter.")
@click.option("--node", "nodes", multiple=True, help="A name or id of the node; repeat for several.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label of the service; repeat.")
@click.option("--attached", is_flag=True, help="As if the secret were attached to this service.")
@click.option("--trusted", is_flag=True, help="As if the image were verified.")
@_from_files
@click.pass_context
def secret(context: click.Context, /, files: Sequence[Path], labels: Sequence[str], **facts: Any) -> None:
    """Explain whether a service would get a secret.

    What is left out counts as not known: it meets no rule that allows, and every rule that denies.

    \b
    Example:
      swarmsec policy explain secret --file policies.yaml --secret team/app/db --service shop_api \\
        --image registry.example/shop/api --node worker-1 --label tier=backend --attached
    """
    from policies.secret_access import SecretRequestFacts

    question = SecretRequestFacts(
        secret=facts["secret"],
        service=facts["service"],
        image=_repository(facts["image"]) if facts["image"] is not None else None,
        nodes=tuple(facts["nodes"]) or None,
        labels=_labels(labels) if labels else None,
        attached=facts["attached"],
        image_trusted=facts["trusted"],
    )
    _explain(context, files, question)


@explain.command()
@click.argument("image")
@_from_files
@click.pass_context
def image(context: click.Context, files: Sequence[Path], image: str) -> None:
    """Explain what an image must show before it may run.

    \b
    Example:
      swarmsec policy explain image --file policies.yaml registry.example/shop/api:1.4
    """
    _explain(context, files, _repository(image))


@explain.command()
@click.argument("name")
@_from_files
@click.pass_context
def rotation(context: click.Context, files: Sequence[Path], name: str) -> None:
    """Explain how old a secret's value may be, and when it is replaced.

    \b
    Example:
      swarmsec policy explain rotation --file policies.yaml team/app/db
    """
    from policies.rotation import RotationQuestion

    _explain(context, files, RotationQuestion(name))


def _explain(context: click.Context, files: Sequence[Path], question: Question) -> None:
    from policies.decisions import Denied
    from policies.explaining import explain as explain_question

    explanation = explain_question(_documents(context, files), question)
    if options_of(context).json:
        print_json(_explanation(explanation))
    else:
        print_table(
            ("RULE", "OUTCOME", "DETAIL"),
            [(f"{step.basis.policy} {step.basis.rule}", step.outcome, step.detail) for step in explanation.steps],
        )
        click.echo(_decision_text(explanation.decision))
    if isinstance(explanation.decision, Denied):
        context.exit(DENIED)


def _explanation(explanation: Explanation) -> dict[str, object]:
    decision = explanation.decision
    return {
        "steps": [
            {**_rule(step.basis), "outcome": step.outcome.value, "detail": step.detail} for step in explanation.steps
        ],
        "decision": _decision(decision),
        "decided_by": _rule(decision.basis) if decision.basis is not None else None,
    }


def _decision(decision: Decision) -> dict[str, object]:
    from policies.decisions import Allowed, Denied
    from policies.rotation import RotationRequirement
    from policies.trust import TrustRequirement

    match decision:
        case Allowed():
            return {"allowed": True}
        case Denied():
            return {"allowed": False, "reason": decision.reason, "code": decision.code.value}
        case TrustRequirement():
            age = _whole_seconds(decision.max_age)
            needs = {"level": decision.level.value, "min_signers": decision.min_signers, "max_age_seconds": age}
            return {"allowed": True, **needs}
        case RotationRequirement():
            rule = decision.rule
            times = {"every_seconds": _whole_seconds(rule.every), "max_age_seconds": _whole_seconds(rule.max_age)}
            return {"allowed": True, **times, "length": rule.length, "keep": rule.keep}
    assert_never(decision)


def _whole_seconds(age: timedelta | None) -> int | None:
    return None if age is None else int(age.total_seconds())


def _decision_text(decision: Decision) -> str:
    from policies.decisions import Allowed, Denied
    from policies.explaining import rotation_text
    from policies.rotation import RotationRequirement
    from policies.trust import TrustRequirement

    match decision:
        case Allowed():
            return f"allowed by {decision.basis}"
        case Denied():
            return f"denied: {decision.reason}" + (f", by {decision.basis}" if decision.basis else "")
        case TrustRequirement():
            return f"{decision.level}, by {decision.basis}"
        case RotationRequirement():
            return f"{rotation_text(decision.rule)}, by {decision.basis}"
    assert_never(decision)


def _rule(basis: Any) -> dict[str, object]:
    return {"policy": basis.policy, "rule": basis.rule, "digest": basis.digest}


def _repository(text: str) -> str:
    """The repository that policies see of an image as Docker writes it."""
    from notary.reference import ImageReference

    return ImageReference.parse(text).repository


def _labels(pairs: Sequence[str]) -> dict[str, str]:
    from swarmsec.errors import UsageProblem

    labels: dict[str, str] = {}
    for pair in pairs[: MAX_LABELS + 1]:
        key, equals, value = pair.partition("=")
        if not equals or not key or key in labels or len(labels) == MAX_LABELS:
            raise UsageProblem(f"expected each label once as KEY=VALUE, at most {MAX_LABELS}, got {pair!r:.80}")
        labels[key] = value
    return labels
