"""Make the repository of a home: its root, its delegations, and the service's own keys.

Two ways. With no keys given, three root keys are made in the sealed store, two of which must sign; the root marks them
as embedded, for it is one machine that holds them all. With keys that lie elsewhere, root and targets wait until
enough of their holders have signed; until then nothing is published.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from securesystemslib.signer import Key

from notary.repository import EMBEDDED, EXTERNAL, RootPlan, TargetsPlan, build_images, build_root, build_targets
from notary.roles import PERIODS, REVOCATIONS, ROOT, TARGETS
from notary.signing import Document, Quorum
from policies.bundled_files import bundled
from policies.documents import Kind
from policies.loading import load_documents
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import AlreadyExists, UsageProblem
from swarmsec.services.access.apply_policy import active_documents, apply_policies
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.requester import Field, Requester
from swarmsec.services.trust.pending_changes import Proposal, carry_out
from swarmsec.services.trust.publish_trust import Published
from swarmsec.services.trust.signed_policy import keep_policy_file, policy_bytes, policy_of_plan
from swarmsec.services.trust.trust_records import PendingChange
from swarmsec.services.trust.trust_state import create_key, moment, remember_key

EMBEDDED_ROOT_KEYS: Final = 3
DEFAULT_THRESHOLD: Final = 2


def init_trust(
    transaction: Transaction,
    keys: Keys,
    requester: Requester,
    *,
    root_keys: Sequence[Key] = (),
    threshold: int | None = None,
) -> Published | PendingChange:
    """Make the repository.

    Args:
        transaction: of the home.
        keys: the sealed store.
        requester: who asks.
        root_keys: public keys that lie elsewhere; none for keys in this home.
        threshold: how many of them must sign; 2 without it.

    Returns:
        what is in force now, or the change that waits for signatures.

    Raises:
        AlreadyExists: there is a repository, or one is waiting for its first signatures.
        UsageProblem: one key alone, which would make its loss the end of the repository.
        ChangeRefused: a threshold that cannot be met, or one key twice.
    """
    _verify_none(transaction)
    if root_keys and len(root_keys) < DEFAULT_THRESHOLD:
        raise UsageProblem(
            "expected at least two root keys, got one", hint="give --key once for each signer, or none with --yes"
        )
    _install_policy(transaction, requester)
    top = _top_quorum(transaction, keys, root_keys, threshold)
    embedded = [create_key(transaction, keys) for _ in range(3)]
    snapshot, timestamp, revocations = embedded
    marked = [*embedded, *(() if root_keys else top.keys.values())]
    root = RootPlan(
        root=top,
        targets=top,
        snapshot=snapshot,
        timestamp=timestamp,
        custody={key.keyid: EMBEDDED for key in marked},
    )
    custody = EXTERNAL if root_keys else EMBEDDED
    fields: dict[str, Field] = {"root_keys": sorted(top.keys), "threshold": top.threshold, "custody": custody}
    target = ObjectRef(type="trust-repository", id=transaction.settings.get("store_id") or "")
    transaction.log(requester.event(Action.TRUST_INIT, target, fields=fields))
    proposal = Proposal(
        summary="the first root of this repository",
        documents=_first_documents(transaction, root, revocations),
        target=target,
    )
    return carry_out(transaction, keys, requester, proposal)


def _verify_none(transaction: Transaction) -> None:
    if transaction.trust.roles.get(ROOT) is not None:
        raise AlreadyExists("this home signs images already", hint="see: swarmsec trust status")
    if transaction.trust.changes.all():
        raise AlreadyExists("the first root waits for signatures already", hint="see: swarmsec trust pending")


def _top_quorum(transaction: Transaction, keys: Keys, root_keys: Sequence[Key], threshold: int | None) -> Quorum:
    chosen = list(root_keys) or [create_key(transaction, keys) for _ in range(EMBEDDED_ROOT_KEYS)]
    for key in chosen:
        remember_key(transaction, key)
    return Quorum(
        keys={key.keyid: key for key in chosen}, threshold=DEFAULT_THRESHOLD if threshold is None else threshold
    )


def _first_documents(transaction: Transaction, root: RootPlan, revocations: Key) -> tuple[Document, ...]:
    now, policy = moment(transaction), policy_bytes(transaction)
    keep_policy_file(transaction, policy)
    targets = TargetsPlan(revocations=revocations, policy=policy_of_plan(policy))
    bodies = {
        ROOT: build_root(root, version=1, expires=now + PERIODS.root),
        TARGETS: build_targets(targets, version=1, expires=now + PERIODS.targets),
        REVOCATIONS: build_images({}, version=1, expires=now + PERIODS.repository),
    }
    return tuple(Document(role=role, body=body, signatures={}) for role, body in bodies.items())


def _install_policy(transaction: Transaction, requester: Requester) -> None:
    """Put the default trust policy in force where there is none: without one every image is denied."""
    if not any(document.kind is Kind.TRUST for document in active_documents(transaction)):
        documents = load_documents(bundled("trust-default.yaml"), source="the default trust policy")
        apply_policies(transaction, documents, requester)
