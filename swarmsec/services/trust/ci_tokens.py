"""Tokens with which a CI job signs one repository once.

A JSON Web Token (RFC 7519) under a sealed key of this home: HMAC-SHA-256, and no other algorithm is ever tried. It
names its repository, its audience and its end, and its id is spent in the transaction that the signature is made in, so
that of two uses one is refused, also on two servers. Times are held against the store's clock, with no leeway.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import jwt

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import rfc3339_seconds, unix_seconds
from swarmsec.errors import Denied, UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.ports import Keys, Refusal, Transaction
from swarmsec.services.requester import Requester
from swarmsec.services.trust.trust_state import quorum_of, verify_initialised

KEY_NAME: Final = "trust/ci-token-key"
ALGORITHM: Final = "HS256"
AUDIENCE: Final = "swarmsec-trust-sign"
MAX_TOKEN: Final = 4096
MIN_TTL: Final = timedelta(seconds=1)
MAX_TTL: Final = timedelta(hours=24)
_HEADER: Final = {"alg": ALGORITHM, "typ": "JWT"}
_CLAIMS: Final = frozenset({"aud", "exp", "iat", "iss", "jti", "nbf", "sub"})
_KEY_BYTES: Final = 32
_ID_BYTES: Final = 16
_FORGET_AT_ONCE: Final = 16
_UNTIMED: Final[Any] = {
    "require": sorted(_CLAIMS),
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeToken:
    """A token that was made; its text is shown this once."""

    token_id: str
    expires: int
    text: SecretBytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SpentToken:
    """What a token was for."""

    token_id: str
    repository: str


def create_ci_token(
    transaction: Transaction, keys: Keys, requester: Requester, *, repository: str, ttl: timedelta
) -> MadeToken:
    """Make a token.

    Args:
        transaction: of the home.
        keys: the sealed store.
        requester: who asks.
        repository: the name of its role.
        ttl: how long it counts.

    Raises:
        UsageProblem: too short or too long.
        NotFound: nobody signs for the repository.
    """
    if not MIN_TTL <= ttl <= MAX_TTL:
        raise UsageProblem(f"expected --ttl of 1s to 24h, got {int(ttl.total_seconds())}s")
    verify_initialised(transaction)
    quorum_of(transaction, repository)
    now = unix_seconds(transaction.clock)
    token_id, expires = transaction.clock.random(_ID_BYTES).hex(), now + int(ttl.total_seconds())
    claims = {
        "aud": AUDIENCE,
        "exp": expires,
        "iat": now,
        "iss": _issuer(transaction),
        "jti": token_id,
        "nbf": now,
        "sub": repository,
    }
    text = jwt.encode(claims, _key(transaction, keys, is_new=True).reveal(), algorithm=ALGORITHM)
    target = ObjectRef(type="ci-token", id=token_id, name=repository)
    fields = {"expires": rfc3339_seconds(expires)}
    transaction.log(requester.event(Action.TRUST_TOKEN_CREATE, target, fields=fields))
    return MadeToken(token_id=token_id, expires=expires, text=SecretBytes(text.encode()))


def spend_ci_token(
    transaction: Transaction, keys: Keys, requester: Requester, token: str, repository: str
) -> SpentToken:
    """Take a token for a repository; it counts no second time.

    Raises:
        Refusal: it does not count, which is on record.
    """
    try:
        claims = _verified(transaction, keys, token)
        if claims["sub"] != repository:
            raise Denied("this token is not for this repository")
        spend_once(transaction, claims["jti"], claims["exp"])
    except Denied as error:
        target = ObjectRef(type="ci-token", name=repository)
        event = requester.event(Action.TRUST_TOKEN_SPEND, target, outcome=Outcome.DENIED, reason=str(error))
        raise Refusal(error, event) from None
    target = ObjectRef(type="ci-token", id=claims["jti"], name=repository)
    transaction.log(requester.event(Action.TRUST_TOKEN_SPEND, target))
    return SpentToken(token_id=claims["jti"], repository=repository)


def spend_once(transaction: Transaction, token_id: str, expires: int) -> None:
    """Note a token's id as used; the caller logs the entry.

    Raises:
        Denied: it was used before.
    """
    now = unix_seconds(transaction.clock)
    if not transaction.trust.spent_tokens.spend(token_id, expires):
        raise Denied("this token was used already", hint="each run of a job needs a token of its own")
    # Only what expired a day ago: a clock that is set back must not make a token count again.
    transaction.trust.spent_tokens.forget_expired(now - 24 * 3600, _FORGET_AT_ONCE)


def _verified(transaction: Transaction, keys: Keys, token: str) -> dict[str, Any]:
    refusal = Denied("this token does not count", hint="make one with: swarmsec trust token create --repo REPOSITORY")
    if len(token) > MAX_TOKEN or transaction.sealed.get(KEY_NAME) is None:
        raise refusal
    key = _key(transaction, keys, is_new=False)
    try:
        # NOTE: the header is a stranger's until the signature is verified; nothing of it chooses key or algorithm.
        whole = jwt.decode_complete(
            token,
            key.reveal(),
            algorithms=[ALGORITHM],
            audience=AUDIENCE,
            issuer=_issuer(transaction),
            options=_UNTIMED,
        )
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise refusal from None
    finally:
        key.wipe()
    claims: dict[str, Any] = whole["payload"]
    times = [claims["exp"], claims["iat"], claims["nbf"]]
    texts = [claims["jti"], claims["sub"]]
    if whole["header"] != _HEADER or claims.keys() != _CLAIMS:
        raise refusal
    if not all(type(value) is int for value in times) or not all(isinstance(value, str) for value in texts):
        raise refusal
    if not claims["nbf"] <= unix_seconds(transaction.clock) < claims["exp"]:
        raise Denied("this token has ended, or begins later", hint="check the clock, or make a new one")
    return claims


def _issuer(transaction: Transaction) -> str:
    return f"swarmsec:{transaction.settings.get('store_id')}"


def _key(transaction: Transaction, keys: Keys, *, is_new: bool) -> SecretBytes:
    if is_new and transaction.sealed.get(KEY_NAME) is None:
        keys.put(transaction, KEY_NAME, SecretBytes(transaction.clock.random(_KEY_BYTES)))
    return keys.get(transaction, KEY_NAME)
