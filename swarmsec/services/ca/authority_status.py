"""How the authority stands: what is issued, what is due, when things end. Names for people, numbers for monitoring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cryptography import x509

from ca.issuing import fingerprint
from swarmsec.clock import unix_seconds
from swarmsec.errors import NotFound
from swarmsec.services.ca.list_certificates import EXPIRED, ListedCertificate, list_certificates
from swarmsec.services.ca.publish_revocations import listed_roots
from swarmsec.services.ca.revocation_lists import ListState, load_list_states
from swarmsec.services.nodes.approve_nodes import list_held_nodes
from swarmsec.services.nodes.limited_tokens import ACTIVE, state_of
from swarmsec.services.nodes.node_records import HeldState
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateStatus, SwarmRoot, TokenRecord
from swarmsec.services.rotation.rotation_status import RotationStatus, status_of_running


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityStatus:
    """The authority at one moment. Times in Unix seconds."""

    now: int
    cluster_id: str
    root_sha256: str
    root_not_after: int
    certificates: dict[str, int]
    """How many there are of each state; every state is named."""
    due: Sequence[str]
    """Whose newest certificate may be renewed now."""
    overdue: Sequence[str]
    """Whose newest certificate should have been renewed."""
    expired: Sequence[str]
    """Who had a certificate that has ended, and has none now; those who are gone for good are among them."""
    short_lived: Sequence[str]
    """Whose newest certificate lives for less than an hour."""
    waiting: Sequence[str]
    """Managers that wait for approval."""
    revocation_lists: Sequence[tuple[str, ListState | None]]
    """The newest of each root that counts, by the root's SHA-256; the public root comes first."""
    swarm_roots: Sequence[SwarmRoot]
    standing_tokens: Sequence[TokenRecord]
    """Those in force."""
    rotation: RotationStatus | None
    """The root rotation under way."""
    open_limited_tokens: int
    """How many tokens with limits can still be used."""


def authority_status(transaction: Transaction) -> AuthorityStatus:
    """See how the authority stands.

    Raises:
        NotFound: the home is no authority.
    """
    root = transaction.authorities.active()
    if root is None:
        raise NotFound("this home has no certificate authority", hint="make one with: swarmsec ca init")
    now, listed = unix_seconds(transaction.clock), list(list_certificates(transaction))
    states = Counter(item.status for item in listed)
    newest_of_all = _newest(listed)
    newest = [item for item in newest_of_all if item.status == CertificateStatus.VALID]
    return AuthorityStatus(
        now=now,
        cluster_id=transaction.settings.get("cluster_id") or "",
        root_sha256=fingerprint(root.certificate),
        root_not_after=int(x509.load_der_x509_certificate(root.certificate).not_valid_after_utc.timestamp()),
        certificates={state: states[state] for state in (*map(str, CertificateStatus), EXPIRED)},
        due=_subjects(item for item in newest if item.renew_after <= now and not item.overdue),
        overdue=_subjects(item for item in newest if item.overdue),
        expired=_expired(newest_of_all, newest),
        short_lived=_subjects(item for item in newest if item.is_short_lived),
        waiting=[held.node_id for held in list_held_nodes(transaction) if held.state is HeldState.PENDING],
        revocation_lists=_lists(transaction),
        swarm_roots=list(transaction.swarm_roots.all()),
        standing_tokens=[token for token in transaction.tokens.all() if token.state == "active"],
        rotation=status_of_running(transaction),
        open_limited_tokens=sum(state_of(token, now) == ACTIVE for token in transaction.limited_tokens.all()),
    )


def _lists(transaction: Transaction) -> Sequence[tuple[str, ListState | None]]:
    known = load_list_states(transaction).by_generation
    return [(fingerprint(root.certificate), known.get(root.generation)) for root in listed_roots(transaction)]


def _newest(listed: Iterable[ListedCertificate]) -> Sequence[ListedCertificate]:
    """The newest certificate of each subject and profile: who has a newer one needs no renewal."""
    return list({(item.record.subject_id, item.record.profile): item for item in listed}.values())


def _expired(newest: Iterable[ListedCertificate], valid: Iterable[ListedCertificate]) -> Sequence[str]:
    """Who let theirs end, and was not given another in another role."""
    ended = (item for item in newest if item.status == EXPIRED and item.record.status is CertificateStatus.VALID)
    return sorted({*_subjects(ended)} - {*_subjects(valid)})


def _subjects(items: Iterable[ListedCertificate]) -> Sequence[str]:
    return sorted({item.record.subject_id for item in items})
