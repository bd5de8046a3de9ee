"""Keep secrets in versions: make, add, withdraw, bring back and destroy them.

A value is one sealed record (``secretstore.envelope``) named by secret and version, so that key rotation, backup and
the check of the whole store treat it like every other. What is kept beside it says nothing about the value but a
keyed fingerprint, by which two versions can be told to be equal by those who hold the keys, and by nobody else.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import rfc3339_seconds, unix_seconds
from swarmsec.errors import AlreadyExists, Changed, NotFound, UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.envelope import frame
from swarmsec.secretstore.labels import format_labels, load_labels
from swarmsec.secretstore.names import ISSUED_PREFIX, SecretName
from swarmsec.secretstore.versions import (
    DEFAULT_MAX_VERSIONS,
    NONE,
    History,
    Version,
    VersionState,
    verify_max_versions,
    verify_value,
)
from swarmsec.services.keyed_hashes import hash_for_log
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.requester import Field, Requester
from swarmsec.services.secret_records import SecretRecord, SecretVersionRecord

FINGERPRINT_KEY: Final = "secrets/fingerprint-key"
_FINGERPRINT_KEY_BYTES: Final = 32
_FINGERPRINT_BYTES: Final = 16
_VALUE_CONTEXT: Final = b"swarmsec/secret-value/v1"
LIST_HINT: Final = "list them with: swarmsec secrets list"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecret:
    """A secret to be made."""

    name: SecretName
    value: SecretBytes
    labels: Mapping[str, str]
    max_versions: int = DEFAULT_MAX_VERSIONS
    generated: bool = False
    """Whether the value was drawn by chance: another one drawn by chance may take its place on a schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSecret:
    """A secret as it is kept: its record and its versions, oldest first."""

    record: SecretRecord
    versions: tuple[SecretVersionRecord, ...]

    @property
    def history(self) -> History:
        """The versions as their rules see them."""
        return History(
            versions=tuple(Version(number=v.version, state=VersionState(v.state)) for v in self.versions),
            current=self.record.current,
            previous=self.record.previous,
            max_versions=self.record.max_versions,
        )

    @property
    def value_created(self) -> int:
        """When the current value was made, Unix seconds; the last change where there is none."""
        return next((v.created for v in self.versions if v.version == self.record.current), self.record.changed)


def create_secret(transaction: Transaction, keys: Keys, new: NewSecret, requester: Requester) -> KeptSecret:
    """Make a secret with its first version.

    Raises:
        AlreadyExists: the name is taken.
        SecretInvalid: the value or the number of versions cannot be meant.
        UsageProblem: the name stands for issued certificates.
    """
    verify_value(len(new.value))
    verify_max_versions(new.max_versions)
    _verify_keepable(new.name)
    if transaction.secrets.get(new.name.text) is not None:
        raise AlreadyExists(f"secret {new.name} exists", hint=f"add a version with: swarmsec secrets put {new.name}")
    hashed = hash_for_log(transaction, keys, new.value)
    now = unix_seconds(transaction.clock)
    record = SecretRecord(
        name=new.name.text,
        created=now,
        changed=now,
        current=NONE,
        previous=NONE,
        max_versions=new.max_versions,
        labels=format_labels(new.labels),
    )
    kept = add_version(transaction, keys, KeptSecret(record=record, versions=()), new.value, generated=new.generated)
    target = reference_of(kept, kept.record.current)
    transaction.log(requester.event(Action.SECRET_CREATE, target, fields={"value": hashed}))
    return kept


def put_secret(
    transaction: Transaction,
    keys: Keys,
    name: SecretName,
    value: SecretBytes,
    requester: Requester,
    *,
    cas: int | None = None,
    max_versions: int | None = None,
    generated: bool = False,
) -> KeptSecret:
    """Add a version, which is current from now on.

    Args:
        transaction: of this unit.
        keys: the open key store.
        name: of the secret.
        value: 1 to 511,999 bytes.
        requester: who asks.
        cas: the newest version that the caller knows of; None for whatever it is.
        max_versions: how many versions to keep from now on; None for as many as before.
        generated: whether the value was drawn by chance.

    Raises:
        NotFound: there is no such secret.
        Changed: ``cas`` names another version than the newest.
        SecretInvalid: the value or the number of versions cannot be meant.
    """
    verify_value(len(value))
    kept = find_secret(transaction, name)
    verify_newest(kept, cas)
    if max_versions is not None:
        kept = replace(kept, record=replace(kept.record, max_versions=verify_max_versions(max_versions)))
    fields: dict[str, Field] = {"value": hash_for_log(transaction, keys, value)}
    grown = add_version(transaction, keys, kept, value, generated=generated)
    surplus = grown.history.surplus()
    if surplus:
        grown = change_history(transaction, grown, grown.history.destroyed(surplus))
        fields["destroyed"] = [str(number) for number in surplus]
    transaction.log(requester.event(Action.SECRET_PUT, reference_of(grown, grown.history.newest), fields=fields))
    return grown


def delete_versions(
    transaction: Transaction, name: SecretName, numbers: Sequence[int], requester: Requester
) -> KeptSecret:
    """Withdraw versions; the current one where none is named. They are kept and can be brought back.

    Raises:
        NotFound: there is no such secret.
        SecretInvalid: a version cannot be deleted.
    """
    kept = find_secret(transaction, name)
    chosen = _chosen(kept, numbers)
    return _with_entry(transaction, kept, kept.history.deleted(chosen), Action.SECRET_DELETE, chosen, requester)


def undelete_versions(
    transaction: Transaction, name: SecretName, numbers: Sequence[int], requester: Requester
) -> KeptSecret:
    """Bring withdrawn versions back; the current one where none is named.

    Raises:
        NotFound: there is no such secret.
        SecretInvalid: a version was destroyed or never was.
    """
    kept = find_secret(transaction, name)
    chosen = _chosen(kept, numbers)
    return _with_entry(transaction, kept, kept.history.undeleted(chosen), Action.SECRET_UNDELETE, chosen, requester)


def destroy_versions(
    transaction: Transaction, name: SecretName, numbers: Sequence[int], requester: Requester
) -> KeptSecret:
    """Erase the keys of versions; nothing but a backup brings their values back.

    Args:
        transaction: of this unit; after it the write-ahead log is to be truncated.
        name: of the secret.
        numbers: the versions; every one where none is named.
        requester: who asks.

    Raises:
        NotFound: there is no such secret.
        SecretInvalid: a version never was.
    """
    kept = find_secret(transaction, name)
    chosen = tuple(numbers) or tuple(version.version for version in kept.versions)
    return _with_entry(transaction, kept, kept.history.destroyed(chosen), Action.SECRET_DESTROY, chosen, requester)


def find_secret(transaction: Transaction, name: SecretName) -> KeptSecret:
    """A secret with its versions.

    Raises:
        NotFound: there is none of this name.
    """
    record = transaction.secrets.get(name.text)
    if name.is_issued:
        raise NotFound(
            f"nothing is kept under {name}: its certificates are issued when tasks start", hint="see: swarmsec ca list"
        )
    if record is None:
        raise NotFound(f"no secret {name}", hint=LIST_HINT)
    return KeptSecret(record=record, versions=tuple(transaction.secrets.versions(name.text)))


def list_secrets(transaction: Transaction, prefix: str = "") -> Sequence[KeptSecret]:
    """Every secret whose name begins with ``prefix``, by name."""
    versions: defaultdict[str, list[SecretVersionRecord]] = defaultdict(list)
    for version in transaction.secrets.all_versions(prefix):
        versions[version.name].append(version)
    return [
        KeptSecret(record=record, versions=tuple(versions[record.name])) for record in transaction.secrets.all(prefix)
    ]


def open_version(transaction: Transaction, keys: Keys, kept: KeptSecret, number: int) -> SecretBytes:
    """Open the value of a live or pending version; who may have it is decided before.

    Raises:
        NotFound: the version is withdrawn, destroyed or never was.
        RecordUnreadable: it does not open.
    """
    state = kept.history.state_of(number)
    if state not in {VersionState.LIVE, VersionState.PENDING}:
        found = "there is none" if state is None else f"it is {state}"
        raise NotFound(
            f"expected a live version {number} of {kept.record.name}: {found}",
            hint=f"see: swarmsec secrets versions {kept.record.name}",
        )
    return keys.get(transaction, record_name(kept.record.name, number))


def verify_newest(kept: KeptSecret, cas: int | None) -> None:
    """Hold the newest version against the one that the caller knows of.

    Raises:
        Changed: somebody added a version meanwhile.
    """
    if cas is not None and kept.history.newest != cas:
        raise Changed(
            f"expected version {cas} to be the newest of {kept.record.name}, got {kept.history.newest}",
            hint=f"see what changed: swarmsec secrets versions {kept.record.name}",
        )


def record_name(name: str, number: int) -> str:
    """The name of the sealed record of a version. ``#`` is in no secret's name, so no two versions share one."""
    return f"secret/{name}#{number}"


def reference_of(kept: KeptSecret, number: int) -> ObjectRef:
    """A version as entries name it."""
    return ObjectRef(type="secret", name=kept.record.name, version=number)


def describe_secret(kept: KeptSecret) -> dict[str, object]:
    """A secret as ``secrets show --json`` shows it, its values apart."""
    record = kept.record
    return {
        "name": record.name,
        "created": rfc3339_seconds(record.created),
        "changed": rfc3339_seconds(record.changed),
        "current": record.current or None,
        "previous": record.previous or None,
        "max_versions": record.max_versions,
        "labels": dict(load_labels(record.labels)),
        "versions": [describe_version(kept, version) for version in kept.versions],
    }


def describe_version(kept: KeptSecret, version: SecretVersionRecord) -> dict[str, object]:
    """A version as ``secrets versions --json`` shows it."""
    return {
        "version": version.version,
        "state": version.state,
        "current": version.version == kept.record.current,
        "created": rfc3339_seconds(version.created),
        "fingerprint": version.fingerprint or None,
    }


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


def _with_entry(
    transaction: Transaction,
    kept: KeptSecret,
    history: History,
    action: Action,
    numbers: Sequence[int],
    requester: Requester,
) -> KeptSecret:
    changed = change_history(transaction, kept, history)
    fields: dict[str, Field] = {"versions": [str(number) for number in numbers]}
    transaction.log(requester.event(action, ObjectRef(type="secret", name=kept.record.name), fields=fields))
    return changed


def _chosen(kept: KeptSecret, numbers: Sequence[int]) -> tuple[int, ...]:
    return tuple(numbers) or (kept.record.current,)


def _verify_keepable(name: SecretName) -> None:
    if name.is_issued:
        raise UsageProblem(
            f"expected a name outside {ISSUED_PREFIX}, got {name}",
            hint="names there stand for certificates issued when a task starts; nothing is kept under them",
        )


def _fingerprint(transaction: Transaction, keys: Keys, name: str, value: SecretBytes) -> str:
    key = fingerprint_key(transaction, keys)
    message = frame(_VALUE_CONTEXT, name.encode(), value.reveal())
    return hmac.digest(key.reveal(), message, hashlib.sha256)[:_FINGERPRINT_BYTES].hex()


def fingerprint_key(transaction: Transaction, keys: Keys) -> SecretBytes:
    """The key under which names and values are fingerprinted; made when it is first needed.

    The caller logs the entry of its unit, which covers it.
    """
    if transaction.sealed.get(FINGERPRINT_KEY) is None:
        keys.put(transaction, FINGERPRINT_KEY, SecretBytes(transaction.clock.random(_FINGERPRINT_KEY_BYTES)))
    return keys.get(transaction, FINGERPRINT_KEY)
