"""Join tokens with limits: an end, a number of uses, and, where wished, one node alone.

They look like Docker's, with the digest of the present root bundle and a secret of their own. Kept is only an HMAC of
the token under a sealed key: who reads the database can neither use a token nor recognize one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final

from ca.identity import parse_node_id
from ca.tokens import JoinToken
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import rfc3339_seconds, unix_seconds
from swarmsec.errors import NotFound, UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.records import LimitedToken
from swarmsec.services.requester import Field, Requester
from swarmsec.services.swarm.swarm_link import verify_own_nodes

KEY_NAME: Final = "ca/token-key"
ACTIVE: Final = "active"
REVOKED: Final = "revoked"
MIN_TTL: Final = timedelta(seconds=1)
MAX_TTL: Final = timedelta(days=366)
MAX_USES: Final = 100_000
_KEY_BYTES: Final = 32
_SECRET_BYTES: Final = 16
_ID_BYTES: Final = 8
_CONTEXT: Final = b"swarmsec limited join token 1\x00"


class TokenRole(StrEnum):
    """What a token is for."""

    WORKER = "worker"
    MANAGER = "manager"
    DRIVER = "driver"
    AGENT = "agent"
    RECOVER = "recover"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedToken:
    """The limits of a token to be made."""

    role: TokenRole
    ttl: timedelta
    uses: int = 1
    node_name: str = ""


def create_limited_token(
    transaction: Transaction, keys: Keys, authority: Authority, requester: Requester, wanted: WantedToken
) -> tuple[LimitedToken, str]:
    """Make a token.

    Returns:
        its record, and the token itself, which is kept nowhere.

    Raises:
        UsageProblem: limits that cannot be meant, or nodes that join an adopted Swarm with Docker's tokens.
        NotFound: a node that is to be brought back was never here.
        ca.errors.InvalidRequest: the node name cannot be one.
    """
    _verify_wanted(transaction, wanted)
    verify_own_nodes(transaction, wanted.role.value)
    clock = transaction.clock
    token = JoinToken.build(authority.bundle_pem, clock.random(_SECRET_BYTES))
    key = _fingerprint_key(transaction, keys) or _create_fingerprint_key(transaction, keys)
    now = unix_seconds(clock)
    record = LimitedToken(
        token_id=clock.random(_ID_BYTES).hex(),
        fingerprint=_fingerprint(key, token),
        role=wanted.role.value,
        node_name=wanted.node_name,
        state=ACTIVE,
        uses=wanted.uses,
        uses_left=wanted.uses,
        created=now,
        expires=now + int(wanted.ttl.total_seconds()),
    )
    transaction.limited_tokens.add(record)
    fields: Mapping[str, Field] = {
        "uses": record.uses,
        "expires": rfc3339_seconds(record.expires),
        "node_name": record.node_name,
    }
    transaction.log(requester.event(Action.CA_TOKEN_CREATE, reference_of_token(record), fields=fields))
    return record, token.format()


def list_limited_tokens(transaction: Transaction) -> Sequence[Mapping[str, object]]:
    """Every token ever made, the newest last, as ``swarmsec ca token list --json`` shows them."""
    now = unix_seconds(transaction.clock)
    return [
        {
            "id": record.token_id,
            "role": record.role,
            "node_name": record.node_name or None,
            "state": state_of(record, now),
            "uses": record.uses,
            "uses_left": record.uses_left,
            "created": rfc3339_seconds(record.created),
            "expires": rfc3339_seconds(record.expires),
        }
        for record in sorted(transaction.limited_tokens.all(), key=lambda record: (record.created, record.token_id))
    ]


def revoke_limited_token(transaction: Transaction, token_id: str, requester: Requester, *, reason: str = "") -> bool:
    """End a token.

    Returns:
        False if it was revoked before.

    Raises:
        NotFound: no token has this id.
    """
    record = transaction.limited_tokens.by_id(token_id)
    if record is None:
        raise NotFound(f"no token {token_id!r:.40}", hint="list them with: swarmsec ca token list")
    if record.state == REVOKED:
        return False
    transaction.limited_tokens.change(replace(record, state=REVOKED))
    transaction.log(requester.event(Action.CA_TOKEN_REVOKE, reference_of_token(record), reason=reason))
    return True


def find_limited_token(transaction: Transaction, keys: Keys, token: JoinToken) -> LimitedToken | None:
    """The record of a token, whatever its state; None for one that was never made here."""
    key = _fingerprint_key(transaction, keys)
    if key is None:
        return None
    fingerprint = _fingerprint(key, token)
    record = transaction.limited_tokens.by_fingerprint(fingerprint)
    # The database compared what is keyed, so its time tells nothing; what counts is this comparison.
    return record if record is not None and hmac.compare_digest(record.fingerprint, fingerprint) else None


def state_of(record: LimitedToken, now: int) -> str:
    """``active``, ``revoked``, ``expired`` or ``used-up``.

    Args:
        record: of the token.
        now: Unix seconds.
    """
    if record.state != ACTIVE:
        return record.state
    if now >= record.expires:
        return "expired"
    return ACTIVE if record.uses_left > 0 else "used-up"


def reference_of_token(record: LimitedToken) -> ObjectRef:
    """A token as entries name it."""
    return ObjectRef(type="join-token", id=record.token_id, name=record.role)


def _verify_wanted(transaction: Transaction, wanted: WantedToken) -> None:
    if not MIN_TTL <= wanted.ttl <= MAX_TTL:
        raise UsageProblem(f"expected --ttl of 1s to {MAX_TTL.days}d, got {int(wanted.ttl.total_seconds())}s")
    if not 1 <= wanted.uses <= MAX_USES:
        raise UsageProblem(f"expected --uses 1 to {MAX_USES}, got {wanted.uses}")
    if wanted.node_name:
        parse_node_id(wanted.node_name)
    if wanted.role is TokenRole.RECOVER:
        _verify_recoverable(transaction, wanted)


def _verify_recoverable(transaction: Transaction, wanted: WantedToken) -> None:
    if not wanted.node_name or wanted.uses != 1:
        raise UsageProblem("expected --node-name ID and --uses 1 for a token that brings a node back")
    if not any(record.profile.startswith("swarm-") for record in transaction.certificates.by_subject(wanted.node_name)):
        raise NotFound(f"no certificate of a node {wanted.node_name}", hint="list them with: swarmsec ca list")


def _fingerprint(key: SecretBytes, token: JoinToken) -> bytes:
    return hmac.digest(key.reveal(), _CONTEXT + token.format().encode(), hashlib.sha256)


def _fingerprint_key(transaction: Transaction, keys: Keys) -> SecretBytes | None:
    return keys.get(transaction, KEY_NAME) if transaction.sealed.get(KEY_NAME) is not None else None


def _create_fingerprint_key(transaction: Transaction, keys: Keys) -> SecretBytes:
    key = SecretBytes(transaction.clock.random(_KEY_BYTES))
    keys.put(transaction, KEY_NAME, key)
    return key
