"""Whether a home's own repository vouches for an image now, by policy and signed metadata alone.

For the secret driver (``requireTrustedImage``), for reports over running services, and for whoever else asks inside a
home. No registry and no network is asked: the question is about a digest, which the engine holds its bytes to.

    judge = ImageJudge()                                     # one for a process; keeps what it has verified
    judged = judge.judge(transaction, text, documents)       # text as a service or task names its image
    judged.is_trusted                                        # what a condition asks
    judged.standing, judged.reason, judged.level             # what a report says

``transaction`` may be of reading or of writing, ``documents`` are ``active_documents(transaction)``. The metadata is
read, and every signature, version and end in it checked, as ``image verify`` does it; so the two give one answer. What
``image verify`` has beside it are the registry's bytes. The first question after each publication costs that check,
later ones a look into what was checked: under a millisecond, but for a repository of thousands of tags.

The chain begins with the home's first root. Whoever could put another one there could as well change the policy.

NOTE: a timestamp ends after a day. Where no ``serve`` runs in the home, whoever asks for longer than that signs it
again (``is_refresh_due``, ``refresh_if_due``); an ended one makes every answer ``UNKNOWN``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from notary.errors import MetadataMissing, NotaryError, NotSigned, NotTrusted, Revoked
from notary.following import FreshMetadata
from notary.reference import ImageReference
from notary.roles import ROOT, TIMESTAMP_FILE, file_name
from notary.vouching import Vouched
from policies.decisions import Denied
from policies.documents import Document, Level
from policies.trust import TrustRequirement, decide_trust_scope
from swarmsec.services.ports import Transaction
from swarmsec.services.trust.trust_state import INIT_HINT, moment
from swarmsec.services.trust.verify_image import vouch_under


class Standing(StrEnum):
    """How an image stands now.

    ``UNPINNED`` names no digest, so nobody can say what runs. ``UNSIGNED``: no tag of its repository means the digest.
    ``UNTRUSTED``: it is signed, but not as the policy asks or no longer, or no policy covers it, or it is no image
    reference. ``UNKNOWN``: nothing can be told about any image: the home signs none, or its metadata has ended.
    """

    TRUSTED = "trusted"
    UNPINNED = "unpinned"
    UNSIGNED = "unsigned"
    REVOKED = "revoked"
    UNTRUSTED = "untrusted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedImage:
    """An image and how it stands.

    Attributes:
        text: as it was asked for.
        standing: the answer.
        reason: why it is not trusted, one line; empty where it is.
        hint: what to do about it; empty where nothing is known.
        level: of the policy's scope; None where no scope decides. Says how much it matters, never that it is trusted.
        vouched: what is signed, where it is trusted.
    """

    text: str
    standing: Standing
    reason: str = ""
    hint: str = ""
    level: Level | None = None
    vouched: Vouched | None = None

    @property
    def is_trusted(self) -> bool:
        """Whether it is pinned, signed as the policy asks, and not revoked, whatever the level."""
        return self.standing is Standing.TRUSTED


class ImageJudge:
    """Judges images by one home's repository. Several threads may use one."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._source = _Files()
        self._kept: _Kept | None = None

    def judge(self, transaction: Transaction, text: str, documents: Sequence[Document]) -> JudgedImage:
        """Judge one image.

        Args:
            transaction: of the home.
            text: the image as a service's or task's specification names it, ``NAME[:TAG][@DIGEST]``. Beside a digest
                the tag says nothing, for Docker does not use it then.
            documents: every policy in force; other kinds than trust policies are passed over.
        """
        try:
            image = ImageReference.parse(text)
        except NotaryError as error:
            return JudgedImage(text=text, standing=Standing.UNTRUSTED, reason=str(error))
        scope = decide_trust_scope(documents, image.repository)
        level = None if isinstance(scope, Denied) else scope.level
        if image.digest is None:
            return JudgedImage(text=text, standing=Standing.UNPINNED, reason=_NO_DIGEST, hint=_PIN, level=level)
        if isinstance(scope, Denied):
            return JudgedImage(text=text, standing=Standing.UNTRUSTED, reason=scope.reason, hint=_EXPLAIN)
        return self._asked(transaction, text, replace(image, tag=None), scope)

    def _asked(
        self, transaction: Transaction, text: str, image: ImageReference, scope: TrustRequirement
    ) -> JudgedImage:
        with self._turn, self._source.of(transaction):
            try:
                metadata = self._fresh(transaction)
            except NotaryError as error:
                return _refused(text, Standing.UNKNOWN, error, scope.level)
            try:
                vouched = vouch_under(metadata, image, scope, now=moment(transaction))
            except NotaryError as error:
                return _refused(text, _standing_of(error), error, scope.level)
        return JudgedImage(text=text, standing=Standing.TRUSTED, level=scope.level, vouched=vouched)

    def _fresh(self, transaction: Transaction) -> FreshMetadata:
        """What was verified before, while it is still in force; else what is in force now."""
        files, now, kept = transaction.trust.files, moment(transaction), self._kept
        # Not its version: a publication that is undone leaves the same number to another. No two signatures are alike.
        timestamp = files.get(TIMESTAMP_FILE)
        if kept is not None and kept.timestamp == timestamp and kept.since <= now < kept.metadata.ends:
            return kept.metadata
        root = files.get(file_name(ROOT, 1))
        if root is None or timestamp is None:
            raise MetadataMissing("this home signs no images", hint=INIT_HINT)
        metadata = FreshMetadata(root, source=self._source, cache=Forgetful(), now=now)
        self._kept = _Kept(timestamp=timestamp, since=now, metadata=metadata)
        return metadata


class Forgetful:
    """A ``MetadataCache`` that keeps nothing: for a source that nobody can set back, or that is asked once."""

    def load(self, name: str) -> bytes | None:
        return None

    def save(self, name: str, data: bytes) -> None:
        """Forget it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """Verified metadata, the timestamp that it is of, and the hour that it was verified at."""

    timestamp: bytes
    since: datetime
    metadata: FreshMetadata


class _Files:
    """Published files as the transaction of the present question has them (``MetadataSource``)."""

    def __init__(self) -> None:
        self._transaction: Transaction | None = None

    @contextmanager
    def of(self, transaction: Transaction) -> Iterator[None]:
        self._transaction = transaction
        try:
            yield
        finally:
            self._transaction = None

    def fetch(self, name: str, limit: int) -> bytes | None:
        return None if self._transaction is None else self._transaction.trust.files.get(name)


_NO_DIGEST: Final = "expected an image held to its digest, got one by name alone"
_PIN: Final = "deploy what this prints: swarmsec image verify --pin IMAGE"
_EXPLAIN: Final = "see: swarmsec policy explain image IMAGE"


def _refused(text: str, standing: Standing, error: NotaryError, level: Level) -> JudgedImage:
    return JudgedImage(text=text, standing=standing, reason=str(error), hint=error.hint or "", level=level)


def _standing_of(error: NotaryError) -> Standing:
    """What a refusal beyond fresh top-level metadata says about the image."""
    match error:
        case Revoked():
            return Standing.REVOKED
        case NotSigned():
            return Standing.UNSIGNED
        case NotTrusted():
            return Standing.UNTRUSTED
        case _:
            return Standing.UNKNOWN
