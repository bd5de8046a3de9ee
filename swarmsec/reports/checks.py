"""The register of checks, and how they are run: each control gets results, whatever its check does.

A check is a function from facts to findings. It asks for what it needs; a fact that is not there becomes the state of
its control. A check that finds nothing to look at says ``not_applicable``; silence would look like success.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from policies.controls import Control, Means
from swarmsec.reports.facts import Facts, Unknown
from swarmsec.reports.model import Finding, Resource, Result, State

Check = Callable[[Facts], Iterable[Finding]]
SWARM: Final = Resource(type="swarm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A check, and the manager's answers that it reads."""

    check: Check
    reads: tuple[str, ...]


_REGISTER: dict[str, Registered] = {}


def checks(control_id: str, *reads: str) -> Callable[[Check], Check]:
    """Register a function as the check of a control.

    Args:
        control_id: of the control.
        reads: paths of the manager's API behind it, for the evidence.
    """

    def register(check: Check) -> Check:
        _REGISTER[control_id] = Registered(check=check, reads=reads)
        return check

    return register


def registered() -> Mapping[str, Registered]:
    """Every check by its control."""
    return _REGISTER


def run_check(control: Control, facts: Facts) -> Sequence[Result]:
    """Hold a control against the facts.

    Returns:
        at least one result.
    """
    known = _REGISTER.get(control.id)
    if known is None:
        return [_without_check(control)]
    try:
        findings = list(known.check(facts))
    except Unknown as unknown:
        return [
            _result(
                control,
                Finding(
                    state=unknown.state,
                    resource=SWARM,
                    observed="nothing",
                    expected=control.title,
                    reason=unknown.reason,
                ),
                facts,
                known,
            )
        ]
    if not findings:
        nothing = Finding(
            state=State.NOT_APPLICABLE,
            resource=SWARM,
            observed="nothing of the kind",
            expected=control.title,
            reason="there is nothing here that this control is about",
        )
        findings = [nothing]
    return [_result(control, finding, facts, known) for finding in findings]


def passed(resource: Resource, observed: str, expected: str) -> Finding:
    """What was looked at is as it should be."""
    return Finding(state=State.PASS, resource=resource, observed=observed, expected=expected)


def failed(resource: Resource, observed: str, expected: str, reason: str = "") -> Finding:
    """What was looked at is not as it should be."""
    return Finding(state=State.FAIL, resource=resource, observed=observed, expected=expected, reason=reason)


def judged(is_good: bool, resource: Resource, observed: str, expected: str, reason: str = "") -> Finding:
    """One of the two above."""
    return passed(resource, observed, expected) if is_good else failed(resource, observed, expected, reason)


def not_applicable(resource: Resource, observed: str, expected: str, reason: str) -> Finding:
    """The control is not about this."""
    return Finding(state=State.NOT_APPLICABLE, resource=resource, observed=observed, expected=expected, reason=reason)


def not_checked(resource: Resource, observed: str, expected: str, reason: str) -> Finding:
    """Nobody was asked about this."""
    return Finding(state=State.NOT_CHECKED, resource=resource, observed=observed, expected=expected, reason=reason)


def unreadable(resource: Resource, expected: str, reason: str) -> Finding:
    """It should have been read and could not be."""
    return Finding(state=State.ERROR, resource=resource, observed="nothing", expected=expected, reason=reason)


def for_a_person(resource: Resource, observed: str, expected: str, reason: str) -> Finding:
    """Only a person can tell."""
    return Finding(state=State.MANUAL, resource=resource, observed=observed, expected=expected, reason=reason)


def _result(control: Control, finding: Finding, facts: Facts, known: Registered) -> Result:
    return Result(
        control=control,
        state=finding.state,
        resource=finding.resource,
        observed=finding.observed,
        expected=finding.expected,
        reason=finding.reason,
        evidence=finding.evidence or facts.evidence(known.reads),
    )


def _without_check(control: Control) -> Result:
    state, reason = State.NOT_CHECKED, "needs swarmsec agent on the nodes"
    if control.means is Means.PERSON:
        state, reason = State.MANUAL, "only a person can tell"
    return Result(
        control=control, state=state, resource=SWARM, observed="nothing", expected=control.title, reason=reason
    )
