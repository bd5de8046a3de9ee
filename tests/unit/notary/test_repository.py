"""The next metadata: what python-tuf's own trusted set accepts, and what is refused before anybody signs it."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from securesystemslib.signer import SSlibKey
from tuf.api.metadata import Root, Snapshot, Targets, Timestamp
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from notary.errors import ChangeRefused, InvalidMetadata
from notary.images import PlatformEntry, SignedImage, digest_of_target, image_target, revocation_target
from notary.reference import Digest
from notary.repository import (
    MAX_IMAGES,
    build_images,
    build_root,
    build_snapshot,
    build_targets,
    build_timestamp,
    next_snapshot,
    plan_of_root,
    plan_of_targets,
)
from notary.roles import REVOCATIONS, target_path
from notary.signing import Document
from tests.unit.notary.signers import LATER, NOW, REPOSITORY, LocalSigner, Ring, quorum, signed

RING = Ring.fresh()
DIGEST = Digest.of(b"manifest")
IMAGE = SignedImage(
    digest=DIGEST,
    size=8,
    media_type="application/vnd.oci.image.index.v1+json",
    platforms=(PlatformEntry(os="linux", architecture="arm64", variant="v8", digest=Digest.of(b"child")),),
)


def image_role(version: int = 1, tags: tuple[str, ...] = ("1.0",)) -> Document:
    images = {target_path(REPOSITORY, tag): image_target(IMAGE, signed=NOW) for tag in tags}
    return signed(REPOSITORY, build_images(images, version=version, expires=LATER), RING.team)


def snapshot(versions: dict[str, int], version: int = 1) -> Document:
    return signed("snapshot", build_snapshot(versions, version=version, expires=LATER), RING.snapshot)


def timestamp(snapshot_version: int, version: int = 1) -> Document:
    return signed("timestamp", build_timestamp(snapshot_version, version=version, expires=LATER), RING.timestamp)


def test_python_tuf_takes_every_role_and_finds_the_digest() -> None:
    versions = {"targets": 1, REVOCATIONS: 1, REPOSITORY: 1}
    revoked = {"revoked/00": revocation_target(DIGEST, size=0, reason="x", references=[], revoked=NOW)}
    trusted = TrustedMetadataSet(RING.root().encode(), EnvelopeType.METADATA)
    # Else it would go by today's date, on which all of this may have expired.
    trusted.reference_time = NOW
    trusted.update_timestamp(timestamp(1).encode())
    trusted.update_snapshot(snapshot(versions).encode())
    trusted.update_targets(RING.targets().encode())
    revocations = signed(REVOCATIONS, build_images(revoked, version=1, expires=LATER), RING.revocations)
    trusted.update_delegated_targets(revocations.encode(), REVOCATIONS, "targets")
    role = trusted.update_delegated_targets(image_role().encode(), REPOSITORY, "targets")
    assert role.targets[f"{REPOSITORY}/1.0"].hashes == {"sha256": DIGEST.hex}


def test_revocations_come_first_and_do_not_end_the_search_and_repositories_do() -> None:
    body = RING.targets().body
    roles = body["delegations"]["roles"]
    assert [(role["name"], role["terminating"]) for role in roles] == [(REVOCATIONS, False), (REPOSITORY, True)]
    assert list(body["targets"]) == ["policy/trust.yaml"]


def test_bodies_are_exactly_what_python_tuf_writes() -> None:
    kinds: list[tuple[type[Any], Document]] = [
        (Root, RING.root()),
        (Targets, RING.targets()),
        (Targets, image_role()),
        (Snapshot, snapshot({"targets": 3})),
        (Timestamp, timestamp(3)),
    ]
    for kind, document in kinds:
        assert kind.from_dict(deepcopy(dict(document.body))).to_dict() == document.body, kind


def test_plans_read_back() -> None:
    assert plan_of_root(RING.root().body) == RING.root_plan()
    assert plan_of_targets(RING.targets().body) == RING.targets_plan()


@pytest.mark.parametrize("body", [{}, {"roles": {}}, {"delegations": {"roles": [{}]}}, {"delegations": None}])
def test_what_is_none_of_ours_has_no_plan(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidMetadata):
        plan_of_root(body)
    with pytest.raises(InvalidMetadata):
        plan_of_targets(body)


def test_the_service_s_keys_are_apart_from_those_that_watch_over_them() -> None:
    plan = RING.root_plan()
    for changed in (
        replace(plan, snapshot=plan.timestamp),
        replace(plan, snapshot=RING.roots[0].key),
        replace(plan, timestamp=RING.roots[2].key),
    ):
        with pytest.raises(ChangeRefused, match="keys of their own"):
            build_root(changed, version=1, expires=LATER)


def test_keys_that_are_nowhere_marked_count_as_outside() -> None:
    plan = replace(RING.root_plan(), custody={})
    assert set(build_root(plan, version=1, expires=LATER)["x-swarmsec"]["custody"].values()) == {"external"}


def test_attack_9_a_snapshot_goes_on_from_the_one_before_and_loses_no_role() -> None:
    first = build_snapshot({"targets": 1, "a/b": 4, "c/d": 1}, version=7, expires=NOW)
    second = next_snapshot(first, {"a/b": 5, "e/f": 1}, LATER)
    assert second["version"] == 8
    assert {name: item["version"] for name, item in second["meta"].items()} == {
        "targets.json": 1,
        "a/b.json": 5,
        "c/d.json": 1,
        "e/f.json": 1,
    }
    assert first["meta"]["a/b.json"]["version"] == 4


@pytest.mark.parametrize("version", [3, 4, 0])
def test_attack_8_no_role_s_version_goes_back_or_stays(version: int) -> None:
    first = build_snapshot({"a/b": 4}, version=1, expires=NOW)
    with pytest.raises(ChangeRefused, match="a version of a/b above 4"):
        next_snapshot(first, {"a/b": version}, LATER)


def test_a_timestamp_of_a_bundle_says_so() -> None:
    assert build_timestamp(1, version=2, expires=LATER, is_for_bundle=True)["x-swarmsec"] == {"bundle": True}
    assert "x-swarmsec" not in build_timestamp(1, version=2, expires=LATER)


def test_an_image_s_target_says_its_platforms_and_when_it_was_signed() -> None:
    members = image_target(IMAGE, signed=NOW)
    child = str(Digest.of(b"child"))
    assert members["custom"] == {
        "mediaType": IMAGE.media_type,
        "platforms": [{"os": "linux", "architecture": "arm64", "variant": "v8", "digest": child}],
        "signed": "2026-11-23T12:00:00Z",
    }
    assert digest_of_target(members) == DIGEST


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 0},
        {"size": 5_000_000},
        {"media_type": 'a"b'},
        {"media_type": "a\nb"},
        {"media_type": ""},
        {"digest": Digest.parse("sha512:" + "0" * 128)},
        {"platforms": (PlatformEntry(os="lin ux", architecture="a", digest=DIGEST),)},
        {"platforms": (PlatformEntry(os="linux", architecture="\\", digest=DIGEST),)},
        {"platforms": IMAGE.platforms * 201},
    ],
)
def test_what_a_manifest_says_wrongly_is_not_signed(changes: dict[str, Any]) -> None:
    with pytest.raises(ChangeRefused):
        image_target(replace(IMAGE, **changes), signed=NOW)


@pytest.mark.parametrize("reason", ['a "quoted" one', "two\nlines", "über", "x" * 513, "back\\slash"])
def test_a_reason_that_another_reader_could_read_differently_is_refused(reason: str) -> None:
    with pytest.raises(ChangeRefused, match="a reason"):
        revocation_target(DIGEST, size=0, reason=reason, references=[], revoked=NOW)


def test_bounds() -> None:
    one = image_target(IMAGE, signed=NOW)
    with pytest.raises(ChangeRefused, match="at most 10000 tags"):
        build_images({f"r/a/{number}": one for number in range(MAX_IMAGES + 1)}, version=1, expires=LATER)
    full = build_images({f"{REPOSITORY}/{number:0120d}": one for number in range(MAX_IMAGES)}, version=1, expires=LATER)
    assert len(Document(role=REPOSITORY, body=full, signatures={}).encode()) < 5_000_000


def test_bounds_of_repositories() -> None:
    shared = quorum(LocalSigner.fresh())
    plan = replace(RING.targets_plan(), repositories={f"r/{number}": shared for number in range(5001)})
    with pytest.raises(ChangeRefused, match="at most 5000 repositories"):
        build_targets(plan, version=1, expires=LATER)


def test_attack_20_the_twin_of_a_key_is_refused_when_a_plan_is_read() -> None:
    body = build_root(RING.root_plan(), version=1, expires=LATER)
    one = RING.roots[0].key
    twin = SSlibKey("0" * 64, one.keytype, one.scheme, one.keyval)
    body["keys"][twin.keyid] = twin.to_dict()
    body["roles"]["root"]["keyids"].append(twin.keyid)
    with pytest.raises(ChangeRefused, match="one key twice"):
        plan_of_root(body)
