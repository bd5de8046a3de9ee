"""Who gets which secret: the decision over secret access documents.

1. A rule matches when each of its fields covers the request.
2. Deny wins inside a document: where a denying rule matches, the document's allowing rules do not count.
3. Of what remains, the rules whose ``secrets`` pattern is the most specific decide (``globs``).
4. Rules of several documents that decide together must give one answer; else the request is denied.
5. An allowing rule allows when what it requires holds: the service attached, the image trusted. Where several
   rules decide together, all of their requirements must hold.

No document, or no matching rule, is a denial. A fact that is not known covers no pattern of an allowing rule and
every pattern of a denying one, so that not knowing never opens anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from policies.checking import answer_of_rule
from policies.decisions import Allowed, DenialCode, Denied
from policies.documents import Document, Effect, Patterns, SecretAccessPolicy, SecretAccessRule
from policies.globs import ANY, MAX_NAME_LENGTH
from policies.images import is_repository
from policies.weighing import Weighed, most_specific, scope_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretRequestFacts:
    """What is known about a request for a secret; None is "not known".

    NOTE: only put in what was checked against the Swarm manager or our own records. A node's host name and
    everything in a driver request are claims of whoever sends them.

    Attributes:
        secret: name of the secret, such as ``team/app/db``.
        service: name of the service, such as ``shop_api``.
        image: repository of the task's image, ``domain/path`` without tag and digest.
        nodes: every name that the node goes by (its id, its host name).
        labels: labels of the service.
        attached: whether ``secrets attach`` registered this secret for this service, by its id.
        image_trusted: whether the image was verified under the trust policy.
    """

    secret: str
    service: str | None = None
    image: str | None = None
    nodes: tuple[str, ...] | None = None
    labels: Mapping[str, str] | None = None
    attached: bool = False
    image_trusted: bool = False


def decide_secret_access(documents: Sequence[Document], facts: SecretRequestFacts) -> Allowed | Denied:
    """Decide whether a request gets its secret.

    NOTE: with ``image_trusted`` left False, the code ``IMAGE_NOT_TRUSTED`` means that nothing but the image's
    trust is missing; a caller may verify the image then and decide again.

    Args:
        documents: all documents in force; other kinds are passed over.
        facts: what is known about the request.

    Returns:
        allowed, or denied with reason and code; ``basis`` names the deciding rule and its document's digest.
    """
    return settle(weigh(documents, facts), facts)


def weigh(documents: Sequence[Document], facts: SecretRequestFacts) -> tuple[Weighed[SecretAccessRule], ...]:
    """Hold every rule against the request, in the order of documents and rules."""
    return tuple(_weighed(document, index, rule, facts) for document, index, rule in _rules(documents))


def settle(weighed: Sequence[Weighed[SecretAccessRule]], facts: SecretRequestFacts) -> Allowed | Denied:
    """Decide over weighed rules; see ``decide_secret_access``."""
    invalid = _invalid_fact(facts)
    if invalid:
        return Denied(reason=invalid, code=DenialCode.INVALID_REQUEST)
    if not weighed:
        return Denied(reason="no secret access policy is in force", code=DenialCode.NO_DOCUMENT)
    deciding = deciding_rules(weighed)
    if not deciding:
        return Denied(reason="no rule allows it", code=DenialCode.NO_RULE)
    if len({answer_of_rule(item.rule) for item in deciding}) > 1 and _documents(deciding) > 1:
        named = " and ".join(f"{item.document.name} rule {item.index}" for item in deciding)
        return Denied(reason=f"equally specific rules disagree: {named}", code=DenialCode.AMBIGUOUS)
    return _answer(deciding, facts)


def silenced_rules(
    weighed: Iterable[Weighed[SecretAccessRule]],
) -> tuple[Weighed[SecretAccessRule], ...]:
    """Return the matching rules that a denying rule of their own document puts out of count."""
    matching = [item for item in weighed if item.is_match]
    denying = {item.document.name for item in matching if item.rule.effect is Effect.DENY}
    return tuple(item for item in matching if item.rule.effect is Effect.ALLOW and item.document.name in denying)


def deciding_rules(weighed: Sequence[Weighed[SecretAccessRule]]) -> tuple[Weighed[SecretAccessRule], ...]:
    """Return the rules that decide: they match, count, and none is more specific."""
    silenced = {item.basis for item in silenced_rules(weighed)}
    return most_specific([item for item in weighed if item.is_match and item.basis not in silenced])


def _answer(deciding: Sequence[Weighed[SecretAccessRule]], facts: SecretRequestFacts) -> Allowed | Denied:
    for item in deciding:
        if item.rule.effect is Effect.DENY:
            return Denied(reason="a rule denies it", code=DenialCode.DENY_RULE, basis=item.basis)
    for item in deciding:
        if item.rule.require_attached and not facts.attached:
            return Denied(
                reason="the secret is not attached to this service",
                code=DenialCode.NOT_ATTACHED,
                basis=item.basis,
            )
    for item in deciding:
        if item.rule.require_trusted_image and not facts.image_trusted:
            return Denied(reason="the image is not trusted", code=DenialCode.IMAGE_NOT_TRUSTED, basis=item.basis)
    return Allowed(basis=deciding[0].basis)


def _documents(weighed: Iterable[Weighed[SecretAccessRule]]) -> int:
    return len({item.document.name for item in weighed})


def _rules(documents: Sequence[Document]) -> Iterator[tuple[Document, int, SecretAccessRule]]:
    for document in documents:
        if isinstance(document.spec, SecretAccessPolicy):
            for index, rule in enumerate(document.spec.rules):
                yield document, index, rule


def _weighed(
    document: Document, index: int, rule: SecretAccessRule, facts: SecretRequestFacts
) -> Weighed[SecretAccessRule]:
    scope = scope_of(rule.secrets, facts.secret)
    mismatch = "secrets" if scope is None else _first_mismatch(rule, facts)
    return Weighed(
        document=document,
        index=index,
        rule=rule,
        specificity=ANY if scope is None else scope,
        mismatch=mismatch,
    )


def _first_mismatch(rule: SecretAccessRule, facts: SecretRequestFacts) -> str:
    """Return the first field of the rule that does not cover the request; empty when all do."""
    unknown = rule.effect is Effect.DENY
    checks = (
        ("services", rule.services, None if facts.service is None else (facts.service,)),
        ("images", rule.images, None if facts.image is None else (facts.image,)),
        ("nodes", rule.nodes, facts.nodes),
    )
    for name, patterns, values in checks:
        if not _covers(patterns, values, unknown=unknown):
            return name
    return _first_label_mismatch(rule, facts, unknown=unknown)


def _covers(patterns: Patterns, values: tuple[str, ...] | None, *, unknown: bool) -> bool:
    if patterns is None:
        return True
    if values is None:
        return unknown
    return any(glob.matches(value) for glob in patterns for value in values)


def _first_label_mismatch(rule: SecretAccessRule, facts: SecretRequestFacts, *, unknown: bool) -> str:
    for key, glob in rule.labels.items():
        values = None if facts.labels is None else tuple(v for k, v in facts.labels.items() if k == key)
        if not _covers((glob,), values, unknown=unknown):
            return f"labels.{key}"
    return ""


def _invalid_fact(facts: SecretRequestFacts) -> str:
    """Return what is wrong with the facts; a name too long to match would slip by the rules that deny it."""
    values = [facts.secret, facts.service or "", facts.image or "", *(facts.nodes or ())]
    if max(map(len, [*values, *(facts.labels or {}).values()])) > MAX_NAME_LENGTH:
        return f"expected names of at most {MAX_NAME_LENGTH} characters, got a longer one"
    if not facts.secret:
        return "expected the name of a secret, got none"
    if facts.image is not None and not is_repository(facts.image):
        return "expected an image as domain/path without tag or digest, got another form"
    return ""
