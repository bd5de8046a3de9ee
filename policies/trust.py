"""Which verification an image needs: the scope that decides for a repository.

The scope with the most specific matching pattern decides; scopes that are equally specific must ask for the same,
else the image is denied. No document, or no matching scope, is a denial.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from policies.checking import answer_of_scope
from policies.decisions import Basis, DenialCode, Denied
from policies.documents import Document, Level, TrustPolicy, TrustScope
from policies.globs import MAX_NAME_LENGTH
from policies.images import is_repository
from policies.weighing import Weighed, deciding_scopes, weighed_scope


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustRequirement:
    """What an image must show.

    Attributes:
        level: what follows when it does not.
        min_signers: how many different signers must vouch for it.
        max_age: how old a signature may be; None for any age.
        basis: the scope that says so.
    """

    level: Level
    min_signers: int
    max_age: timedelta | None
    basis: Basis


def decide_trust_scope(documents: Sequence[Document], image: str) -> TrustRequirement | Denied:
    """Decide what an image must show.

    Args:
        documents: all documents in force; other kinds are passed over.
        image: repository of the image, ``domain/path`` without tag and digest.

    Returns:
        the requirement, or a denial with reason and code.
    """
    return settle_trust(weigh_trust(documents, image), image)


def weigh_trust(documents: Sequence[Document], image: str) -> tuple[Weighed[TrustScope], ...]:
    """Hold every scope against the image, in the order of documents and scopes."""
    return tuple(
        weighed_scope(document, index, scope, scope.images, name=image, field="images")
        for document in documents
        if isinstance(document.spec, TrustPolicy)
        for index, scope in enumerate(document.spec.scopes)
    )


def settle_trust(weighed: Sequence[Weighed[TrustScope]], image: str) -> TrustRequirement | Denied:
    """Decide over weighed scopes; see ``decide_trust_scope``."""
    if len(image) > MAX_NAME_LENGTH or not is_repository(image):
        return Denied(
            reason="expected an image as domain/path without tag or digest, got another form",
            code=DenialCode.INVALID_REQUEST,
        )
    if not weighed:
        return Denied(reason="no trust policy is in force", code=DenialCode.NO_DOCUMENT)
    deciding = deciding_scopes(weighed)
    if not deciding:
        return Denied(reason="no trust scope covers the image", code=DenialCode.NO_RULE)
    if len({answer_of_scope(item.rule) for item in deciding}) > 1:
        named = " and ".join(f"{item.document.name} scope {item.index}" for item in deciding)
        return Denied(reason=f"equally specific scopes disagree: {named}", code=DenialCode.AMBIGUOUS)
    return _requirement(deciding[0])


def _requirement(item: Weighed[TrustScope]) -> TrustRequirement:
    scope = item.rule
    return TrustRequirement(level=scope.level, min_signers=scope.min_signers, max_age=scope.max_age, basis=item.basis)
