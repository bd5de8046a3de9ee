"""What a restored home puts on record, and how its operator accepts it.

Between the backup and the restore things happened that this home knows nothing of. So what a stranger may have
learned since is made worthless, join tokens above all, and how much is missing is put on record. Accepting also
replaces a file outside the database, the rollback anchor; it is therefore begun and ended by an entry each, and can
be repeated in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ca.identity import NodeRole
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import UsageProblem
from swarmsec.services.homes.back_up import ACTION as BACKUP
from swarmsec.services.homes.back_up import conclude_backup, parse_plan
from swarmsec.services.homes.backup_archive import Header
from swarmsec.services.homes.restored_state import RESTORED
from swarmsec.services.log.sign_log import begin_generation
from swarmsec.services.nodes.limited_tokens import list_limited_tokens, revoke_limited_token
from swarmsec.services.nodes.standing_tokens import STANDING, renew_standing_token
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.records import SealRow
from swarmsec.services.requester import SERVICE, Field, Requester
from swarmsec.services.swarm.rotate_swarm_root import end_swarm_rotation
from swarmsec.services.trust.renew_restored_trust import renew_restored_trust

RESTORED_SIZE: Final = "restored_size"
"""How many log entries the backup had."""
PENDING: Final = "pending"
ACCEPTING: Final = "accepting"
_UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """What the anchor knows beyond the backup."""

    entries: int | None
    """How many log entries; None where no anchor tells."""


def note_restored(transaction: Transaction, requester: Requester, header: Header, seal: SealRow) -> None:
    """Turn a loaded backup into a home that waits to be accepted.

    Args:
        header: of the backup.
        seal: the only one that is to open it from now on.
    """
    target = ObjectRef(type="home", id=header.store_id)
    for former in transaction.seals.all():
        transaction.seals.remove(former.seal_id)
    transaction.seals.add(seal)
    transaction.settings.put(RESTORED, PENDING)
    transaction.settings.put(RESTORED_SIZE, str(header.size))
    fields: Mapping[str, Field] = {"entries": header.size, "created": header.created, "seal": seal.seal_id}
    transaction.log(requester.event(Action.BACKUP_RESTORE, target, fields=fields))
    _conclude_backups(transaction, header)


def _conclude_backups(transaction: Transaction, header: Header) -> None:
    """The backup that we came from has succeeded; of others that were under way nothing can be told here."""
    for intent in transaction.intents.all():
        if intent.action == BACKUP:
            failure = "" if intent.request_id == header.request_id else "unfinished when the backup was made"
            conclude_backup(transaction, SERVICE, parse_plan(intent), failure=failure, resolved=True)


def begin_acceptance(transaction: Transaction, keys: Keys, requester: Requester, missing: Missing) -> Missing:
    """Make worthless what was handed out before, and put on record what is missing.

    Args:
        missing: what the anchor tells now.

    Returns:
        what is missing; what the first attempt found where this one continues it.

    Raises:
        UsageProblem: the home does not wait to be accepted.
    """
    state, _, known = (transaction.settings.get(RESTORED) or "").partition(" ")
    if state == ACCEPTING:
        return Missing(entries=None if int(known) == _UNKNOWN else int(known))
    if state != PENDING:
        raise UsageProblem(
            "expected a restored home that waits to be accepted, got one that does not",
            hint="there is nothing left to do: it was accepted already, or never restored",
        )
    count = _UNKNOWN if missing.entries is None else missing.entries
    transaction.settings.put(RESTORED, f"{ACCEPTING} {count}")
    # What was signed since the backup is forgotten here: the log goes on under another name.
    begin_generation(transaction)
    fields = {"missing_entries": count} if missing.entries is not None else {}
    target = ObjectRef(type="home", id=transaction.settings.get("store_id") or "")
    transaction.log(requester.event(Action.BACKUP_ACCEPT, target, outcome=Outcome.INTENT, fields=fields))
    _retire_tokens(transaction, keys, requester)
    # How far the Swarm went since is not known here; a server would lead it on by itself.
    end_swarm_rotation(transaction, keys, requester, failure="the home was restored from a backup")
    renew_restored_trust(transaction, keys, requester, max(count, 0))
    return missing


def finish_acceptance(transaction: Transaction, requester: Requester) -> None:
    """Let the home serve again; its anchor is the new one."""
    transaction.settings.put(RESTORED, "")
    target = ObjectRef(type="home", id=transaction.settings.get("store_id") or "")
    transaction.log(requester.event(Action.BACKUP_ACCEPT, target))


def _retire_tokens(transaction: Transaction, keys: Keys, requester: Requester) -> None:
    for record in transaction.tokens.all():
        if record.kind != STANDING and record.state == "active":
            transaction.tokens.retire(record)
            target = ObjectRef(type="join-token", id=record.token_id, name=record.role)
            transaction.log(requester.event(Action.CA_TOKEN_REVOKE, target, reason="made before a restore"))
    for token in list_limited_tokens(transaction):
        revoke_limited_token(transaction, str(token["id"]), requester, reason="made before a restore")
    if transaction.authorities.active() is not None:
        for role in NodeRole:
            renew_standing_token(transaction, keys, requester, role)
