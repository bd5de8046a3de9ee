"""An attacker's workshop: TUF repositories made with python-tuf's own metadata classes, honest or not.

Honest ones are what a client must accept, made by other code than ours. Every file can be changed before it is signed,
or after; keys are at hand, so that an attack differs from the honest thing in exactly one point.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Key,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import CanonicalJSONSerializer

REVOCATIONS = "revocations"
TOP = ("root", "targets", "snapshot", "timestamp")


def fresh_signer(keyid: str | None = None) -> CryptoSigner:
    """A signer with a new key, under an id of one's own choosing if given."""
    signer = CryptoSigner.generate_ecdsa()
    if keyid is None:
        return signer
    return renamed(signer, keyid)


def renamed(signer: CryptoSigner, keyid: str) -> CryptoSigner:
    """The same private key under another id."""
    old = signer.public_key
    key = Key.from_dict(keyid, json.loads(json.dumps(old.to_dict())))
    return CryptoSigner(signer._private_key, key)  # type: ignore[arg-type]  # the factory gives the class it wants


@dataclass(slots=True)
class Workshop:
    """One repository. ``files`` is what it has published so far, by published name.

    Args:
        now: the moment that expiry is counted from.
    """

    now: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    files: dict[str, bytes] = field(default_factory=dict)
    signers: dict[str, list[CryptoSigner]] = field(default_factory=dict)
    thresholds: dict[str, int] = field(default_factory=dict)
    root: Root = field(init=False)
    targets: Targets = field(init=False)
    snapshot: Snapshot = field(init=False)
    timestamp: Timestamp = field(init=False)
    roles: dict[str, Targets] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.signers = {"root": [fresh_signer(), fresh_signer(), fresh_signer()]}
        self.signers["targets"] = list(self.signers["root"])
        self.signers["snapshot"] = [fresh_signer()]
        self.signers["timestamp"] = [fresh_signer()]
        self.thresholds = {"root": 2, "targets": 2, "snapshot": 1, "timestamp": 1}
        self.root = Root(expires=self.after(days=365), consistent_snapshot=True)
        for role in TOP:
            self.root.roles[role].threshold = self.thresholds[role]
            for signer in self.signers[role]:
                self.root.add_key(signer.public_key, role)
        self.root.unrecognized_fields["x-swarmsec"] = {"bundle_ttl_max_seconds": 604_800}
        self.targets = Targets(expires=self.after(days=365))
        self.targets.delegations = Delegations({}, {})
        self.snapshot = Snapshot(expires=self.after(days=7))
        self.timestamp = Timestamp(expires=self.after(days=1))
        self.put("root", self.root)
        self.delegate(REVOCATIONS, ["revoked/*"], terminating=False)

    @property
    def pin(self) -> bytes:
        """The first root."""
        return self.files["1.root.json"]

    def after(self, **life: float) -> datetime:
        """A moment so much after ``now``."""
        return self.now + timedelta(**life)

    def delegate(
        self,
        role: str,
        paths: list[str] | None = None,
        *,
        signers: Iterable[CryptoSigner] | None = None,
        threshold: int = 1,
        terminating: bool = True,
    ) -> Targets:
        """Delegate to a role from the top-level targets."""
        self.signers[role] = list(signers) if signers is not None else [fresh_signer()]
        self.thresholds[role] = threshold
        delegated = DelegatedRole(
            name=role, keyids=[], threshold=threshold, terminating=terminating, paths=paths or [f"{role}/*"]
        )
        assert self.targets.delegations is not None
        assert self.targets.delegations.roles is not None
        self.targets.delegations.roles[role] = delegated
        for signer in self.signers[role]:
            self.targets.add_key(signer.public_key, role)
        self.roles[role] = Targets(expires=self.after(days=90))
        return self.roles[role]

    def sign_image(
        self,
        role: str,
        tag: str,
        data: bytes,
        *,
        media_type: str = "application/vnd.oci.image.manifest.v1+json",
        platforms: list[dict[str, str]] | None = None,
        signed: datetime | None = None,
        path: str | None = None,
        custom: dict[str, Any] | None = None,
    ) -> None:
        """Let a role's metadata say that a tag means these bytes; not published yet."""
        moment = f"{signed or self.now:%Y-%m-%dT%H:%M:%SZ}"
        target = TargetFile.from_data(path or f"{role}/{tag}", data, ["sha256"])
        told = {"mediaType": media_type, "platforms": platforms or [], "signed": moment}
        target.unrecognized_fields["custom"] = told if custom is None else custom
        self.roles[role].targets[target.path] = target

    def revoke(self, digest_hex: str, reason: str = "stolen key") -> None:
        """Revoke a digest; not published yet."""
        path = f"revoked/{digest_hex}"
        target = TargetFile(0, {"sha256": digest_hex}, path, {"custom": {"reason": reason, "references": []}})
        self.roles[REVOCATIONS].targets[path] = target

    def publish(self, *changed: str) -> None:
        """Publish the roles that are named (all, where none is), then snapshot and timestamp, one version further."""
        for role in changed or ("targets", *self.roles):
            self.put_role(role)
        self.put_snapshot()
        self.put_timestamp()

    def put_role(self, role: str, *, change: Callable[[Metadata[Any]], None] | None = None) -> None:
        """Sign and publish a targets role as the next version, and name it in the snapshot to come."""
        body = self.targets if role == "targets" else self.roles[role]
        known = self.snapshot.meta.get(f"{role}.json")
        body.version = (
            known.version + 1 if known is not None and f"{known.version}.{quote(role, '')}.json" in self.files else 1
        )
        self.snapshot.meta[f"{role}.json"] = MetaFile(body.version)
        self.put(role, body, change=change)

    def put_snapshot(self) -> None:
        """Sign and publish the next snapshot."""
        self.snapshot.version = self._next("snapshot")
        self.timestamp.snapshot_meta = MetaFile(self.snapshot.version)
        self.put("snapshot", self.snapshot)

    def put_timestamp(self) -> None:
        """Sign and publish the next timestamp."""
        self.timestamp.version += 1 if "timestamp.json" in self.files else 0
        self.put("timestamp", self.timestamp)

    def put_root(self, *signers: CryptoSigner) -> None:
        """Sign and publish the next root, by these signers or by its own."""
        self.root.version += 1
        self.put("root", self.root, signers=signers or None)

    def put(
        self,
        role: str,
        body: Any,
        *,
        signers: Iterable[CryptoSigner] | None = None,
        change: Callable[[Metadata[Any]], None] | None = None,
    ) -> bytes:
        """Sign a body by a role's signers, as many as its threshold asks for, and publish it."""
        metadata: Metadata[Any] = Metadata(body)
        chosen = list(signers) if signers is not None else self.signers[role][: self.thresholds[role]]
        for signer in chosen:
            metadata.sign(signer, append=True)
        if change is not None:
            change(metadata)
        data = metadata.to_bytes()
        name = "timestamp.json" if role == "timestamp" else f"{body.version}.{quote(role, '')}.json"
        self.files[name] = data
        return data

    def re_sign(self, name: str, role: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the members of a published file as JSON, and sign it again: for what python-tuf refuses to write."""
        members = json.loads(self.files[name])
        change(members["signed"])
        signed = canonical(members["signed"])
        chosen = self.signers[role][: max(self.thresholds[role], 1)]
        members["signatures"] = [{"keyid": s.public_key.keyid, "sig": s.sign(signed).signature} for s in chosen]
        self.files[name] = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()

    def bundle_timestamp(self, *, expires: datetime, mark: object = True) -> bytes:
        """A timestamp for bundles; it is not published."""
        stamp = Timestamp(
            version=self.timestamp.version, expires=expires, snapshot_meta=MetaFile(self.snapshot.version)
        )
        if mark is not None:
            stamp.unrecognized_fields["x-swarmsec"] = {"bundle": mark}
        metadata: Metadata[Timestamp] = Metadata(stamp)
        for signer in self.signers["timestamp"]:
            metadata.sign(signer)
        return metadata.to_bytes()

    def _next(self, role: str) -> int:
        return max((int(name.split(".")[0]) for name in self.files if name.endswith(f".{role}.json")), default=0) + 1


def canonical(members: dict[str, Any]) -> bytes:
    """The canonical form that signatures are over."""
    from securesystemslib.formats import encode_canonical

    text = encode_canonical(members)
    assert text is not None
    return text.encode()


__all__ = ["REVOCATIONS", "CanonicalJSONSerializer", "Workshop", "canonical", "fresh_signer", "renamed"]
