"""Signers for tests: fresh keys with their public halves as metadata names them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.signer import SSlibKey

from notary.repository import EMBEDDED, RootPlan, TargetsPlan, build_root, build_targets
from notary.signing import Document, Quorum
from notary.trustkeys import key_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=30)
REPOSITORY = "registry.example/team/app"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSigner:
    """A private key of a test."""

    private: ec.EllipticCurvePrivateKey
    key: SSlibKey

    @classmethod
    def fresh(cls) -> LocalSigner:
        private = ec.generate_private_key(ec.SECP256R1())
        return cls(private=private, key=key_of(private.public_key()))

    def sign(self, signed: bytes) -> str:
        return self.private.sign(signed, ec.ECDSA(hashes.SHA256())).hex()


def quorum(*signers: LocalSigner, threshold: int = 1) -> Quorum:
    return Quorum(keys={signer.key.keyid: signer.key for signer in signers}, threshold=threshold)


def signed(role: str, body: dict[str, Any], *signers: LocalSigner) -> Document:
    document = Document(role=role, body=body, signatures={})
    for signer in signers:
        document = document.with_signature(signer.key.keyid, signer.sign(document.signed))
    return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """The keys of a whole repository."""

    roots: tuple[LocalSigner, LocalSigner, LocalSigner]
    snapshot: LocalSigner
    timestamp: LocalSigner
    revocations: LocalSigner
    team: LocalSigner

    @classmethod
    def fresh(cls) -> Ring:
        one, two, three, *others = (LocalSigner.fresh() for _ in range(7))
        snapshot, timestamp, revocations, team = others
        return cls(roots=(one, two, three), snapshot=snapshot, timestamp=timestamp, revocations=revocations, team=team)

    def root_plan(self) -> RootPlan:
        top = quorum(*self.roots, threshold=2)
        return RootPlan(
            root=top,
            targets=top,
            snapshot=self.snapshot.key,
            timestamp=self.timestamp.key,
            custody={signer.key.keyid: EMBEDDED for signer in (*self.roots, self.snapshot, self.timestamp)},
        )

    def targets_plan(self) -> TargetsPlan:
        return TargetsPlan(
            revocations=self.revocations.key, repositories={REPOSITORY: quorum(self.team)}, policy=(3, "ab" * 32)
        )

    def root(self, version: int = 1) -> Document:
        return signed("root", build_root(self.root_plan(), version=version, expires=LATER), *self.roots[:2])

    def targets(self, version: int = 1) -> Document:
        return signed("targets", build_targets(self.targets_plan(), version=version, expires=LATER), *self.roots[1:])
