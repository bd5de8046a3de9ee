"""New keys for the top of the repository: root and targets, or those of snapshot and timestamp.

A new root is signed by the quorum before it and by its own (section 5.3.4 of the TUF specification), so every client
follows it from the root that it was given. New signers of the targets sign them anew in the same change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from securesystemslib.signer import Key

from notary.repository import EMBEDDED, RootPlan, build_root, plan_of_root
from notary.roles import PERIODS, ROOT, SNAPSHOT, TIMESTAMP
from notary.signing import Document, Quorum
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import UsageProblem
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.requester import Requester
from swarmsec.services.trust.delegate_repository import present_plan, targets_document
from swarmsec.services.trust.init_trust import DEFAULT_THRESHOLD, EMBEDDED_ROOT_KEYS
from swarmsec.services.trust.pending_changes import Proposal, carry_out
from swarmsec.services.trust.publish_trust import Published
from swarmsec.services.trust.trust_records import PendingChange
from swarmsec.services.trust.trust_state import (
    create_key,
    is_embedded,
    moment,
    present_document,
    quorum_of,
    remember_key,
)

ROLE: Final = "trust-role"


def rotate_root(
    transaction: Transaction,
    keys: Keys,
    requester: Requester,
    *,
    root_keys: Sequence[Key] = (),
    threshold: int | None = None,
) -> Published | PendingChange:
    """Give root and targets new signers.

    Args:
        transaction: of the home.
        keys: the sealed store.
        requester: who asks.
        root_keys: keys that lie elsewhere; none for new keys in this home.
        threshold: how many must sign; 2 without it.

    Raises:
        NotFound: there is no repository.
        UsageProblem: one key alone, or keys in this home for a repository whose signers are elsewhere.
        ChangeRefused: a threshold that cannot be met, or one key twice.
    """
    plan = plan_of_root(present_document(transaction, ROOT).body)
    if not root_keys and not is_embedded(transaction, quorum_of(transaction, ROOT)):
        raise UsageProblem("expected --key once for each new root signer", hint="the present ones are elsewhere, too")
    if len(root_keys) == 1:
        raise UsageProblem("expected at least two root keys, got one")
    chosen = list(root_keys) or [create_key(transaction, keys) for _ in range(EMBEDDED_ROOT_KEYS)]
    for key in chosen:
        remember_key(transaction, key)
    top = Quorum(
        keys={key.keyid: key for key in chosen}, threshold=DEFAULT_THRESHOLD if threshold is None else threshold
    )
    online = {plan.snapshot.keyid: EMBEDDED, plan.timestamp.keyid: EMBEDDED}
    custody = online if root_keys else {**online, **dict.fromkeys(top.keys, EMBEDDED)}
    new = replace(plan, root=top, targets=top, custody=custody)
    proposal = Proposal(
        summary=f"new root signers: {top.threshold} of {len(top.keys)}",
        documents=(_root_document(transaction, new), targets_document(transaction, present_plan(transaction))),
        target=ObjectRef(type=ROLE, id=ROOT),
        fields={"keys": sorted(top.keys), "threshold": top.threshold},
    )
    return carry_out(transaction, keys, requester, proposal)


def rotate_online_key(
    transaction: Transaction, keys: Keys, requester: Requester, role: str
) -> Published | PendingChange:
    """Give snapshot or timestamp a new key of the service; a new root says so.

    Args:
        transaction: of the home.
        keys: the sealed store.
        requester: who asks.
        role: ``snapshot`` or ``timestamp``.
    """
    plan, key = plan_of_root(present_document(transaction, ROOT).body), create_key(transaction, keys)
    custody = {**plan.custody, key.keyid: EMBEDDED}
    match role:
        case "snapshot":
            new = replace(plan, snapshot=key, custody=custody)
        case "timestamp":
            new = replace(plan, timestamp=key, custody=custody)
        case _:
            raise UsageProblem(f"expected {SNAPSHOT} or {TIMESTAMP}, got {role!r:.40}")
    proposal = Proposal(
        summary=f"a new key for {role}",
        documents=(_root_document(transaction, new),),
        target=ObjectRef(type=ROLE, id=role),
        fields={"keys": [key.keyid]},
    )
    return carry_out(transaction, keys, requester, proposal)


def _root_document(transaction: Transaction, plan: RootPlan) -> Document:
    version = present_document(transaction, ROOT).version + 1
    body = build_root(plan, version=version, expires=moment(transaction) + PERIODS.root)
    return Document(role=ROOT, body=body, signatures={})
