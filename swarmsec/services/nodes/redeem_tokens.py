"""What a join token is good for: standing or limited, whether it still counts, for which role, and using it up.

Every refusal has its own reason in the log. Who brings a token that was never made here, or none at all, learns only
that it is not valid.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from typing import Final, assert_never

from ca.errors import InvalidToken
from ca.identity import NodeRole
from ca.tokens import JoinToken, digest_of_bundle
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import Denied, SwarmsecError
from swarmsec.services.ca.authority import Authority
from swarmsec.services.nodes.hold_nodes import request_of_key
from swarmsec.services.nodes.limited_tokens import ACTIVE, TokenRole, find_limited_token, reference_of_token, state_of
from swarmsec.services.nodes.standing_tokens import open_standing_token
from swarmsec.services.ports import Keys, Refusal, Transaction
from swarmsec.services.records import CertificateRecord, CertificateStatus, LimitedToken
from swarmsec.services.requester import Requester

_ENROL: Final = "enrol with it: swarmsec access enrol --server URL --token TOKEN --dir DIR"
_ANOTHER: Final = "ask the authority's operator for another, made with 'swarmsec ca token create'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A token that counts. ``limited`` is its record where it has limits."""

    token_id: str
    role: TokenRole
    limited: LimitedToken | None = None

    @property
    def node_name(self) -> str:
        """The only node that it is for; empty for any."""
        return self.limited.node_name if self.limited else ""


def admit(
    transaction: Transaction,
    keys: Keys,
    authority: Authority,
    text: str,
    requester: Requester,
    *,
    spki_sha256: bytes,
    action: Action = Action.CA_TOKEN_REDEEM,
) -> Admission:
    """Find a token and decide whether it counts.

    Args:
        text: as it was sent.
        spki_sha256: of the key that asks; the one that used a token last may ask again for what it got, and one whose
            request waits for approval may ask how it stands.
        action: what a refusal is logged as.

    Raises:
        Refusal: it is no token, of another root, unknown, revoked, expired or used up.
    """
    token = _parse(text, authority, requester, action)
    # All are opened and compared whatever the first comparison says, so that the time tells nothing of the role.
    roles = ((NodeRole.MANAGER, TokenRole.MANAGER), (NodeRole.WORKER, TokenRole.WORKER))
    offers = [(open_standing_token(transaction, keys, node_role), role) for node_role, role in roles]
    limited = find_limited_token(transaction, keys, token)
    for (record, standing), role in offers:
        if token.is_same(standing):
            return Admission(token_id=record.token_id, role=role)
    if limited is None:
        why = "a valid join token is necessary to join this cluster"
        raise refusal(requester, action, Denied(why, hint="get the present one with: swarmsec ca token worker"))
    state = state_of(limited, unix_seconds(transaction.clock))
    is_repeated = state == "used-up" and limited.redeemed_by == spki_sha256
    if state in {"used-up", "expired"} and not is_repeated:
        held = request_of_key(transaction, spki_sha256)
        is_repeated = held is not None and held.token_id == limited.token_id
    if state != ACTIVE and not is_repeated:
        raise refusal(requester, action, Denied(_ENDED[state], hint=_ANOTHER), limited)
    return Admission(token_id=limited.token_id, role=TokenRole(limited.role), limited=limited)


def node_role_of(admission: Admission, requester: Requester) -> NodeRole:
    """The role that a token gives a joining node.

    Raises:
        Refusal: it is for something else.
    """
    match admission.role:
        case TokenRole.WORKER:
            return NodeRole.WORKER
        case TokenRole.MANAGER:
            return NodeRole.MANAGER
        case TokenRole.DRIVER:
            why, hint = "this token is for the secret driver, no node can join with it", _ENROL
        case TokenRole.AGENT:
            why, hint = "this token is for a node's agent, no node can join with it", _ENROL
        case TokenRole.RECOVER:
            why = "this token brings back a node whose certificate has expired, no node can join with it"
            hint = "bring it back with: swarmsec node recover --server URL --token TOKEN --dir DIR"
        case _:
            assert_never(admission.role)
    raise refusal(requester, Action.CA_TOKEN_REDEEM, Denied(why, hint=hint), admission.limited)


def handed_out_before(
    transaction: Transaction, authority: Authority, admission: Admission, spki_sha256: bytes
) -> CertificateRecord | None:
    """What this very key got with this very token, where it counts still: an answer that was lost is given again."""
    if admission.limited is None or admission.limited.redeemed_by != spki_sha256:
        return None
    now = unix_seconds(transaction.clock)
    for record in reversed(transaction.certificates.by_public_key(spki_sha256)):
        counts = record.status is CertificateStatus.VALID and now < record.not_after
        if counts and record.generation == authority.record.generation:
            return record
    return None


def spend(transaction: Transaction, admission: Admission, spki_sha256: bytes, requester: Requester) -> LimitedToken:
    """Take one use off a limited token; the caller logs the entry.

    Raises:
        Refusal: there is none left.
    """
    limited = admission.limited
    if limited is None:
        raise TypeError("expected a token with limits")
    if limited.uses_left < 1:
        raise refusal(requester, Action.CA_TOKEN_REDEEM, Denied(_ENDED["used-up"], hint=_ANOTHER), limited)
    spent = replace(limited, uses_left=limited.uses_left - 1, redeemed_by=spki_sha256)
    transaction.limited_tokens.change(spent)
    return spent


def refusal(requester: Requester, action: Action, error: SwarmsecError, limited: LimitedToken | None = None) -> Refusal:
    """A refusal of a token's bearer, with its entry."""
    target = reference_of_token(limited) if limited else ObjectRef(type="join-token")
    return Refusal(error, requester.event(action, target, outcome=Outcome.DENIED, reason=str(error)))


def _parse(text: str, authority: Authority, requester: Requester, action: Action) -> JoinToken:
    try:
        token = JoinToken.parse(text)
    except InvalidToken as error:
        raise refusal(requester, action, Denied(str(error), hint=error.hint)) from None
    if not hmac.compare_digest(token.digest, digest_of_bundle(authority.bundle_pem)):
        hint = "get the present one with: swarmsec ca token worker"
        raise refusal(requester, action, Denied("the token was made for another root", hint=hint))
    return token


_ENDED: Final = {
    "revoked": "the token was revoked",
    "expired": "the token has expired",
    "used-up": "the token is used up",
}
