"""Secrets as they are kept: found, listed, described, and their values opened.

Who may have a value is decided elsewhere, before it is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import rfc3339_seconds
from swarmsec.errors import Changed, NotFound
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.labels import load_labels
from swarmsec.secretstore.names import SecretName
from swarmsec.secretstore.versions import History, Version, VersionState
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.secrets.secret_records import SecretRecord, SecretVersionRecord

LIST_HINT: Final = "list them with: swarmsec secrets list"


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

    def state_of(self, number: int) -> VersionState | None:
        """The state of a version; None if it never was."""
        return next((VersionState(v.state) for v in self.versions if v.version == number), None)

    @property
    def value_created(self) -> int:
        """When the current value was made, Unix seconds; the last change where there is none."""
        return next((v.created for v in self.versions if v.version == self.record.current), self.record.changed)


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


def open_version(transaction: Transaction, keys: Keys, kept: KeptSecret, number: int) -> SecretBytes:
    """Open the value of a live or pending version; who may have it is decided before.

    Raises:
        NotFound: the version is withdrawn, destroyed or never was.
        RecordUnreadable: it does not open.
    """
    state = kept.state_of(number)
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
