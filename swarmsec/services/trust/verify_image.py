"""Verify images: the scope of the policy, what fresh metadata says, the registry's bytes, and the decision.

The order is fixed: the policy says what the image must show; signed metadata says which digest the reference means;
the registry's own bytes, hashed by us, must have it; the signers must be enough by different keys, and recent. What
fails is refused at level ``enforce``; at ``warn`` and ``audit`` it passes with its reason. A registry that gives no
bytes gives nothing to pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol, assert_never

from notary.errors import NotaryError, NotTrusted
from notary.following import FreshMetadata
from notary.manifest import Manifest
from notary.reference import ImageReference, LayoutReference
from notary.verifying import verify_age, verify_bytes, verify_not_revoked, verify_signers, vouch_for
from notary.vouching import Vouched
from policies.decisions import Basis, Denied
from policies.documents import Document, Level
from policies.trust import TrustRequirement, decide_trust_scope
from swarmsec.errors import Denied as DeniedError
from swarmsec.errors import SwarmsecError

MAX_REFERENCES: Final = 1000

Failure = SwarmsecError | NotaryError


class ImageSource(Protocol):
    """Where images are."""

    def look_up(self, reference: ImageReference | LayoutReference) -> Manifest:
        """Bring the manifest or index that a reference means there, parsed from bytes that were hashed."""

    def image_of(self, reference: ImageReference | LayoutReference) -> ImageReference:
        """Name the image that a reference means, with a tag or a digest."""


class Verdict(StrEnum):
    """What became of an image."""

    TRUSTED = "trusted"
    PASSED = "passed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedImage:
    """An image that may run.

    Attributes:
        text: the reference as it was given.
        image: as it was understood, held to its digest.
        manifest: what the registry has.
        verdict: whether it is trusted, or passes although it is not.
        level: of the scope that decided.
        basis: that scope.
        vouched: what is signed; None where it passes without.
        failure: why it is not trusted, where it passes.
    """

    text: str
    image: ImageReference
    manifest: Manifest
    verdict: Verdict
    level: Level
    basis: Basis
    vouched: Vouched | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedImage:
    """An image that may not run, or of which nothing could be told."""

    text: str
    failure: Failure


Outcome = VerifiedImage | RefusedImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One image to verify: the text that was given, the reference that it is, and the name to verify it under."""

    text: str
    reference: ImageReference | LayoutReference
    image: ImageReference


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A question with what policy and metadata say about it."""

    question: Question
    requirement: TrustRequirement
    vouched: Vouched | None = None
    failure: Failure | None = None


class ImageVerifier:
    """Verifies images against one state of the metadata.

    Args:
        metadata: fresh; or why there is none.
        documents: the policies in force.
        images: where the bytes are.
        now: the hour that ages are counted from.
    """

    def __init__(
        self,
        *,
        metadata: FreshMetadata | Failure,
        documents: Sequence[Document],
        images: ImageSource,
        now: datetime,
    ) -> None:
        self._metadata = metadata
        self._documents = documents
        self._images = images
        self._now = now

    def ask(self, question: Question) -> _Asked | RefusedImage:
        """The first half: policy and metadata, without the registry."""
        requirement = decide_trust_scope(self._documents, question.image.repository)
        if isinstance(requirement, Denied):
            return RefusedImage(text=question.text, failure=_policy_denial(requirement))
        if requirement.level is Level.SKIP:
            return _Asked(question=question, requirement=requirement)
        try:
            vouched = self._vouched(question.image, requirement)
        except (SwarmsecError, NotaryError) as failure:
            if requirement.level is Level.ENFORCE:
                return RefusedImage(text=question.text, failure=failure)
            return _Asked(question=question, requirement=requirement, failure=failure)
        return _Asked(question=question, requirement=requirement, vouched=vouched)

    def finish(self, asked: _Asked | RefusedImage) -> Outcome:
        """The second half: the registry's bytes, and the decision."""
        if isinstance(asked, RefusedImage):
            return asked
        question, vouched, failure = asked.question, asked.vouched, asked.failure
        try:
            manifest = self._images.look_up(question.reference)
            if vouched is not None:
                self._verify(vouched, manifest, question.image)
        except NotTrusted as error:
            if asked.requirement.level is Level.ENFORCE or vouched is None:
                return RefusedImage(text=question.text, failure=error)
            vouched, failure = None, error
        except (SwarmsecError, NotaryError) as error:
            return RefusedImage(text=question.text, failure=error)
        return VerifiedImage(
            text=question.text,
            image=question.image.pinned(question.image.digest or manifest.digest),
            manifest=manifest,
            verdict=_verdict(asked.requirement.level, failure),
            level=asked.requirement.level,
            basis=asked.requirement.basis,
            vouched=vouched,
            failure=failure,
        )

    def verify(self, question: Question) -> Outcome:
        """Both halves at once."""
        return self.finish(self.ask(question))

    def _vouched(self, image: ImageReference, requirement: TrustRequirement) -> Vouched:
        if not isinstance(self._metadata, FreshMetadata):
            raise self._metadata
        return vouch_under(self._metadata, image, requirement, now=self._now)

    def _verify(self, vouched: Vouched, manifest: Manifest, image: ImageReference) -> None:
        verify_bytes(vouched, manifest, image)
        if isinstance(self._metadata, FreshMetadata):
            # What is signed may list no platforms; the index itself does.
            verify_not_revoked(self._metadata, [child.digest for child in manifest.platforms])


def vouch_under(
    metadata: FreshMetadata, image: ImageReference, requirement: TrustRequirement, *, now: datetime
) -> Vouched:
    """Find what is signed about an image, and hold it against what the policy asks for.

    Raises:
        NotTrusted: nobody vouches for it, or not enough signers, or too long ago.
        MetadataMissing: the metadata cannot be had.
    """
    vouched = vouch_for(metadata, image)
    verify_signers(vouched, requirement.min_signers)
    verify_age(vouched, max_age=requirement.max_age, now=now)
    return vouched


def _verdict(level: Level, failure: Failure | None) -> Verdict:
    match level:
        case Level.SKIP:
            return Verdict.SKIPPED
        case Level.ENFORCE | Level.WARN | Level.AUDIT:
            return Verdict.TRUSTED if failure is None else Verdict.PASSED
    assert_never(level)


def _policy_denial(denial: Denied) -> Failure:
    by = f", by {denial.basis}" if denial.basis is not None else ""
    return DeniedError(f"{denial.reason}{by}", hint="see: swarmsec policy explain image REF")
