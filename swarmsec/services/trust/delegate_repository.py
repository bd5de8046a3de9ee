"""Who signs for which repository: add, remove, and give a role new keys.

Every repository has a key of its own in the sealed store, with which the service signs for CI, and may demand further
keys that lie elsewhere. Both are changes of the top-level targets, so they need the signers of those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from securesystemslib.signer import Key

from notary.repository import TargetsPlan, build_images, build_targets, plan_of_targets
from notary.roles import PERIODS, REVOCATIONS, TARGETS, path_patterns
from notary.signing import Document, Quorum
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import AlreadyExists, NotFound
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.requester import Requester
from swarmsec.services.trust.pending_changes import Proposal, carry_out, documents_of, drop_change
from swarmsec.services.trust.publish_trust import Published
from swarmsec.services.trust.signed_policy import keep_policy_file, policy_bytes, policy_of_plan
from swarmsec.services.trust.trust_records import PendingChange
from swarmsec.services.trust.trust_state import (
    create_key,
    current_document,
    embedded_names,
    is_complete,
    moment,
    present_document,
)

ROLE: Final = "trust-role"
_MAX_SUMMARY: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """Who is to sign for a repository.

    Attributes:
        repository: the name of its role.
        outside_keys: keys that lie elsewhere, beside the service's own.
        threshold: how many must sign; without it 1, or 2 where there are outside keys.
    """

    repository: str
    outside_keys: Sequence[Key] = ()
    threshold: int | None = None


def add_delegation(
    transaction: Transaction, keys: Keys, requester: Requester, wanted: Delegation
) -> Published | PendingChange:
    """Let a repository be signed.

    Raises:
        AlreadyExists: it can be already.
        ChangeRefused: its name, its keys or its threshold cannot be.
        NotFound: there is no trust repository in this home.
    """
    return add_delegations(transaction, keys, requester, [wanted])


def add_delegations(
    transaction: Transaction, keys: Keys, requester: Requester, wanted: Sequence[Delegation]
) -> Published | PendingChange:
    """Let several repositories be signed, in one change.

    Raises:
        AlreadyExists, ChangeRefused, NotFound: as ``add_delegation``.
    """
    plan = present_plan(transaction)
    quorums = {item.repository: _new_quorum(transaction, keys, plan, item) for item in wanted}
    documents = [targets_document(transaction, replace(plan, repositories={**plan.repositories, **quorums}))]
    # So that clients find the role in the snapshot, with nothing in it, before the first image is signed.
    alone = [name for name, quorum in quorums.items() if quorum.threshold == 1]
    documents += [_role_document(transaction, name, {}) for name in alone]
    words = [f"{name} to {len(item.keys)} keys, {item.threshold} of which must sign" for name, item in quorums.items()]
    proposal = Proposal(
        summary=f"delegate {', '.join(words)}"[:_MAX_SUMMARY],
        documents=tuple(documents),
        target=ObjectRef(type=ROLE, id=wanted[0].repository),
        fields={
            "repositories": list(quorums),
            "keys": sorted(keyid for quorum in quorums.values() for keyid in quorum.keys),
        },
    )
    return carry_out(transaction, keys, requester, proposal)


def _new_quorum(transaction: Transaction, keys: Keys, plan: TargetsPlan, wanted: Delegation) -> Quorum:
    path_patterns(wanted.repository)
    if wanted.repository in plan.repositories:
        raise AlreadyExists(
            f"{wanted.repository} is delegated already",
            hint=f"give it new keys with: swarmsec trust key rotate {wanted.repository}",
        )
    threshold = (2 if wanted.outside_keys else 1) if wanted.threshold is None else wanted.threshold
    chosen = [create_key(transaction, keys), *wanted.outside_keys]
    return Quorum(keys={key.keyid: key for key in chosen}, threshold=threshold)


def remove_delegation(
    transaction: Transaction, keys: Keys, requester: Requester, repository: str
) -> Published | PendingChange:
    """Let a repository be signed no longer: what it signed counts no more.

    Raises:
        NotFound: it is not delegated.
    """
    plan = present_plan(transaction)
    _delegated(plan, repository)
    for change in transaction.trust.changes.all():
        if [document.role for document in documents_of(change)] == [repository]:
            # Nobody could sign it any more.
            drop_change(transaction, requester, change.change_id)
    others = {name: quorum for name, quorum in plan.repositories.items() if name != repository}
    proposal = Proposal(
        summary=f"no longer delegate {repository}",
        documents=(targets_document(transaction, replace(plan, repositories=others)),),
        target=ObjectRef(type=ROLE, id=repository),
    )
    return carry_out(transaction, keys, requester, proposal)


def rotate_repository_keys(
    transaction: Transaction,
    keys: Keys,
    requester: Requester,
    repository: str,
    *,
    added: Sequence[Key] = (),
    removed: Sequence[str] = (),
) -> Published | PendingChange:
    """Give a repository new keys; its images are signed anew by them.

    Args:
        transaction: of the home.
        keys: the sealed store.
        requester: who asks.
        repository: the name of its role.
        added: outside keys that are to sign from now on.
        removed: ids of outside keys that are not to any more. Without both, the service's own key is replaced.

    Raises:
        NotFound: it is not delegated, or a key to remove is not one of its.
    """
    plan = present_plan(transaction)
    quorum = _rotated(transaction, keys, _delegated(plan, repository), added, removed)
    former = current_document(transaction, repository)
    documents = [targets_document(transaction, _with(plan, repository, quorum))]
    if former is not None:
        documents.append(_role_document(transaction, repository, former.body["targets"]))
    proposal = Proposal(
        summary=f"new keys for {repository}",
        documents=tuple(documents),
        target=ObjectRef(type=ROLE, id=repository),
        fields={"keys": sorted(quorum.keys), "threshold": quorum.threshold},
    )
    return carry_out(transaction, keys, requester, proposal)


def rotate_revocations_key(transaction: Transaction, keys: Keys, requester: Requester) -> Published | PendingChange:
    """Give the role of revocations a new key of the service."""
    plan = replace(present_plan(transaction), revocations=create_key(transaction, keys))
    former = present_document(transaction, REVOCATIONS)
    proposal = Proposal(
        summary="a new key for revocations",
        documents=(
            targets_document(transaction, plan),
            _role_document(transaction, REVOCATIONS, former.body["targets"]),
        ),
        target=ObjectRef(type=ROLE, id=REVOCATIONS),
    )
    return carry_out(transaction, keys, requester, proposal)


def present_plan(transaction: Transaction) -> TargetsPlan:
    """What the top-level targets in force say."""
    return plan_of_targets(present_document(transaction, TARGETS).body)


def targets_document(transaction: Transaction, plan: TargetsPlan) -> Document:
    """The next top-level targets, with the trust policy in force; the caller logs the entry."""
    policy = policy_bytes(transaction)
    keep_policy_file(transaction, policy)
    former = present_document(transaction, TARGETS)
    body = build_targets(
        replace(plan, policy=policy_of_plan(policy)),
        version=former.version + 1,
        expires=moment(transaction) + PERIODS.targets,
    )
    return Document(role=TARGETS, body=body, signatures={})


def images_in_force(transaction: Transaction, role: str, quorum: Quorum) -> Mapping[str, Mapping[str, object]]:
    """The targets of a role whose present signers vouch for them.

    What others signed before them, or before the role was delegated anew, does not count.
    """
    former = current_document(transaction, role)
    if former is None or not is_complete(former, [quorum]):
        return {}
    targets: Mapping[str, Mapping[str, object]] = former.body["targets"]
    return targets


def _role_document(transaction: Transaction, role: str, images: Mapping[str, Mapping[str, object]]) -> Document:
    row = transaction.trust.roles.get(role)
    version = 1 if row is None else row.version + 1
    body = build_images(images, version=version, expires=moment(transaction) + PERIODS.repository)
    return Document(role=role, body=body, signatures={})


def _rotated(
    transaction: Transaction, keys: Keys, quorum: Quorum, added: Sequence[Key], removed: Sequence[str]
) -> Quorum:
    unknown = sorted(set(removed) - set(quorum.keys))
    if unknown:
        raise NotFound(f"no key {unknown[0][:40]!r} signs for it", hint="see: swarmsec trust status")
    leaving = set(removed)
    if not added and not removed:
        leaving = set(embedded_names(transaction, quorum))
        added = [create_key(transaction, keys)]
    staying = {keyid: key for keyid, key in quorum.keys.items() if keyid not in leaving}
    return Quorum(keys={**staying, **{key.keyid: key for key in added}}, threshold=quorum.threshold)


def _with(plan: TargetsPlan, repository: str, quorum: Quorum) -> TargetsPlan:
    return replace(plan, repositories={**plan.repositories, repository: quorum})


def _delegated(plan: TargetsPlan, repository: str) -> Quorum:
    quorum = plan.repositories.get(repository)
    if quorum is None:
        raise NotFound(
            f"{repository[:80]} is not delegated", hint=f"delegate it with: swarmsec trust delegate add {repository}"
        )
    return quorum
