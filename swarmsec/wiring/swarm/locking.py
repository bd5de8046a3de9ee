"""Locking a Swarm's managers and opening them; the key passes from the Swarm into our sealed store, nowhere else."""

from __future__ import annotations

from functools import partial

from swarmsec.errors import Denied, IntegrityFailure, SwarmsecError
from swarmsec.keys.signers import SealedKeys
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.requester import Requester
from swarmsec.services.swarm.lock_swarm import (
    keep_unlock_key,
    kept_unlock_keys,
    note_lock_intent,
    note_lock_outcome,
    note_unlock,
)
from swarmsec.services.swarm.swarm_ports import Spec
from swarmsec.services.swarm.swarm_records import SwarmState
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.swarm.opening import OpenSwarm, verify_manages


def lock(home: Home, keys: SealedKeys, swarm: OpenSwarm, requester: Requester) -> bool:
    """Switch autolock on, or take in the key where it is on already.

    Returns:
        whether the Swarm was changed.
    """
    verify_manages(swarm.engine.info(), swarm.endpoint.url)
    changed = not swarm.engine.swarm().is_autolocked
    if changed:
        _change(home, swarm, requester, "on", autolock=True)
    _keep(home, keys, swarm, requester, "on" if changed else "keep")
    return changed


def unlock_for_good(home: Home, swarm: OpenSwarm, requester: Requester) -> bool:
    """Switch autolock off; the key stays kept for a manager that is down now.

    Returns:
        whether the Swarm was changed.
    """
    verify_manages(swarm.engine.info(), swarm.endpoint.url)
    if not swarm.engine.swarm().is_autolocked:
        return False
    _change(home, swarm, requester, "off", autolock=False)
    return True


def rotate_key(home: Home, keys: SealedKeys, swarm: OpenSwarm, requester: Requester) -> None:
    """Have the Swarm make another key, and take that in.

    Raises:
        Denied: autolock is off.
    """
    verify_manages(swarm.engine.info(), swarm.endpoint.url)
    if not swarm.engine.swarm().is_autolocked:
        raise Denied("autolock is off, so there is no key", hint="switch it on: swarmsec swarm autolock on")
    # The present key first: a manager that is down needs it, and after the change the Swarm does not give it any more.
    _keep(home, keys, swarm, requester, "keep")
    _change(home, swarm, requester, "rotate", autolock=True, rotate=True)
    _keep(home, keys, swarm, requester, "rotate")


def unlock_engine(home: Home, keys: SealedKeys, swarm: OpenSwarm, requester: Requester) -> None:
    """Open a locked manager with the key that is kept, or the one before it.

    Raises:
        NotFound: none is kept.
        AlreadyExists: the engine is not locked.
        Denied: it takes neither.
    """
    where = swarm.endpoint.url
    refused: SwarmsecError | None = None
    for key in home.store.read(lambda transaction: kept_unlock_keys(transaction, keys)):
        try:
            swarm.engine.unlock(key)
        except Denied as error:
            refused = error
            continue
        home.store.write(partial(note_unlock, requester=requester, where=where))
        return
    failure = str(refused)
    home.store.write(partial(note_unlock, requester=requester, where=where, failure=failure))
    raise Denied(f"neither key that is kept unlocks {where}", hint="unlock it by hand with: docker swarm unlock")


def _change(
    home: Home, swarm: OpenSwarm, requester: Requester, verb: str, *, autolock: bool, rotate: bool = False
) -> None:
    def change(state: SwarmState, spec: Spec) -> Spec:
        return {**spec, "EncryptionConfig": {**(spec.get("EncryptionConfig") or {}), "AutoLockManagers": autolock}}

    home.store.write(partial(note_lock_intent, requester=requester, verb=verb))
    try:
        swarm.engine.change_swarm(change, rotate_unlock_key=rotate)
    except SwarmsecError as error:
        home.store.write(partial(note_lock_outcome, requester=requester, verb=verb, failure=str(error)))
        raise
    home.store.write(partial(note_lock_outcome, requester=requester, verb=verb))


def _keep(home: Home, keys: SealedKeys, swarm: OpenSwarm, requester: Requester, verb: str) -> SecretBytes:
    key = swarm.engine.unlock_key()
    if key is None:
        raise IntegrityFailure(
            "autolock is on, but the Swarm gave no key", hint="see: docker swarm unlock-key; then repeat"
        )
    home.store.write(partial(keep_unlock_key, keys=keys, key=key, requester=requester, verb=verb))
    return key
