"""Keep secrets in versions: make, add, withdraw, bring back and destroy them.

Each is one unit with its entry. How a version is sealed is ``secret_versions``, how secrets are found ``kept_secrets``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import AlreadyExists, UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.labels import format_labels
from swarmsec.secretstore.names import ISSUED_PREFIX, SecretName
from swarmsec.secretstore.versions import DEFAULT_MAX_VERSIONS, NONE, History, verify_max_versions, verify_value
from swarmsec.services.log.keyed_hashes import hash_for_log
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.requester import Field, Requester
from swarmsec.services.secrets.kept_secrets import KeptSecret, find_secret, reference_of, verify_newest
from swarmsec.services.secrets.secret_records import SecretRecord
from swarmsec.services.secrets.secret_versions import add_version, change_history


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSecret:
    """A secret to be made."""

    name: SecretName
    value: SecretBytes
    labels: Mapping[str, str]
    max_versions: int = DEFAULT_MAX_VERSIONS
    generated: bool = False
    """Whether the value was drawn by chance: another one drawn by chance may take its place on a schedule."""


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
    chosen = _each_once(numbers) or tuple(version.version for version in kept.versions)
    return _with_entry(transaction, kept, kept.history.destroyed(chosen), Action.SECRET_DESTROY, chosen, requester)


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
    return _each_once(numbers) or (kept.record.current,)


def _each_once(numbers: Sequence[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(numbers))


def _verify_keepable(name: SecretName) -> None:
    if name.is_issued:
        raise UsageProblem(
            f"expected a name outside {ISSUED_PREFIX}, got {name}",
            hint="names there stand for certificates issued when a task starts; nothing is kept under them",
        )
