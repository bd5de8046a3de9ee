"""Tokens that a CI's own identity provider gives to its jobs (OpenID Connect Core 1.0, section 2), for signing.

Which issuers count, with which keys, for which audience, and which of their subjects may sign which repositories,
stands in a file that the operator writes; nothing is fetched. A key's kind fixes its algorithm, a key id chooses among
that issuer's keys and from nowhere else, and a token counts once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from notary.errors import InvalidMetadata, InvalidReference
from notary.roles import parse_repository
from notary.strictjson import parse_strict
from policies.globs import Glob
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import Denied, UsageProblem
from swarmsec.services.ports import Refusal, Transaction
from swarmsec.services.requester import Requester
from swarmsec.services.trust.ci_tokens import MAX_TTL, SpentToken, spend_once

MAX_FILE: Final = 262_144
MAX_TOKEN: Final = 8192
MAX_LISTED: Final = 256
_CLAIMS: Final = ["aud", "exp", "iat", "iss", "jti", "sub"]
_UNTIMED: Final[Any] = {"require": _CLAIMS, "verify_exp": False, "verify_iat": False, "verify_nbf": False}
_UNVERIFIED: Final[Any] = {"verify_signature": False}

_MALFORMED: Final = (
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    InvalidMetadata,
    InvalidReference,
    jwt.PyJWTError,
)

ReadKeys = Callable[[str], bytes]
"""Reads the key file that the rules name, bounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectRule:
    """Subjects of this form may sign these repositories."""

    subject: Glob
    repositories: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """One identity provider; ``keys`` by id, each with the only algorithm that it verifies."""

    issuer: str
    audience: str
    keys: Mapping[str, tuple[Any, str]]
    rules: tuple[SubjectRule, ...]


def parse_issuers(data: bytes, read_keys: ReadKeys) -> Mapping[str, Issuer]:
    """Parse the operator's file.

    Args:
        data: JSON, ``{"issuers": [{"issuer", "audience", "jwks", "rules": [{"subject", "repositories"}]}]}``.
        read_keys: reads a JSON Web Key Set (RFC 7517) by the name in ``jwks``.

    Raises:
        UsageProblem: it cannot be meant.
    """
    try:
        listed = parse_strict(data, limit=MAX_FILE)["issuers"]
        found = [_issuer(item, read_keys) for item in listed]
    except (
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
        InvalidMetadata,
        InvalidReference,
        jwt.PyJWTError,
    ) as error:
        raise UsageProblem(f"the rules for CI identities cannot be meant: {str(error)[:200]}") from None
    if not 1 <= len(found) <= MAX_LISTED or len({item.issuer for item in found}) != len(found):
        raise UsageProblem("expected each issuer of CI identities once, and one at least")
    return {item.issuer: item for item in found}


def issuer_of_token(issuers: Mapping[str, Issuer], token: str) -> Issuer | None:
    """The known issuer that a token claims; nothing of the token is believed by that."""
    try:
        claims = jwt.decode(token[:MAX_TOKEN], options=_UNVERIFIED)
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    named = claims.get("iss")
    return issuers.get(named) if isinstance(named, str) else None


def spend_oidc_token(
    transaction: Transaction, issuer: Issuer, requester: Requester, token: str, repository: str
) -> SpentToken:
    """Take a token of an issuer for a repository; it counts no second time.

    Raises:
        Refusal: it does not count, which is on record.
    """
    try:
        claims = _verified(transaction, issuer, token)
        subject = claims["sub"]
        if not any(rule.subject.matches(subject) and repository in rule.repositories for rule in issuer.rules):
            raise Denied(f"this job may not sign for {repository}", hint="its subject is in no rule for the repository")
        token_id = hashlib.sha256(f"{issuer.issuer}\0{claims['jti']}".encode()).hexdigest()
        spend_once(transaction, f"oidc:{token_id}", claims["exp"])
    except Denied as error:
        event = requester.event(
            Action.TRUST_TOKEN_SPEND,
            ObjectRef(type="oidc-token", name=repository),
            outcome=Outcome.DENIED,
            reason=str(error),
        )
        raise Refusal(error, event) from None
    target = ObjectRef(type="oidc-token", id=token_id, name=repository)
    fields = {"issuer": issuer.issuer, "subject": subject}
    transaction.log(requester.event(Action.TRUST_TOKEN_SPEND, target, fields=fields))
    return SpentToken(token_id=token_id, repository=repository)


def _verified(transaction: Transaction, issuer: Issuer, token: str) -> dict[str, Any]:
    refusal = Denied("this token does not count")
    try:
        if len(token) > MAX_TOKEN:
            raise refusal
        kid = jwt.get_unverified_header(token).get("kid")
        if not isinstance(kid, str) or kid not in issuer.keys:
            raise refusal
        key, algorithm = issuer.keys[kid]
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=issuer.audience,
            issuer=issuer.issuer,
            options=_UNTIMED,
        )
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise refusal from None
    times = [claims["exp"], claims["iat"], claims.get("nbf", claims["iat"])]
    texts = [claims["jti"], claims["sub"]]
    if not all(type(value) is int for value in times) or not all(isinstance(v, str) and v.isprintable() for v in texts):
        raise refusal
    now = unix_seconds(transaction.clock)
    if not max(times[1:]) <= now < claims["exp"] or claims["exp"] - claims["iat"] > MAX_TTL.total_seconds():
        raise Denied("this token has ended, begins later, or holds for too long", hint="check the clock")
    return claims


def _issuer(item: Any, read_keys: ReadKeys) -> Issuer:
    if set(item) != {"issuer", "audience", "jwks", "rules"}:
        raise ValueError("expected issuer, audience, jwks and rules")
    keys = [_key(member) for member in parse_strict(read_keys(_text(item["jwks"])), limit=MAX_FILE)["keys"]]
    known = {kid: (key, algorithm) for kid, key, algorithm in keys}
    rules = tuple(_rule(member) for member in item["rules"])
    if len(known) != len(keys) or not known or not rules or len(rules) > MAX_LISTED:
        raise ValueError("expected keys with an id each, and rules")
    return Issuer(issuer=_text(item["issuer"]), audience=_text(item["audience"]), keys=known, rules=rules)


def _rule(item: Any) -> SubjectRule:
    if set(item) != {"subject", "repositories"} or not item["repositories"]:
        raise ValueError("expected subject and repositories")
    names = frozenset(parse_repository(_text(name)) for name in item["repositories"])
    return SubjectRule(subject=Glob.parse(_text(item["subject"])), repositories=names)


def _key(member: Any) -> tuple[str, Any, str]:
    """A key of a set: its id, the key, and the one algorithm for it."""
    kid = _text(member["kid"])
    match member.get("kty"):
        case "RSA":
            key: Any = RSAAlgorithm.from_jwk(member)
            algorithm = "RS256"
        case "EC" if member.get("crv") == "P-256":
            key, algorithm = ECAlgorithm.from_jwk(member), "ES256"
        case other:
            raise ValueError(f"expected RSA keys, or EC keys on P-256, got {str(other)[:20]!r}")
    if "d" in member:
        raise ValueError("expected public keys, got a private one")
    return kid, key, algorithm


def _text(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 1024 or not value.isprintable():
        raise ValueError("expected a text")
    return value
