"""From facts and controls to a report: every control of the profile, in the order of the catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from policies.controls import Catalogue
from swarmsec.reports import file_checks, home_checks, host_checks, image_checks, service_checks, swarm_checks
from swarmsec.reports.checks import run_check
from swarmsec.reports.facts import Facts
from swarmsec.reports.model import Report, Result

CHECK_MODULES = (home_checks, swarm_checks, service_checks, image_checks, host_checks, file_checks)
"""Importing them registers their checks."""


def assemble_report(
    facts: Facts, catalogue: Catalogue, control_ids: Sequence[str], *, profile: str, created: str, version: str
) -> Report:
    """Hold the controls of a profile against the facts.

    Args:
        facts: what is known.
        catalogue: every control.
        control_ids: those of the profile.
        profile: its name.
        created: RFC 3339, UTC.
        version: of swarmsec.
    """
    chosen = frozenset(control_ids)
    results: list[Result] = []
    for control in catalogue.controls.values():
        if control.id in chosen:
            results += run_check(control, facts)
    return Report(
        created=created,
        version=version,
        profile=profile,
        store_id=facts.home.store_id,
        cluster_id=facts.home.cluster_id,
        checkpoint=facts.home.checkpoint,
        log_size=facts.home.log_size,
        results=tuple(results),
        quorum_margin=swarm_checks.quorum_margin(facts),
    )
