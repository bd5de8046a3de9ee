"""The services' records over tables; each class implements the port of the same name in ``services.ports``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from swarmsec.errors import NotFound
from swarmsec.services.records import (
    AuthorityRecord,
    CertificateRecord,
    CertificateStatus,
    LimitedToken,
    PolicyRecord,
    SwarmRoot,
    TokenRecord,
)
from swarmsec.storage import tables
from swarmsec.storage.errors import StoreCorrupt
from swarmsec.storage.foreseen import Look
from swarmsec.storage.rows import shape_of

if TYPE_CHECKING:
    from ca.requests import SigningRequest
    from swarmsec.storage.rows import Row
    from swarmsec.storage.transaction import Transaction

ACTIVE: Final = "active"
RETIRED: Final = "retired"
_CERTIFICATE: Final = shape_of(tables.certificates).columns
_certificate_content = attrgetter(*_CERTIFICATE)
_STATUS: Final = shape_of(tables.certificates).columns.index("status")


def _values(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "digest"}


class Settings:
    """Facts of the home by name."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def get(self, name: str) -> str | None:
        """The value, or None."""
        row = self._transaction.find_once(tables.settings, name=name)
        return None if row is None else str(row["value"])

    def verify_found(self) -> None:
        """Hold what is found by its name to what is there: a damaged index loses rows without a word.

        Raises:
            StoreCorrupt: a row is not found, or not what was written.
        """
        for row in self._transaction.select(tables.settings):
            if self.get(str(row["name"])) is None:
                raise StoreCorrupt(
                    "table settings: a row is not found by its name",
                    hint="restore the newest backup with: swarmsec restore FILE",
                )

    def put(self, name: str, value: str) -> None:
        """Set the value."""
        row = self._transaction.find(tables.settings, name=name)
        if row is None:
            self._transaction.insert(tables.settings, name=name, value=value)
        else:
            self._transaction.update(tables.settings, row, value=value)


class Authorities:
    """Roots by generation."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, record: AuthorityRecord) -> None:
        """Add a generation."""
        self._transaction.insert(tables.authorities, **asdict(record))

    def active(self) -> AuthorityRecord | None:
        """The root that signs now."""
        row = self._transaction.find(tables.authorities, state=ACTIVE)
        return None if row is None else AuthorityRecord(**_values(row))

    def by_generation(self, generation: int) -> AuthorityRecord | None:
        """The root of a generation, or None."""
        row = self._transaction.find(tables.authorities, generation=generation)
        return None if row is None else AuthorityRecord(**_values(row))

    def change_state(self, record: AuthorityRecord, state: str) -> None:
        """Set what a root is."""
        row = self._transaction.find(tables.authorities, generation=record.generation)
        if row is None:
            raise NotFound(f"no root of generation {record.generation}")
        self._transaction.update(tables.authorities, row, state=str(state))

    def all(self) -> Sequence[AuthorityRecord]:
        """Every generation, oldest first."""
        rows = self._transaction.select(tables.authorities)
        return [AuthorityRecord(**_values(row)) for row in rows]


class Certificates:
    """The issuance table."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, record: CertificateRecord) -> None:
        """Add an issued certificate."""
        content = [*_certificate_content(record)]
        content[_STATUS] = str(record.status)
        self._transaction.insert_content(tables.certificates, content)

    def next_id(self) -> int:
        """The next free row id; the writer's lock makes it ours until the transaction ends."""
        return self._transaction.highest(tables.certificates) + 1

    def change_status(self, record: CertificateRecord, *, status: str, revoked: int = 0) -> CertificateRecord:
        """Set a certificate's status.

        Args:
            record: as this transaction has read it; nothing else of it ever changes, so its row is known.
        """
        row = dict(zip(_CERTIFICATE, _certificate_content(record), strict=True))
        self._transaction.update(tables.certificates, row, status=str(status), revoked=revoked)
        return replace(record, status=CertificateStatus(status), revoked=revoked)

    def put_reason(self, certificate: int, reason: str) -> None:
        """Keep why a certificate was revoked, a word of ``ca.revocation_entries.Reason``, under its row id."""
        self._transaction.insert(tables.revocation_reasons, certificate=certificate, reason=reason)

    def reason(self, certificate: int) -> str | None:
        """Why the certificate of this row id was revoked, where that is known."""
        row = self._transaction.find(tables.revocation_reasons, certificate=certificate)
        return None if row is None else str(row["reason"])

    def reasons(self) -> Mapping[int, str]:
        """Why certificates were revoked, by row id, where that is known."""
        rows = self._transaction.select(tables.revocation_reasons)
        return {int(row["certificate"]): str(row["reason"]) for row in rows}

    def by_sha256(self, sha256: bytes) -> CertificateRecord | None:
        """The certificate with this SHA-256 of its DER, or None."""
        row = self._transaction.find(tables.certificates, sha256=sha256)
        return None if row is None else _certificate(row)

    def by_serial(self, serial: str) -> Sequence[CertificateRecord]:
        """Certificates with this serial, lower-case hex, one per generation at most."""
        rows = self._transaction.find_all(tables.certificates, serial=serial)
        return [_certificate(row) for row in rows]

    def by_subject(self, subject_id: str) -> Sequence[CertificateRecord]:
        """Certificates of a node or named identity, oldest first."""
        return self._transaction.records_once(tables.certificates, _certificate, subject_id=subject_id)

    def by_public_key(self, spki_sha256: bytes) -> Sequence[CertificateRecord]:
        """Certificates for this public key, oldest first."""
        rows = self._transaction.find_all(tables.certificates, spki_sha256=spki_sha256)
        return [_certificate(row) for row in rows]

    def by_subjects(self, subject_ids: Sequence[str]) -> Mapping[str, Sequence[CertificateRecord]]:
        """Certificates of those of these that have any, oldest first."""
        return self._among("subject_id", subject_ids)

    def by_sha256s(self, sha256s: Sequence[bytes]) -> Mapping[bytes, Sequence[CertificateRecord]]:
        """The certificate for each of these SHA-256 of its DER, alone in its list, that there is one for."""
        return self._among("sha256", sha256s)

    def by_public_keys(self, sha256s: Sequence[bytes]) -> Mapping[bytes, Sequence[CertificateRecord]]:
        """Certificates for those of these public keys, by their SHA-256, that have any, oldest first."""
        return self._among("spki_sha256", sha256s)

    def _among(self, column: str, values: Sequence[Any]) -> dict[Any, list[CertificateRecord]]:
        found = self._transaction.find_among(tables.certificates, column, values)
        return {value: [_certificate(row) for row in rows] for value, rows in found.items()}

    def revoked(self) -> Iterable[CertificateRecord]:
        """Every revoked certificate, in the order of issue."""
        chosen = tables.certificates.c.status == str(CertificateStatus.REVOKED)
        return (_certificate(row) for row in self._transaction.select(tables.certificates, chosen))

    def unexpired(
        self, now: int, *, generation: int | None = None, besides: Collection[str] = ()
    ) -> Iterable[CertificateRecord]:
        """Every certificate that ends after ``now``, whatever its status, in the order of issue.

        Args:
            generation: of the root that issued them; of any without it.
            besides: profiles whose certificates are left out.
        """
        columns = tables.certificates.c
        chosen = [columns.not_after > now]
        if generation is not None:
            chosen.append(columns.generation == generation)
        if besides:
            chosen.append(columns.profile.not_in(sorted(besides)))
        return (_certificate(row) for row in self._transaction.select(tables.certificates, *chosen))

    def by_ids(self, ids: Sequence[int]) -> Sequence[CertificateRecord]:
        """Certificates with these row ids."""
        return [record for records in self._among("id", ids).values() for record in records]

    def all(self) -> Iterable[CertificateRecord]:
        """Every certificate, in the order of issue."""
        return (_certificate(row) for row in self._transaction.select(tables.certificates))


def looks_of_issuing(signing_request: SigningRequest, *, subject_id: str = "") -> list[Look]:
    """What a unit looks for that issues a certificate, as far as a request tells.

    Args:
        signing_request: for the key.
        subject_id: whose certificate it is to be, if that is known.
    """
    table = tables.certificates
    looks = [Look(table, "spki_sha256", bytes.fromhex(signing_request.spki_sha256))]
    if subject_id:
        looks.append(Look(table, "subject_id", subject_id))
    return looks


def _certificate(row: Row) -> CertificateRecord:
    values = {**row, "status": CertificateStatus(str(row["status"]))}
    del values["digest"]
    return CertificateRecord(**values)


class Tokens:
    """Join tokens."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, record: TokenRecord) -> None:
        """Add a token."""
        self._transaction.insert(tables.join_tokens, **asdict(record))

    def standing(self, role: str) -> TokenRecord | None:
        """The active standing token of a role."""
        row = self._transaction.find_once(tables.join_tokens, role=role, kind="standing", state=ACTIVE)
        return None if row is None else TokenRecord(**_values(row))

    def retire(self, record: TokenRecord) -> None:
        """End a token."""
        row = self._transaction.find(tables.join_tokens, token_id=record.token_id)
        if row is not None:
            self._transaction.update(tables.join_tokens, row, state=RETIRED)

    def all(self) -> Sequence[TokenRecord]:
        """Every token ever made."""
        rows = self._transaction.select(tables.join_tokens)
        return [TokenRecord(**_values(row)) for row in rows]


class LimitedTokens:
    """Join tokens that end."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, record: LimitedToken) -> None:
        """Add a token."""
        self._transaction.insert(tables.limited_tokens, **asdict(record))

    def change(self, record: LimitedToken) -> None:
        """Write a token's state and numbers."""
        row = self._transaction.find(tables.limited_tokens, token_id=record.token_id)
        if row is None:
            raise NotFound(f"no token {record.token_id}")
        self._transaction.update(tables.limited_tokens, row, **asdict(record))

    def by_id(self, token_id: str) -> LimitedToken | None:
        """The token with this id, or None."""
        row = self._transaction.find(tables.limited_tokens, token_id=token_id)
        return None if row is None else LimitedToken(**_values(row))

    def by_fingerprint(self, fingerprint: bytes) -> LimitedToken | None:
        """The token with this fingerprint, or None."""
        row = self._transaction.find(tables.limited_tokens, fingerprint=fingerprint)
        return None if row is None else LimitedToken(**_values(row))

    def all(self) -> Sequence[LimitedToken]:
        """Every token ever made."""
        return [LimitedToken(**_values(row)) for row in self._transaction.select(tables.limited_tokens)]


class SwarmRoots:
    """Foreign roots of the signing endpoint."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, root: SwarmRoot) -> None:
        """Accept a root."""
        self._transaction.insert(tables.swarm_roots, **asdict(root))

    def all(self) -> Sequence[SwarmRoot]:
        """The accepted roots."""
        rows = self._transaction.select(tables.swarm_roots)
        return [SwarmRoot(**_values(row)) for row in rows]

    def remove(self, sha256: str) -> None:
        """Accept a root no longer, and forget the nodes seen under it."""
        nodes = tables.swarm_root_nodes
        for node in list(self._transaction.select(nodes, nodes.c.root_sha256 == sha256)):
            self._transaction.delete(nodes, node)
        row = self._transaction.find(tables.swarm_roots, sha256=sha256)
        if row is not None:
            self._transaction.delete(tables.swarm_roots, row)

    def note_node(self, sha256: str, node_id: str, when: int) -> bool:
        """Remember that a node showed a certificate of this root; True if it was not known."""
        table = tables.swarm_root_nodes
        if self._transaction.find(table, root_sha256=sha256, node_id=node_id) is not None:
            return False
        self._transaction.insert(table, root_sha256=sha256, node_id=node_id, first_seen=when)
        return True

    def nodes(self, sha256: str) -> Sequence[str]:
        """The nodes seen under this root."""
        table = tables.swarm_root_nodes
        return [str(row["node_id"]) for row in self._transaction.select(table, table.c.root_sha256 == sha256)]


class Policies:
    """Policy documents by kind, name and version."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, record: PolicyRecord) -> None:
        """Add a version."""
        self._transaction.insert(tables.policy_documents, **asdict(record))

    def active(self) -> Sequence[PolicyRecord]:
        """The versions in force."""
        return self._transaction.records_once(tables.policy_documents, _policy, state=ACTIVE)

    def versions(self, kind: str, name: str) -> Sequence[PolicyRecord]:
        """Every version of a document, oldest first."""
        table = tables.policy_documents
        rows = self._transaction.select(table, table.c.kind == kind, table.c.name == name)
        return [_policy(row) for row in rows]

    def retire(self, record: PolicyRecord) -> None:
        """Take a version out of force."""
        row = self._transaction.find(
            tables.policy_documents, kind=record.kind, name=record.name, version=record.version
        )
        if row is not None:
            self._transaction.update(tables.policy_documents, row, state=RETIRED)


def _policy(row: Row) -> PolicyRecord:
    return PolicyRecord(**_values(row))
