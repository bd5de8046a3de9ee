"""What was begun outside the database and never concluded: found out from the real thing, and put on record."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from os import uname
from pathlib import Path
from typing import Final

from swarmsec.audit.actions import Outcome
from swarmsec.clock import unix_seconds
from swarmsec.errors import NotFound
from swarmsec.services.homes.back_up import ACTION, BackupPlan, conclude_backup, parse_plan
from swarmsec.services.records import Intent
from swarmsec.services.requester import SERVICE
from swarmsec.wiring.homes.backups import backup_turn, is_temporary_of, sha256_of
from swarmsec.wiring.homes.home import Home

GIVEN_UP_SECONDS: Final = 7 * 24 * 3600
"""After this a backup that another machine began and never concluded counts as failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """An unfinished action whose end was found out."""

    request_id: str
    action: str
    outcome: Outcome
    path: str


def resolve_intents(home: Home) -> Sequence[Resolved]:
    """Conclude what an earlier life of this home left unfinished.

    Whatever a living process is still at is left to it, and so is what cannot be told now (a file that cannot be
    read); the next call tries again.

    Returns:
        what was concluded; each has its entry under the request id of its beginning.
    """
    with backup_turn(home.path) as ours:
        return resolve_backups(home) if ours else ()


def resolve_backups(home: Home) -> Sequence[Resolved]:
    """Conclude unfinished backups; the caller holds the turn to back up."""
    intents = home.store.read(lambda transaction: transaction.intents.all())
    resolved = [_resolve(home, intent) for intent in intents if intent.action == ACTION]
    return [item for item in resolved if item is not None]


def _resolve(home: Home, intent: Intent) -> Resolved | None:
    plan = parse_plan(intent)
    if home.store.is_sqlite or plan.host == uname().nodename:
        try:
            failure = _failure_of(plan)
        except OSError:
            return None
    elif unix_seconds(home.clock) - intent.started > GIVEN_UP_SECONDS:
        failure = f"{plan.host} never said how it ended"
    else:
        return None
    try:
        home.store.write(partial(conclude_backup, requester=SERVICE, plan=plan, failure=failure, resolved=True))
    except NotFound:
        # Another replica was faster.
        return None
    outcome = Outcome.FAILURE if failure else Outcome.SUCCESS
    return Resolved(request_id=plan.request_id, action=intent.action, outcome=outcome, path=plan.path)


def _failure_of(plan: BackupPlan) -> str:
    """Look at the file; empty if it is the whole backup. What is left of an unfinished one is removed."""
    path, temporary = Path(plan.path), Path(plan.temporary)
    failure = "interrupted before the file was whole"
    if plan.sha256:
        with suppress(FileNotFoundError):
            failure = "" if sha256_of(path) == plan.sha256 else f"{path} is another file"
    if is_temporary_of(temporary, path):
        temporary.unlink(missing_ok=True)
    return failure
