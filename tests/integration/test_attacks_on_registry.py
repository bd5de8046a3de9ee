"""Attacks of and around a registry, each driven through ``image verify`` against a hostile server.

The numbers are those of the list that the trust service was designed against. Signatures that lie in registries
(referrers, fallback tags; 50 to 54, 57 and 58) have no part in this design: what a registry says about them is never
asked, which ``test_49`` to ``test_58`` show.
"""

from __future__ import annotations

import gzip

import pytest

from tests.integration.trust_world import (
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    TrustWorld,
    index,
    manifest,
    platforms_of,
    sha256,
)
from tests.peers.hostile_http import Reply

MANIFEST = "/v2/team/app/manifests/1.4"


@pytest.fixture(autouse=True)
def signed(trust: TrustWorld) -> None:
    trust.sign()
    trust.publish()


def serve(trust: TrustWorld, data: bytes, media_type: str = OCI_MANIFEST, **headers: str) -> None:
    """Let the registry give these bytes for the tag."""
    trust.server.answers[MANIFEST] = Reply(headers={"Content-Type": media_type, **headers}, body=data)


def test_41_other_bytes_under_the_tag(trust: TrustWorld) -> None:
    evil = manifest("evil")
    serve(trust, evil)
    trust.refused(1, f"expected {sha256(manifest())}, as signed, got {sha256(evil)} from the registry")


def test_41_other_bytes_under_the_digest(trust: TrustWorld) -> None:
    good = sha256(manifest())
    trust.server.answers[f"/v2/team/app/manifests/{good}"] = Reply(
        headers={"Content-Type": OCI_MANIFEST}, body=manifest("evil")
    )
    trust.refused(1, f"expected bytes with digest {good}", f"{trust.server.host}/team/app@{good}")


def test_41_one_space_more(trust: TrustWorld) -> None:
    serve(trust, manifest() + b" ")
    trust.refused(1, "as signed, got")


def test_42_a_lying_header_does_not_help(trust: TrustWorld) -> None:
    serve(trust, manifest("evil"), **{"Docker-Content-Digest": sha256(manifest())})
    trust.refused(1, "expected bytes with digest")


def test_42_a_lying_header_is_noticed(trust: TrustWorld) -> None:
    serve(trust, manifest(), **{"Docker-Content-Digest": sha256(b"other")})
    trust.refused(1, "expected bytes with digest")
    serve(trust, manifest(), **{"Docker-Content-Digest": "sha256:junk"})
    trust.refused(1, "what the registry says of the image cannot be read")


@pytest.mark.parametrize(
    ("data", "told", "words"),
    [
        (manifest(), OCI_INDEX, "as the Content-Type says"),
        (index((manifest(), "linux/amd64")), OCI_MANIFEST, "as the Content-Type says"),
        (manifest(media_type=None), OCI_INDEX, "looks like"),
        (manifest(manifests=[]), OCI_MANIFEST, "a document that is both"),
        (manifest(), DOCKER_MANIFEST, "as the Content-Type says"),
        (manifest(), "application/json", "expected an image manifest or index"),
        (manifest(), "text/html", "expected an image manifest or index"),
    ],
)
def test_43_a_document_that_is_two_things(trust: TrustWorld, data: bytes, told: str, words: str) -> None:
    trust.push("1.4", data, media_type=told)
    trust.workshop.sign_image(trust.repository, "1.4", data, media_type=told)
    trust.publish()
    answer = trust.refused(1, "", trust.ref())
    assert words in answer.err or "cannot be read" in answer.err


def test_43_another_type_than_was_signed(trust: TrustWorld) -> None:
    """An untyped document that is served as what was not signed."""
    data = manifest(media_type=None)
    trust.push("1.4", data, media_type=OCI_MANIFEST)
    trust.workshop.sign_image(trust.repository, "1.4", data, media_type=DOCKER_MANIFEST)
    trust.publish()
    trust.refused(1, f"expected {DOCKER_MANIFEST}, as signed, got {OCI_MANIFEST}")


def multi(trust: TrustWorld, *, children: tuple[str, ...] = ("linux/amd64", "linux/arm64/v8")) -> bytes:
    """Sign an index as ``1.4`` and have its children in the registry."""
    images = [(manifest(platform), platform) for platform in children]
    for data, _ in images:
        trust.push(sha256(data), data)
    whole = index(*images)
    trust.sign("1.4", whole, platforms=platforms_of(whole))
    trust.publish()
    return whole


def test_44_a_platform_added_after_signing(trust: TrustWorld) -> None:
    multi(trust)
    trust.trusted()
    more = index(*[(manifest(p), p) for p in ("linux/amd64", "linux/arm64/v8", "linux/evil")])
    trust.push("1.4", more)
    trust.refused(1, "as signed, got")


def test_44_a_child_of_a_signed_index_is_vouched_for(trust: TrustWorld) -> None:
    multi(trust)
    child = sha256(manifest("linux/amd64"))
    assert trust.trusted(f"{trust.server.host}/team/app@{child}").out.split()[1] == child
    assert trust.trusted(f"{trust.ref()}@{child}").out.split()[1] == child


def test_44_a_child_that_is_not_of_the_index(trust: TrustWorld) -> None:
    multi(trust)
    other = manifest("linux/other")
    trust.push(sha256(other), other)
    trust.refused(1, "nobody signed", f"{trust.server.host}/team/app@{sha256(other)}")
    trust.refused(1, "which is what 1.4 means", f"{trust.ref()}@{sha256(other)}")


def test_44_a_signed_child_does_not_vouch_for_its_index(trust: TrustWorld) -> None:
    child = manifest("linux/amd64")
    trust.sign("1.4", child)
    trust.publish()
    whole = index((child, "linux/amd64"), (manifest("evil"), "linux/evil"))
    trust.push("1.4", whole)
    trust.refused(1, "as signed, got")


def test_44_the_tag_gives_a_child_where_the_index_is_signed(trust: TrustWorld) -> None:
    multi(trust)
    serve(trust, manifest("linux/amd64"))
    trust.refused(1, "as signed, got")


def test_44_a_revoked_child_spoils_its_index(trust: TrustWorld) -> None:
    whole = multi(trust)
    child = sha256(manifest("linux/amd64"))
    trust.workshop.revoke(child.removeprefix("sha256:"))
    trust.publish()
    trust.refused(1, f"{child} was revoked")
    trust.workshop.sign_image(trust.repository, "1.4", whole, media_type=OCI_INDEX, platforms=[])
    trust.publish()
    trust.refused(1, f"{child} was revoked")


def test_45_more_bytes_than_a_manifest_may_have(trust: TrustWorld) -> None:
    trust.server.answers[MANIFEST] = Reply(headers={"Content-Type": OCI_MANIFEST}, body=b" " * 65_536, endless=True)
    trust.refused(1, "expected at most 4194304 bytes")
    assert trust.server.sent < 16_000_000


def test_45_another_size_than_was_signed(trust: TrustWorld) -> None:
    data = manifest()
    target = trust.workshop.roles[trust.repository].targets[f"{trust.repository}/1.4"]
    target.length = len(data) + 1
    trust.publish()
    trust.refused(1, f"expected {len(data) + 1} bytes, as signed, got {len(data)}")


def test_45_fewer_bytes_than_were_promised(trust: TrustWorld) -> None:
    data = manifest()
    trust.server.answers[MANIFEST] = Reply(
        headers={"Content-Type": OCI_MANIFEST, "Content-Length": str(len(data))}, body=data, cuts=len(data) - 1
    )
    trust.refused(3, "could not be reached")


def test_45_a_gzip_bomb(trust: TrustWorld) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    serve(trust, bomb, **{"Content-Encoding": "gzip"})
    trust.refused(1, "got compressed ones")
    assert all(seen.headers.get("accept-encoding") == "identity" for seen in trust.server.seen)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/vnd.docker.distribution.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.oci.artifact.manifest.v1+json",
    ],
)
def test_46_a_type_that_is_not_accepted(trust: TrustWorld, media_type: str) -> None:
    serve(trust, b'{"schemaVersion":1,"name":"team/app","tag":"1.4","fsLayers":[],"history":[]}', media_type)
    trust.refused(1, "expected an image manifest or index of OCI or Docker schema 2")


def test_46_schema_1_under_a_new_name(trust: TrustWorld) -> None:
    serve(trust, b'{"schemaVersion":1,"fsLayers":[],"history":[]}')
    trust.refused(1, "expected schemaVersion 2")


def test_46_every_accepted_type_is_asked_for(trust: TrustWorld) -> None:
    """Else a registry converts to what it thinks the client can read."""
    trust.trusted()
    accepted = next(seen.headers["accept"] for seen in trust.server.seen if seen.path == MANIFEST)
    assert accepted.split(", ") == [
        OCI_MANIFEST,
        OCI_INDEX,
        DOCKER_MANIFEST,
        "application/vnd.docker.distribution.manifest.list.v2+json",
    ]


def test_47_a_tag_that_moves_after_verification(trust: TrustWorld) -> None:
    """What is deployed is the digest that was printed; the tag may go where it likes."""
    pinned = trust.trusted("--pin", trust.ref()).out.strip()
    assert pinned == f"{trust.repository}@{sha256(manifest())}"
    serve(trust, manifest("evil"))
    assert trust.trusted(pinned).out.split()[1] == sha256(manifest())
    trust.refused(1, "as signed, got")


def test_48_the_same_digest_in_another_repository(trust: TrustWorld) -> None:
    trust.push("1.4", manifest(), path="team/copy")
    trust.refused(1, "nobody signed", trust.ref(path="team/copy"))
    trust.refused(1, "nobody signed", f"{trust.server.host}/team/copy@{sha256(manifest())}")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (404, 1, "no image"),
        (401, 3, "asks for"),
        (403, 3, "HTTP status 403"),
        (405, 3, "HTTP status 405"),
        (429, 3, "HTTP status 429"),
        (500, 3, "HTTP status 500"),
        (502, 3, "HTTP status 502"),
        (503, 3, "HTTP status 503"),
    ],
)
def test_49_each_answer_of_a_registry_has_its_code(trust: TrustWorld, status: int, code: int, words: str) -> None:
    challenge = {"WWW-Authenticate": 'Basic realm="r"'} if status == 401 else {}
    trust.server.answers[MANIFEST] = Reply(status=status, headers=challenge)
    trust.refused(code, words)
    asked = len(trust.server.paths(MANIFEST))
    assert asked == (3 if status == 429 or status >= 500 else 1)


def test_49_a_registry_that_is_busy_once_is_asked_again(trust: TrustWorld) -> None:
    good = trust.server.answers[MANIFEST]
    answers = [Reply(status=429, headers={"Retry-After": "1"}), Reply(status=503), good]
    trust.server.answers[MANIFEST] = lambda _: answers.pop(0)  # type: ignore[assignment,return-value]  # all are replies
    trust.trusted()
    assert answers == []


def test_49_a_registry_that_asks_for_an_hour_is_not_waited_for(trust: TrustWorld) -> None:
    trust.server.answers[MANIFEST] = Reply(status=429, headers={"Retry-After": "360000"})
    trust.refused(3, "HTTP status 429")


def test_49_nobody_listens(trust: TrustWorld) -> None:
    reference = "127.0.0.1:1/team/app:1.4"
    trust.workshop.delegate("127.0.0.1:1/team/app")
    trust.workshop.sign_image("127.0.0.1:1/team/app", "1.4", manifest())
    trust.publish()
    trust.refused(3, "could not be reached", reference)


@pytest.mark.parametrize("tag", ["sha256-" + "ab" * 32, "sha256-" + "ab" * 32 + ".sig"])
def test_49_to_58_signatures_in_the_registry_are_never_asked_for(trust: TrustWorld, tag: str) -> None:
    """Neither referrers nor fallback tags decide anything, so none of their failures can read as "unsigned"."""
    trust.trusted()
    asked = trust.server.paths("/v2/")
    assert asked == [MANIFEST]
    trust.refused(1, "nobody signed", trust.ref(tag))
