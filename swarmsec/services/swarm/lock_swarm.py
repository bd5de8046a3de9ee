"""The key that unlocks a Swarm's managers, in our sealed store.

The Swarm makes the key. It is fetched and sealed here right after, and the one before it is kept too: a manager that
was down meanwhile opens its own files with the former key and only then learns the new one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import NotFound
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.requester import Requester

KEY: Final = "swarm/unlock-key"
FORMER: Final = "swarm/unlock-key/former"
_TARGET: Final = ObjectRef(type="swarm-lock")


def keep_unlock_key(transaction: Transaction, keys: Keys, key: SecretBytes, requester: Requester, *, verb: str) -> bool:
    """Seal the present key; the one before it, if that is another, becomes the former one.

    Args:
        verb: why: ``on``, ``rotate`` or ``keep``.

    Returns:
        whether it is another key than was kept before.
    """
    former = _get(transaction, keys, KEY)
    if former == key:
        return False
    if former is not None:
        keys.put(transaction, FORMER, former)
    keys.put(transaction, KEY, key)
    transaction.log(requester.event(Action.SWARM_LOCK, _TARGET, fields={"verb": verb, "kept": True}))
    return True


def note_lock_intent(transaction: Transaction, requester: Requester, verb: str) -> None:
    """Put on record what is about to be asked of the Swarm."""
    transaction.log(requester.event(Action.SWARM_LOCK, _TARGET, outcome=Outcome.INTENT, fields={"verb": verb}))


def note_lock_outcome(transaction: Transaction, requester: Requester, verb: str, *, failure: str = "") -> None:
    """Put on record how it went."""
    outcome = Outcome.FAILURE if failure else Outcome.SUCCESS
    transaction.log(requester.event(Action.SWARM_LOCK, _TARGET, outcome=outcome, reason=failure, fields={"verb": verb}))


def note_unlock(transaction: Transaction, requester: Requester, where: str, *, failure: str = "") -> None:
    """Put on record that a manager was unlocked, or not."""
    outcome = Outcome.FAILURE if failure else Outcome.SUCCESS
    target = ObjectRef(type="engine", id=where)
    transaction.log(requester.event(Action.SWARM_UNLOCK, target, outcome=outcome, reason=failure))


def kept_unlock_keys(transaction: Transaction, keys: Keys) -> Sequence[SecretBytes]:
    """The present key and the former one, as far as they are kept.

    Raises:
        NotFound: none is kept.
    """
    found = [key for name in (KEY, FORMER) if (key := _get(transaction, keys, name)) is not None]
    if not found:
        hint = "take it in while the Swarm is unlocked: swarmsec swarm autolock on"
        raise NotFound("no unlock key is kept in this home", hint=hint)
    return found


def reveal_unlock_key(transaction: Transaction, keys: Keys, requester: Requester) -> SecretBytes:
    """The present key, to be shown; that it was is logged.

    Raises:
        NotFound: none is kept.
    """
    key = kept_unlock_keys(transaction, keys)[0]
    transaction.log(requester.event(Action.SWARM_UNLOCK_KEY_REVEAL, _TARGET))
    return key


def _get(transaction: Transaction, keys: Keys, name: str) -> SecretBytes | None:
    if transaction.sealed.get(name) is None:
        return None
    return keys.get(transaction, name)
