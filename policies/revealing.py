"""Who may be shown a secret's value: what the secret access documents say to people.

Whoever reveals is an administrator already, and the rules of a document speak about services. So no rule is needed
to allow it; a document forbids it by a denying rule that covers the secret and asks for nothing else: no service, no
image, no node, no label. Such a rule keeps the secret from every service as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from policies.decisions import Allowed, Basis, DenialCode, Denied
from policies.documents import Document, Effect, SecretAccessPolicy, SecretAccessRule
from policies.globs import MAX_NAME_LENGTH
from policies.weighing import scope_of


def decide_reveal(documents: Sequence[Document], secret: str) -> Allowed | Denied:
    """Decide whether an administrator may see a secret's value.

    Args:
        documents: all documents in force; other kinds are passed over.
        secret: its name.

    Returns:
        denied by the first rule that forbids it, else allowed.
    """
    if not 0 < len(secret) <= MAX_NAME_LENGTH:
        return Denied(reason="expected the name of a secret", code=DenialCode.INVALID_REQUEST)
    for document, index, rule in _unconditional_denials(documents):
        if scope_of(rule.secrets, secret) is not None:
            basis = Basis(policy=document.name, digest=document.digest, rule=index)
            return Denied(reason="a rule denies it to everybody", code=DenialCode.DENY_RULE, basis=basis)
    return Allowed()


def _unconditional_denials(documents: Sequence[Document]) -> Iterator[tuple[Document, int, SecretAccessRule]]:
    for document in documents:
        if isinstance(document.spec, SecretAccessPolicy):
            for index, rule in enumerate(document.spec.rules):
                asks_for_more = rule.services or rule.images or rule.nodes or rule.labels
                if rule.effect is Effect.DENY and not asks_for_more:
                    yield document, index, rule
