"""What of the repository is in force, and who signs what.

Only the keys of the home itself are marked with a sealed record. A role is ``embedded`` where those alone meet its
threshold: then this machine alone decides, which ``trust status`` says.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from securesystemslib.signer import Key

from notary.errors import InvalidKey
from notary.repository import delegated_quorum, plan_of_root
from notary.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, file_name
from notary.signing import Document, Quorum, own_document
from notary.trustkeys import key_of_spki, parse_key
from swarmsec.clock import unix_seconds
from swarmsec.errors import IntegrityFailure, NotFound
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.records import KeyKind
from swarmsec.services.trust.trust_records import TrustKey, TrustRole

INIT_HINT: Final = "make it with: swarmsec trust init"
_KEY_ID_BYTES: Final = 8


def verify_initialised(transaction: Transaction) -> None:
    """Refuse to go on where there is no repository yet.

    Raises:
        NotFound: none is there, or its first root is still to be signed.
    """
    if transaction.trust.roles.get(ROOT) is None:
        waits = any(transaction.trust.changes.all())
        raise NotFound(
            "this home signs no images yet" + (": its first root waits for signatures" if waits else ""),
            hint="see: swarmsec trust pending" if waits else INIT_HINT,
        )


def current_document(transaction: Transaction, role: str) -> Document | None:
    """The version of a role that is in force, or None; errors as ``current_file``."""
    data = current_file(transaction, role)
    return None if data is None else own_document(role, data)


def current_file(transaction: Transaction, role: str) -> bytes | None:
    """The published bytes of the version of a role that is in force, or None.

    Raises:
        IntegrityFailure: the file that the role's row names is not there.
    """
    row = transaction.trust.roles.get(role)
    if row is None or row.version == 0:
        return None
    data = transaction.trust.files.get(file_name(role, row.version))
    if data is None:
        raise IntegrityFailure(f"expected version {row.version} of the trust role {role}, got nothing")
    return data


def present_document(transaction: Transaction, role: str) -> Document:
    """The version of a role that must be there.

    Raises:
        NotFound: there is no repository yet.
    """
    document = current_document(transaction, role)
    if document is None:
        verify_initialised(transaction)
        raise IntegrityFailure(f"expected the trust role {role}, got nothing")
    return document


def quorum_of(transaction: Transaction, role: str) -> Quorum:
    """Who must sign a role.

    Raises:
        NotFound: nobody signs for it.
    """
    row = transaction.trust.roles.get(role)
    if row is None or not row.keyids:
        raise NotFound(f"nobody signs for {role}", hint=f"delegate it with: swarmsec trust delegate add {role}")
    return quorum_of_row(transaction, row)


def quorum_of_row(transaction: Transaction, row: TrustRole) -> Quorum:
    """Who must sign a role whose row is at hand."""
    return Quorum(keys={keyid: known_key(transaction, keyid) for keyid in row.keyids}, threshold=row.threshold)


def known_key(transaction: Transaction, keyid: str) -> Key:
    """A key that is known.

    Raises:
        IntegrityFailure: it is not.
    """
    row = transaction.trust.keys.get(keyid)
    try:
        if row is not None:
            return parse_key(keyid, json.loads(row.public))
    except (InvalidKey, ValueError):
        pass
    raise IntegrityFailure(f"expected the trust key {keyid[:16]}")


def needed_quorums(transaction: Transaction, documents: Sequence[Document], document: Document) -> tuple[Quorum, ...]:
    """Every group that must sign a document, given the documents that are to be published with it.

    A root needs the quorum of the root before it and its own (section 5.3.4 of the TUF specification).
    """
    match document.role:
        case "root":
            own = plan_of_root(document.body).root
            former = transaction.trust.roles.get(ROOT)
            return (own,) if former is None else (quorum_of_row(transaction, former), own)
        case "targets":
            root = next((item for item in documents if item.role == ROOT), None)
            return (plan_of_root(root.body).targets if root else quorum_of(transaction, TARGETS),)
        case role:
            targets = next((item for item in documents if item.role == TARGETS), None)
            delegated = None if targets is None else delegated_quorum(targets.body, role)
            return (delegated or quorum_of(transaction, role),)


def single(key: Key) -> Quorum:
    """The quorum of one key."""
    return Quorum(keys={key.keyid: key}, threshold=1)


def remember_key(transaction: Transaction, key: Key, key_name: str = "") -> None:
    """Keep a public key; the caller logs the entry."""
    public = msgspec.json.encode(key.to_dict(), order="sorted").decode()
    created = unix_seconds(transaction.clock)
    transaction.trust.keys.add(TrustKey(keyid=key.keyid, public=public, key_name=key_name, created=created))


def create_key(transaction: Transaction, keys: Keys) -> Key:
    """Make a signer's key in the sealed store; the caller logs the entry."""
    name = f"trust/key/{transaction.clock.random(_KEY_ID_BYTES).hex()}"
    key = key_of_spki(keys.create_signer(transaction, name, KeyKind.P256).public_key_der)
    remember_key(transaction, key, name)
    return key


def embedded_names(transaction: Transaction, quorum: Quorum) -> dict[str, str]:
    """Sealed records of those keys of a quorum that lie in this home, by key id."""
    rows = (transaction.trust.keys.get(keyid) for keyid in sorted(quorum.keys))
    return {row.keyid: row.key_name for row in rows if row is not None and row.key_name}


def is_embedded(transaction: Transaction, quorum: Quorum) -> bool:
    """Whether this home alone can meet a quorum."""
    return len(embedded_names(transaction, quorum)) >= quorum.threshold


def sign_embedded(transaction: Transaction, keys: Keys, document: Document, quorums: Sequence[Quorum]) -> Document:
    """Sign with the home's keys, as many as each quorum still needs."""
    signed = document.signed
    for quorum in quorums:
        names = embedded_names(transaction, quorum)
        missing = quorum.threshold - len(quorum.counted(signed, document.signatures))
        for keyid in [keyid for keyid in names if keyid not in document.signatures][: max(0, missing)]:
            signature = keys.signer(transaction, names[keyid]).sign(signed)
            document = document.with_signature(keyid, signature.hex())
    return document


def is_complete(document: Document, quorums: Sequence[Quorum]) -> bool:
    """Whether every quorum is met."""
    signed = document.signed
    return all(quorum.is_met(signed, document.signatures) for quorum in quorums)


def is_everything_embedded(transaction: Transaction) -> bool:
    """Whether root and targets are signed by this home alone."""
    return all(is_embedded(transaction, quorum_of(transaction, role)) for role in (ROOT, TARGETS, SNAPSHOT, TIMESTAMP))


def moment(transaction: Transaction) -> datetime:
    """The present time in UTC, whole seconds."""
    return datetime.fromtimestamp(unix_seconds(transaction.clock), UTC)


def unix_of(expires: str) -> int:
    """A time of metadata in Unix seconds."""
    return int(datetime.strptime(expires, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp())
