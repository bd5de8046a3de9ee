"""Seal the versions of secrets, and erase them: what making, adding, rotating and destroying have in common.

A value is one sealed record (``secretstore.envelope``) named by secret and version, so that key rotation, backup and
the check of the whole store treat it like every other. What is kept beside it says nothing about the value but a
keyed fingerprint, by which two versions can be told to be equal by those who hold the keys, and by nobody else.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import Final

from swarmsec.clock import unix_seconds
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.envelope import frame
from swarmsec.secretstore.versions import History, VersionState
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.secrets.kept_secrets import KeptSecret, record_name
from swarmsec.services.secrets.secret_records import SecretVersionRecord

FINGERPRINT_KEY: Final = "secrets/fingerprint-key"
_FINGERPRINT_KEY_BYTES: Final = 32
_FINGERPRINT_BYTES: Final = 16
_VALUE_CONTEXT: Final = b"swarmsec/secret-value/v1"


def add_version(
    transaction: Transaction,
    keys: Keys,
    kept: KeptSecret,
    value: SecretBytes,
    *,
    pending: bool = False,
    generated: bool = False,
) -> KeptSecret:
    """Seal a value as the newest version, current at once unless it is pending; the caller logs.

    Args:
        transaction: of this unit.
        keys: the open key store.
        kept: the secret as it is.
        value: checked before (``verify_value``).
        pending: whether a rotation is to publish it later.
        generated: whether it was drawn by chance.
    """
    history = kept.history.added(pending=pending)
    version = SecretVersionRecord(
        name=kept.record.name,
        version=history.newest,
        created=unix_seconds(transaction.clock),
        state=history.versions[-1].state.value,
        fingerprint=_fingerprint(transaction, keys, kept.record.name, value),
    )
    keys.put(transaction, record_name(version.name, version.version), value)
    if generated:
        transaction.secrets.note_generated(version.name, version.version)
    return change_history(transaction, KeptSecret(record=kept.record, versions=(*kept.versions, version)), history)


def change_history(transaction: Transaction, kept: KeptSecret, history: History) -> KeptSecret:
    """Write what a new history says of the record and its versions; values of destroyed versions are erased.

    The caller logs.
    """
    record = replace(
        kept.record,
        changed=unix_seconds(transaction.clock),
        current=history.current,
        previous=history.previous,
    )
    transaction.secrets.put(record)
    versions = []
    for version in kept.versions:
        state = history.state_of(version.version) or VersionState.DESTROYED
        new = replace(version, state=state.value)
        if state is VersionState.DESTROYED:
            transaction.sealed.remove(record_name(version.name, version.version))
            transaction.secrets.forget_generated(version.name, version.version)
            new = replace(new, fingerprint="")
        transaction.secrets.put_version(new)
        versions.append(new)
    return KeptSecret(record=record, versions=tuple(versions))


def fingerprint_key(transaction: Transaction, keys: Keys) -> SecretBytes:
    """The key under which names and values are fingerprinted; made when it is first needed.

    The caller logs the entry of its unit, which covers it.
    """
    if transaction.sealed.get(FINGERPRINT_KEY) is None:
        keys.put(transaction, FINGERPRINT_KEY, SecretBytes(transaction.clock.random(_FINGERPRINT_KEY_BYTES)))
    return keys.get(transaction, FINGERPRINT_KEY)


def _fingerprint(transaction: Transaction, keys: Keys, name: str, value: SecretBytes) -> str:
    key = fingerprint_key(transaction, keys)
    message = frame(_VALUE_CONTEXT, name.encode(), value.reveal())
    return hmac.digest(key.reveal(), message, hashlib.sha256)[:_FINGERPRINT_BYTES].hex()
