"""What many nodes say and ask for at the same time, while a rotation runs or none: a function for each over a group.

What is on record of a group's nodes is looked for together; what they say and get is recorded one after the other, and
whatever ends a phase counts for those after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from swarmsec.services.ca.authority import Authority
from swarmsec.services.grouped import Results
from swarmsec.services.nodes.renew_node import Renewal, renew_nodes, renews_itself
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord
from swarmsec.services.requester import Requester
from swarmsec.services.rotation.follow_rotation import Seen, note_call, note_issued, refusal_of, steps_of

AuthorityIn = Callable[[Transaction], Authority]
"""The authority as a transaction has it."""


class Calling(NamedTuple):
    """A call.

    ``name`` is whose the certificate is that was shown, ``presented_sha256`` its SHA-256, DER. ``roots_sha256`` is that
    of the exact root bundle that the caller says it trusts.
    """

    name: str
    presented_sha256: bytes
    roots_sha256: bytes
    requester: Requester


class Heard(NamedTuple):
    """A call that was taken: the authority as it is since then, and who called."""

    authority: Authority
    seen: Seen


class Issued(NamedTuple):
    """A certificate, and the authority that issued it."""

    authority: Authority
    record: CertificateRecord


def note_calls(transaction: Transaction, authority_in: AuthorityIn, calls: Sequence[Calling]) -> Results[Heard]:
    """Take what nodes' calls say. ``rows_of_call`` says what each touches.

    Yields:
        for each in its order who called; or the refusal of a certificate that is none of ours, or of one who does not
        renew by themselves.
    """
    authority = authority_in(transaction)
    shown = transaction.certificates.by_sha256s([each.presented_sha256 for each in calls])
    steps = steps_of(transaction, authority, [each.name for each in calls])
    for call in calls:
        presented = next(iter(shown.get(call.presented_sha256, ())), None)
        if presented is None or not renews_itself(presented):
            yield refusal_of(call.requester, presented)
            continue
        seen = Seen(presented=presented, roots_sha256=call.roots_sha256)
        if note_call(transaction, authority, seen, call.requester, steps):
            authority = authority_in(transaction)
        yield Heard(authority, seen)


def renew_together(transaction: Transaction, authority_in: AuthorityIn, asked: Sequence[Renewal]) -> Results[Issued]:
    """``renew_nodes``, and what a rotation is told of it. ``rows_of_renewal`` says what each touches.

    Yields:
        for each in its order what it got, or why it got nothing.
    """
    authority = authority_in(transaction)
    steps = steps_of(transaction, authority, [each.name for each in asked])
    # NOTE: no certificate that is handed out makes another root issue, so all are of the one that issues now.
    renewed = renew_nodes(transaction, authority, asked)
    for each, record in zip(asked, renewed, strict=True):
        if not isinstance(record, CertificateRecord):
            yield record
            continue
        issued = Issued(authority, record)
        if note_issued(transaction, authority, record, each.requester, steps):
            authority = authority_in(transaction)
        yield issued


def rows_of_call(name: str) -> frozenset[str]:
    """What ``note_calls`` looks for and writes, in the words of ``rows_of_renewal``."""
    return frozenset({f"node:{name}"})
