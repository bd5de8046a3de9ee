"""The standing join tokens, one per role, as Docker has them: sealed at rest, shown on request, rotated at will."""

from __future__ import annotations

from cryptography import x509

from ca.bundle import write_bundle
from ca.identity import NodeRole
from ca.issuing import fingerprint
from ca.tokens import JoinToken
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import NotFound
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.records import TokenRecord
from swarmsec.services.requester import Requester
from swarmsec.services.swarm.swarm_link import verify_own_nodes

_SECRET_BYTES = 16
STANDING = "standing"


def reveal_standing_token(transaction: Transaction, keys: Keys, requester: Requester, role: NodeRole) -> str:
    """The role's token; that it was shown is logged.

    Raises:
        NotFound: the home is no authority.
        UsageProblem: it has adopted a Swarm, whose nodes join with Docker's tokens.
    """
    verify_own_nodes(transaction, role.word)
    record, token = open_standing_token(transaction, keys, role)
    transaction.log(requester.event(Action.CA_TOKEN_REVEAL, _reference(record)))
    return token.format()


def rotate_standing_token(transaction: Transaction, keys: Keys, requester: Requester, role: NodeRole) -> str:
    """Make a new token for a role because somebody asked for it; errors as ``reveal_standing_token``."""
    verify_own_nodes(transaction, role.word)
    return renew_standing_token(transaction, keys, requester, role)


def renew_standing_token(transaction: Transaction, keys: Keys, requester: Requester, role: NodeRole) -> str:
    """Make a new token for a role; the one before is worth nothing from the commit on."""
    authority = transaction.authorities.active()
    if authority is None:
        raise _no_authority()
    clock = transaction.clock
    bundle = write_bundle([x509.load_der_x509_certificate(authority.certificate)])
    token = JoinToken.build(bundle, clock.random(_SECRET_BYTES))
    former = transaction.tokens.standing(role.word)
    if former is not None:
        transaction.tokens.retire(former)
    keys.put(transaction, _record_name(role), SecretBytes(token.format().encode()))
    record = TokenRecord(
        token_id=clock.random(8).hex(),
        role=role.word,
        kind=STANDING,
        state="active",
        created=unix_seconds(clock),
    )
    transaction.tokens.add(record)
    action = Action.CA_TOKEN_CREATE if former is None else Action.CA_TOKEN_ROTATE
    transaction.log(
        requester.event(action, _reference(record), fields={"root_sha256": fingerprint(authority.certificate)})
    )
    return token.format()


def open_standing_token(transaction: Transaction, keys: Keys, role: NodeRole) -> tuple[TokenRecord, JoinToken]:
    """The role's token for comparison; nothing is logged.

    Raises:
        NotFound: the home is no authority.
    """
    record = transaction.tokens.standing(role.word)
    if record is None:
        raise _no_authority()
    opened = keys.get(transaction, _record_name(role))
    return record, JoinToken.parse(opened.reveal().decode("ascii"))


def _record_name(role: NodeRole) -> str:
    return f"ca/token/{role.word}"


def _reference(record: TokenRecord) -> ObjectRef:
    return ObjectRef(type="join-token", id=record.token_id, name=record.role)


def _no_authority() -> NotFound:
    return NotFound("this home has no certificate authority", hint="make one with: swarmsec ca init")
