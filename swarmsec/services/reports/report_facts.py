"""What the home itself knows for a report, in one reading transaction; and the entry that a report leaves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from cryptography import x509

from policies.documents import Level
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef, parse_entry
from swarmsec.audit.notes import parse_note
from swarmsec.clock import unix_seconds
from swarmsec.errors import NotFound
from swarmsec.reports.facts import CertificateFact, HomeFacts, ImageFact, RotationFact, SecretFact, TrustRoleFact
from swarmsec.services.access.apply_policy import active_documents
from swarmsec.services.ca.list_certificates import list_certificates
from swarmsec.services.ca.revocation_lists import load_list_state
from swarmsec.services.ca.show_authority import is_token_key_name
from swarmsec.services.log.log_ports import LogTransaction
from swarmsec.services.ports import Transaction
from swarmsec.services.reports.host_ports import HostTransaction
from swarmsec.services.reports.keep_host_facts import host_facts
from swarmsec.services.requester import Field, Requester
from swarmsec.services.rotation.rotation_status import status_of_running
from swarmsec.services.secrets.secret_ages import secret_ages
from swarmsec.services.swarm.swarm_rotation_records import load_swarm_rotation
from swarmsec.services.trust.judge_image import ImageJudge
from swarmsec.services.trust.trust_status import trust_status

STANDING: Final = "standing"
ACTIVE: Final = "active"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What stands around the store: found out by the shell.

    Args:
        log_problem: why the store failed its check; empty if it is whole.
        anchor_present: whether the rollback anchor exists.
        anchor_apart: whether it lies on another file system than the home.
        short_lifetimes: whether the settings permit certificates of minutes.
        last_backup: when the newest backup was concluded, Unix seconds; 0 for never.
        unlock_key_rotated: when the Swarm's unlock key was; 0 for never.
    """

    log_problem: str
    anchor_present: bool
    anchor_apart: bool
    short_lifetimes: bool
    last_backup: int
    unlock_key_rotated: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryKind:
    """Successful entries of an action; with ``verb`` only those whose field of that name is it."""

    action: Action
    verb: str = ""

    @property
    def word(self) -> bytes:
        """The action as it stands in an entry."""
        return f'"{self.action.value}"'.encode()

    def covers(self, entry: Mapping[str, object]) -> bool:
        """Whether an entry is of this kind."""
        if entry["action"] != self.action or entry["outcome"] != Outcome.SUCCESS:
            return False
        fields = entry.get("fields")
        return not self.verb or (isinstance(fields, dict) and fields.get("verb") == self.verb)


class ReportTransaction(LogTransaction, HostTransaction, Protocol):
    """A unit of work that a report reads in."""


def collect_home_facts(
    transaction: ReportTransaction, log_size: int, around: Surroundings, images: Iterable[str] = ()
) -> HomeFacts:
    """Read everything that checks of the home may ask for.

    Args:
        transaction: reading; with the log's records.
        log_size: entries of the log.
        around: what is not in the store.
        images: that services run, as they name them.
    """
    now = unix_seconds(transaction.clock)
    root = transaction.authorities.active()
    checkpoints = transaction.checkpoints.all()
    newest = checkpoints[-1] if checkpoints else None
    state = load_list_state(transaction, root.generation) if root is not None else None
    return HomeFacts(
        now=now,
        store_id=transaction.settings.get("store_id") or "",
        cluster_id=transaction.settings.get("cluster_id") or "",
        log_size=log_size,
        log_problem=around.log_problem,
        checkpoint=newest.note.decode() if newest else "",
        witnesses=max(len(parse_note(newest.note).signatures) - 1, 0) if newest else 0,
        anchor_present=around.anchor_present,
        anchor_apart=around.anchor_apart,
        last_backup=around.last_backup,
        short_lifetimes=around.short_lifetimes,
        has_authority=root is not None,
        root_not_after=_not_after(root.certificate) if root else 0,
        root_in_token=is_token_key_name(root.key_name) if root else False,
        crl_next_update=state.next_update if state else 0,
        certificates=_certificates(transaction) if root else (),
        standing_tokens={
            token.role: token.created
            for token in transaction.tokens.all()
            if token.kind == STANDING and token.state == ACTIVE
        },
        trust_roles=_trust_roles(transaction),
        secrets=tuple(
            SecretFact(
                name=item.kept.record.name,
                changed=item.kept.value_created,
                overdue=item.age.overdue if item.age else 0,
                rule=item.rule,
            )
            for item in secret_ages(transaction)
        ),
        unlock_key_rotated=around.unlock_key_rotated,
        rotation=_rotation(transaction),
        images=_image_facts(transaction, images),
        hosts=tuple(host_facts(transaction)),
    )


def record_report(
    transaction: Transaction, requester: Requester, *, profile: str, sha256: str, evidence: Mapping[str, str]
) -> int:
    """Put on record that a report was made, with the digests of its bytes and of the raw answers behind it."""
    fields: dict[str, Field] = {
        "sha256": sha256,
        "evidence": [f"{query} {digest}" for query, digest in sorted(evidence.items())],
    }
    return transaction.log(requester.event(Action.AUDIT_REPORT, ObjectRef(type="report", name=profile), fields=fields))


def newest_times(transaction: Transaction, wanted: Mapping[str, EntryKind]) -> Mapping[str, int]:
    """When the newest successful entry of each kind was written, in one reading of the log, the newest first.

    Args:
        transaction: reading.
        wanted: kinds of entries by names of the caller's choice.

    Returns:
        Unix seconds by the same names; 0 for never.
    """
    found = dict.fromkeys(wanted, 0)
    missing = dict(wanted)
    for stored in transaction.log_entries.newest_first():
        if not missing:
            break
        # Most entries are of other actions; looking for the word costs far less than reading the entry.
        if not any(kind.word in stored.data for kind in missing.values()):
            continue
        entry = parse_entry(stored.data)
        for name in [name for name, kind in missing.items() if kind.covers(entry)]:
            found[name] = int(datetime.fromisoformat(str(entry["time"])).timestamp())
            del missing[name]
    return found


def _certificates(transaction: Transaction) -> tuple[CertificateFact, ...]:
    every = [item for item in list_certificates(transaction) if item.record.profile.startswith("swarm-")]
    newest = {item.record.subject_id: item.record.id for item in every}
    return tuple(
        CertificateFact(
            subject_id=item.record.subject_id,
            role=item.record.profile.removeprefix("swarm-"),
            serial=item.record.serial,
            status=item.status,
            is_newest=newest[item.record.subject_id] == item.record.id,
            is_overdue=item.overdue,
            not_after=item.record.not_after,
        )
        for item in every
    )


def _rotation(transaction: Transaction) -> RotationFact | None:
    """The rotation that is under way: the Swarm's, which holds one of the home within it, or the home's own."""
    of_swarm = load_swarm_rotation(transaction)
    if of_swarm is not None:
        return RotationFact(started=of_swarm.started)
    status = status_of_running(transaction)
    return None if status is None else RotationFact(started=status.record.started, waiting=status.waiting)


def _image_facts(transaction: Transaction, images: Iterable[str]) -> Mapping[str, ImageFact]:
    judge, documents = ImageJudge(), active_documents(transaction)
    judged = {image: judge.judge(transaction, image, documents) for image in images}
    return {
        image: ImageFact(
            standing=item.standing.value, reason=item.reason or item.hint, is_asked=item.level is not Level.SKIP
        )
        for image, item in judged.items()
    }


def _trust_roles(transaction: Transaction) -> tuple[TrustRoleFact, ...] | None:
    try:
        status = trust_status(transaction)
    except NotFound:
        return None
    return tuple(
        TrustRoleFact(
            role=item.row.role,
            threshold=item.row.threshold,
            keys=len(item.row.keyids),
            custody=item.custody,
            expires=item.row.expires,
        )
        for item in status.roles
        if item.row.version
    )


def _not_after(der: bytes) -> int:
    return int(x509.load_der_x509_certificate(der).not_valid_after_utc.timestamp())
