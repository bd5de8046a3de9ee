"""Making a report: ask the home and the manager, hold the controls against what they say, put the digests on record."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from policies.controls import Catalogue
from swarmsec._version import __version__
from swarmsec.audit.actions import Action
from swarmsec.clock import rfc3339_seconds, unix_seconds
from swarmsec.errors import IntegrityFailure, SwarmsecError, UsageProblem
from swarmsec.reports.assembling import assemble_report
from swarmsec.reports.facts import Answer, Answers, Facts, Unknown
from swarmsec.reports.image_checks import images_of_services
from swarmsec.reports.model import Evidence, Report
from swarmsec.reports.service_checks import CONFIGS
from swarmsec.services.reports.report_facts import EntryKind, Surroundings, collect_home_facts, newest_times
from swarmsec.storage.checking import verify_store
from swarmsec.wiring.homes.home import Home

PATHS: Final = ("/info", "/swarm", "/nodes", "/services", "/tasks", "/networks", "/secrets", "/configs")
_SECRET_MEMBERS: Final = frozenset({"JoinTokens", "SigningCAKey", "Data", "UnlockKey"})
_DATED: Final = {
    "backup": EntryKind(action=Action.BACKUP_CREATE),
    "unlock key": EntryKind(action=Action.SWARM_LOCK, verb="rotate"),
}
MAX_EPOCH: Final = 253_402_300_799
"""The last second of the year 9999."""

Advance = Callable[[int], None]


class Manager(Protocol):
    """A manager's API."""

    def get(self, path: str) -> object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which report.

    Args:
        catalogue: every control.
        profile: the name of the profile.
        control_ids: its controls.
    """

    catalogue: Catalogue
    profile: str
    control_ids: Sequence[str]


def make_report(home: Home, manager: Manager | None, where: str, wanted: Wanted, advance: Advance) -> Report:
    """Make a report.

    Args:
        home: open.
        manager: of the Swarm; None for a report without one.
        where: the manager's address, for the evidence.
        wanted: which report.
        advance: told when one more thing was read.
    """
    answers = None if manager is None else ask_manager(manager, where, advance)
    around = look_around(home)
    advance(1)
    with home.store.reading() as transaction:
        home_facts = collect_home_facts(transaction, home.store.head().size, around, _images(answers))
    return assemble_report(
        Facts(home=home_facts, answers=answers),
        wanted.catalogue,
        wanted.control_ids,
        profile=wanted.profile,
        created=rfc3339_seconds(report_time(home, os.environ)),
        version=__version__,
    )


def _images(answers: Mapping[str, Answer] | None) -> Collection[str]:
    """Every image that services run, each once; none where the manager did not say."""
    try:
        found = images_of_services(Answers(answers=answers))
    except Unknown:
        return ()
    return sorted({image for images in found.values() for image in images})


def ask_manager(manager: Manager, where: str, advance: Advance) -> Mapping[str, Answer]:
    """Read everything that checks may ask for; what cannot be read holds the reason.

    The bytes behind the digests are those of the answer in canonical order, without the members that are secret
    themselves: what goes into evidence must be such that it may be kept and shown.
    """
    answers = {}
    for path in PATHS:
        try:
            answered = manager.get(path)
            document = _without_secrets(answered)
        except SwarmsecError as error:
            answers[path] = Answer(problem=str(error))
        else:
            raw = msgspec.json.encode(document, order="sorted")
            evidence = Evidence(source=where, query=f"GET {path}", sha256=hashlib.sha256(raw).hexdigest())
            # What a config holds is looked at, and goes no further: neither it nor its digest is evidence.
            answers[path] = Answer(document=answered if path == CONFIGS else document, evidence=evidence)
        advance(1)
    return answers


def look_around(home: Home) -> Surroundings:
    """See what is not in the store: whether it is whole, and where its anchor lies."""
    problem = ""
    try:
        verify_store(home.store)
    except IntegrityFailure as error:
        problem = str(error)
    anchor = home.anchor_path
    present = anchor.exists()
    with home.store.reading() as transaction:
        times = newest_times(transaction, _DATED)
    return Surroundings(
        log_problem=problem,
        anchor_present=present,
        anchor_apart=present and anchor.stat().st_dev != home.path.stat().st_dev,
        short_lifetimes=home.config.ca.allow_short_lifetimes,
        last_backup=times["backup"],
        unlock_key_rotated=times["unlock key"],
    )


def report_time(home: Home, environment: Mapping[str, str]) -> int:
    """When the report says that it was made: now, or ``SOURCE_DATE_EPOCH`` (reproducible-builds.org), Unix seconds.

    Raises:
        UsageProblem: the variable holds no such time.
    """
    text = environment.get("SOURCE_DATE_EPOCH")
    if not text:
        return unix_seconds(home.clock)
    if not (text.isascii() and text.isdigit() and len(text) <= 12 and int(text) <= MAX_EPOCH):
        raise UsageProblem(f"expected SOURCE_DATE_EPOCH as Unix seconds, got {text!r:.40}")
    return int(text)


def evidence_of(report: Report) -> Mapping[str, str]:
    """Query to digest of every raw answer behind a report."""
    return {item.query: item.sha256 for result in report.results for item in result.evidence}


def _without_secrets(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_secrets(member) for name, member in value.items() if name not in _SECRET_MEMBERS}
    if isinstance(value, list):
        return [_without_secrets(member) for member in value]
    return value
