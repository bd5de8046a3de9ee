"""The next consistent metadata: what there is and a change in, the signed parts of the next versions out.

Nothing here signs, stores or reads a clock. The bodies are made by python-tuf's Metadata API, whose constructors refuse
what the specification forbids; only snapshot and timestamp, which change with every publication, are put together
directly (sections 4.4 and 4.6 of the TUF specification; entries of the snapshot carry versions alone, as production
repositories do).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from securesystemslib.signer import Key
from tuf.api.metadata import (
    SPECIFICATION_VERSION,
    DelegatedRole,
    Delegations,
    MetaFile,
    Role,
    Root,
    TargetFile,
    Targets,
)

from notary.errors import ChangeRefused, InvalidKey, InvalidMetadata
from notary.roles import (
    MARK,
    POLICY_PATH,
    REVOCATIONS,
    REVOKED_PATTERN,
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    path_patterns,
)
from notary.signing import Quorum
from notary.trustkeys import parse_key

_SPEC_VERSION: Final = ".".join(SPECIFICATION_VERSION)
EMBEDDED: Final = "embedded"
EXTERNAL: Final = "external"
BUNDLE_TTL_MAX_SECONDS: Final = 7 * 24 * 3600
MAX_REPOSITORIES: Final = 5000
"""So that the top-level targets stay within what python-tuf's client reads (5,000,000 bytes)."""
MAX_IMAGES: Final = 10_000
"""Tags of one repository; its file then stays within the same bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RootPlan:
    """What a root says.

    Attributes:
        root, targets: who signs the two offline roles.
        snapshot, timestamp: the service's keys.
        custody: for each key id, whether its private key lies in the home.
        bundle_ttl_max_seconds: how long a bundle may hold at most.
    """

    root: Quorum
    targets: Quorum
    snapshot: Key
    timestamp: Key
    custody: Mapping[str, str]
    bundle_ttl_max_seconds: int = BUNDLE_TTL_MAX_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetsPlan:
    """What the top-level targets say.

    Attributes:
        revocations: the service's key for revocations.
        repositories: who signs for which repository.
        policy: the trust policy's length and SHA-256 in hex; None where there is none.
    """

    revocations: Key
    repositories: Mapping[str, Quorum] = field(default_factory=dict)
    policy: tuple[int, str] | None = None


def build_root(plan: RootPlan, *, version: int, expires: datetime) -> dict[str, Any]:
    """Build the signed part of a root.

    Raises:
        ChangeRefused: snapshot or timestamp would share a key with the roles that watch over them.
    """
    _verify_apart(plan)
    quorums = {
        ROOT: plan.root,
        TARGETS: plan.targets,
        SNAPSHOT: Quorum(keys={plan.snapshot.keyid: plan.snapshot}, threshold=1),
        TIMESTAMP: Quorum(keys={plan.timestamp.keyid: plan.timestamp}, threshold=1),
    }
    keys = {keyid: key for quorum in quorums.values() for keyid, key in quorum.keys.items()}
    mark = {
        "custody": {keyid: plan.custody.get(keyid, EXTERNAL) for keyid in sorted(keys)},
        "bundle_ttl_max_seconds": plan.bundle_ttl_max_seconds,
    }
    root = Root(
        version=version,
        spec_version=_SPEC_VERSION,
        expires=expires,
        keys=keys,
        roles={name: Role(sorted(quorum.keys), quorum.threshold) for name, quorum in quorums.items()},
        consistent_snapshot=True,
        unrecognized_fields={MARK: mark},
    )
    return root.to_dict()


def plan_of_root(body: Mapping[str, Any]) -> RootPlan:
    """What a root of ours says.

    Raises:
        InvalidMetadata: it is none of ours.
    """
    try:
        mark = body[MARK]
        (snapshot,) = _quorum(body, ROOT, body["roles"][SNAPSHOT]).keys.values()
        (timestamp,) = _quorum(body, ROOT, body["roles"][TIMESTAMP]).keys.values()
        return RootPlan(
            root=_quorum(body, ROOT, body["roles"][ROOT]),
            targets=_quorum(body, ROOT, body["roles"][TARGETS]),
            snapshot=snapshot,
            timestamp=timestamp,
            custody=dict(mark["custody"]),
            bundle_ttl_max_seconds=int(mark["bundle_ttl_max_seconds"]),
        )
    except (KeyError, ValueError, TypeError, InvalidKey):
        raise InvalidMetadata("expected a root of this version of swarmsec") from None


def build_targets(plan: TargetsPlan, *, version: int, expires: datetime) -> dict[str, Any]:
    """Build the signed part of the top-level targets.

    Raises:
        ChangeRefused: too many repositories, or one whose name is no pattern of its own.
    """
    if len(plan.repositories) > MAX_REPOSITORIES:
        raise ChangeRefused(f"expected at most {MAX_REPOSITORIES} repositories")
    keys = {plan.revocations.keyid: plan.revocations}
    # First, and not terminating: a client comes past it on its way to every repository.
    roles = {REVOCATIONS: DelegatedRole(REVOCATIONS, [plan.revocations.keyid], 1, False, [REVOKED_PATTERN])}
    for name, quorum in sorted(plan.repositories.items()):
        keys.update(quorum.keys)
        roles[name] = DelegatedRole(name, sorted(quorum.keys), quorum.threshold, True, path_patterns(name))
    targets = {}
    if plan.policy is not None:
        length, sha256 = plan.policy
        targets[POLICY_PATH] = TargetFile(length, {"sha256": sha256}, POLICY_PATH)
    body = Targets(
        version=version,
        spec_version=_SPEC_VERSION,
        expires=expires,
        targets=targets,
        delegations=Delegations(keys, roles),
    )
    return body.to_dict()


def plan_of_targets(body: Mapping[str, Any]) -> TargetsPlan:
    """What top-level targets of ours say.

    Raises:
        InvalidMetadata: they are none of ours.
    """
    try:
        roles = {role["name"]: _quorum(body["delegations"], TARGETS, role) for role in body["delegations"]["roles"]}
        (revocations,) = roles.pop(REVOCATIONS).keys.values()
        policy = body["targets"].get(POLICY_PATH)
        return TargetsPlan(
            revocations=revocations,
            repositories=roles,
            policy=None if policy is None else (int(policy["length"]), str(policy["hashes"]["sha256"])),
        )
    except (KeyError, ValueError, TypeError, InvalidKey):
        raise InvalidMetadata("expected top-level targets of this version of swarmsec") from None


def delegated_quorum(body: Mapping[str, Any], role: str) -> Quorum | None:
    """Who signs for one role, as top-level targets of ours say; None where they do not delegate to it.

    Raises:
        InvalidMetadata: they are none of ours.
    """
    try:
        found = (item for item in body["delegations"]["roles"] if item["name"] == role)
        return next((_quorum(body["delegations"], TARGETS, item) for item in found), None)
    except (KeyError, ValueError, TypeError, InvalidKey):
        raise InvalidMetadata("expected top-level targets of this version of swarmsec") from None


def build_images(images: Mapping[str, Mapping[str, Any]], *, version: int, expires: datetime) -> dict[str, Any]:
    """Build the signed part of a repository's role, or of ``revocations``.

    Args:
        images: target path to its members, from ``images.image_target`` and the like.
        version: of the role.
        expires: in UTC.

    Raises:
        ChangeRefused: more than ``MAX_IMAGES``.
    """
    if len(images) > MAX_IMAGES:
        raise ChangeRefused(f"expected at most {MAX_IMAGES} tags in a repository", hint="revoke tags that nobody uses")
    return {
        "_type": TARGETS,
        "expires": time_text(expires),
        "spec_version": _SPEC_VERSION,
        "targets": dict(images),
        "version": version,
    }


def build_snapshot(versions: Mapping[str, int], *, version: int, expires: datetime) -> dict[str, Any]:
    """Build the signed part of a snapshot.

    Args:
        versions: of every role but root, snapshot and timestamp.
        version: of the snapshot.
        expires: in UTC.
    """
    return {
        "_type": SNAPSHOT,
        "expires": time_text(expires),
        "meta": {f"{role}.json": {"version": number} for role, number in versions.items()},
        "spec_version": _SPEC_VERSION,
        "version": version,
    }


def next_snapshot(
    former: Mapping[str, Any], changed: Mapping[str, int], expires: datetime, *, at_least: int = 0
) -> dict[str, Any]:
    """Build the snapshot after another.

    NOTE: a role never leaves it, not even when nobody delegates to it any more: clients refuse a snapshot that lacks
    what the one before had (section 5.5.5 of the specification), or an attacker could hide a role.

    Args:
        former: the snapshot in force.
        changed: new versions by role.
        expires: in UTC.
        at_least: what the snapshot's own version must not stay below.

    Raises:
        ChangeRefused: a version would not grow, which every client takes for a rollback.
    """
    meta = dict(former["meta"])
    for role, number in changed.items():
        known = meta.get(f"{role}.json", {"version": 0})["version"]
        if number <= known:
            raise ChangeRefused(f"expected a version of {role} above {known}, got {number}")
        meta[f"{role}.json"] = {"version": number}
    version = max(former["version"] + 1, at_least)
    return {**former, "meta": meta, "version": version, "expires": time_text(expires)}


def build_timestamp(
    snapshot_version: int, *, version: int, expires: datetime, is_for_bundle: bool = False
) -> dict[str, Any]:
    """Build the signed part of a timestamp; one for a bundle says so, and online clients refuse it."""
    body = {
        "_type": TIMESTAMP,
        "expires": time_text(expires),
        "meta": {"snapshot.json": MetaFile(snapshot_version).to_dict()},
        "spec_version": _SPEC_VERSION,
        "version": version,
    }
    return {**body, MARK: {"bundle": True}} if is_for_bundle else body


def time_text(moment: datetime) -> str:
    """A time as metadata writes it: UTC, whole seconds."""
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def quorums_of(keys: Sequence[Quorum]) -> tuple[Quorum, ...]:
    """Quorums without repetition, in their order: a root must satisfy the one before it and its own."""
    found: list[Quorum] = []
    for quorum in keys:
        if all(quorum.keys.keys() != known.keys.keys() or quorum.threshold != known.threshold for known in found):
            found.append(quorum)
    return tuple(found)


def _quorum(holder: Mapping[str, Any], where: str, role: Mapping[str, Any]) -> Quorum:
    keys = {keyid: parse_key(keyid, holder["keys"][keyid]) for keyid in role["keyids"]}
    if len(keys) != len(role["keyids"]):
        raise InvalidMetadata(f"expected each key once in a role of {where}")
    return Quorum(keys=keys, threshold=int(role["threshold"]))


def _verify_apart(plan: RootPlan) -> None:
    online = {plan.snapshot.keyid, plan.timestamp.keyid}
    if len(online) < 2 or online & {*plan.root.keys, *plan.targets.keys}:
        raise ChangeRefused("expected keys of their own for snapshot and timestamp")
