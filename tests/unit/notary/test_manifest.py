"""Manifests and indexes: what is taken, and every way in which a document says two things."""

from __future__ import annotations

import json
from typing import Any

import pytest

from notary.errors import InvalidManifest
from notary.manifest import MediaType, Platform, parse_manifest, parse_media_type, verify_digest
from notary.reference import Digest

HEX = "ab" * 32
CONFIG = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{HEX}", "size": 2}
OCI = MediaType.OCI_MANIFEST.value
DOCKER = MediaType.DOCKER_MANIFEST.value
INDEX = MediaType.OCI_INDEX.value
LIST = MediaType.DOCKER_LIST.value


def document(**members: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, **members}).encode()


def image(**members: Any) -> bytes:
    return document(**{"mediaType": OCI, "config": CONFIG, "layers": [], **members})


def index(*entries: object, **members: Any) -> bytes:
    return document(**{"mediaType": INDEX, "manifests": list(entries), **members})


def child(**members: Any) -> dict[str, Any]:
    return {"mediaType": OCI, "digest": f"sha256:{HEX}", "size": 7, **members}


@pytest.mark.parametrize("media_type", [OCI, DOCKER])
@pytest.mark.parametrize("told", [True, False])
def test_a_manifest_is_its_exact_bytes(media_type: str, told: bool) -> None:
    data = image(mediaType=media_type) + b"\n"
    manifest = parse_manifest(data, content_type=media_type if told else None)
    assert manifest.media_type == media_type
    assert (manifest.digest, manifest.size, manifest.children) == (Digest.of(data), len(data), ())


@pytest.mark.parametrize("media_type", [INDEX, LIST])
def test_an_index_lists_its_platforms(media_type: str) -> None:
    entry = child(platform={"os": "linux", "architecture": "arm64", "variant": "v8", "os.version": "1"})
    attestation = child(platform={"os": "unknown", "architecture": "unknown"})
    manifest = parse_manifest(index(entry, attestation, child(), mediaType=media_type), content_type=media_type)
    assert [str(each.platform) for each in manifest.platforms] == ["linux/arm64/v8"]
    assert len(manifest.children) == 3
    assert manifest.platforms[0].platform == Platform(os="linux", architecture="arm64", variant="v8")


def test_an_oci_document_may_leave_its_type_out() -> None:
    data = document(config=CONFIG, layers=[])
    assert parse_manifest(data, content_type=None).media_type is MediaType.OCI_MANIFEST
    assert parse_manifest(data, content_type=OCI).media_type is MediaType.OCI_MANIFEST
    assert parse_manifest(document(manifests=[]), content_type=INDEX).media_type is MediaType.OCI_INDEX


@pytest.mark.parametrize(
    ("data", "told", "words"),
    [
        (image(), INDEX, "as the Content-Type says"),
        (index(), OCI, "as the Content-Type says"),
        (image(), DOCKER, "as the Content-Type says"),
        (document(config=CONFIG, layers=[]), INDEX, "looks like"),
        (document(manifests=[]), OCI, "looks like"),
        (document(config=CONFIG, layers=[]), DOCKER, "got none"),
        (image(manifests=[]), OCI, "a document that is both"),
        (index(layers=[]), INDEX, "a document that is both"),
        (index(config=CONFIG), INDEX, "a document that is both"),
        (document(manifests=[], layers=[], config=CONFIG), None, "a document that is both"),
        (image(fsLayers=[]), OCI, "a document that is both"),
        (image(mediaType="application/vnd.oci.artifact.manifest.v1+json"), None, "expected mediaType"),
        (image(mediaType=1), None, "expected mediaType"),
        (document(schemaVersion=1, name="a", tag="b", fsLayers=[], history=[]), None, "expected schemaVersion 2"),
        (document(schemaVersion=True, config=CONFIG, layers=[]), None, "expected schemaVersion 2"),
        (image(), "application/vnd.docker.distribution.manifest.v1+prettyjws", "expected an image manifest"),
        (image(), "text/html", "expected an image manifest"),
        (image(), "", "expected an image manifest"),
        (image(layers=None), OCI, "layers"),
        (image(layers=[child()] * 1001), OCI, "at most 1000 layers"),
        (image(layers=[1]), OCI, "expected a descriptor"),
        (image(config={}), OCI, "mediaType and digest"),
        (index(child(size=-1)), INDEX, "size in bytes"),
        (index(child(size=True)), INDEX, "size in bytes"),
        (index(child(digest="sha256:AB")), INDEX, "hex digits"),
        (index(child(digest="sha512:" + HEX * 2)), INDEX, "expected sha256"),
        (index(child(platform=[])), INDEX, "expected a platform"),
        (index(child(platform={"os": "linux"})), INDEX, "os and architecture"),
        (index(child(platform={"os": "li\u202enux", "architecture": "x"})), INDEX, "os and architecture"),
        (index(child(platform={"os": "l" * 65, "architecture": "x"})), INDEX, "os and architecture"),
        (b'{"schemaVersion":2,"schemaVersion":2}', None, "a member stands twice"),
        (b"[]", None, "JSON object"),
        (b"\xef\xbb\xbf{}", None, "JSON in UTF-8"),
        (b"<html>", None, "JSON in UTF-8"),
        (b"", None, "JSON in UTF-8"),
        (b" " * (4 * 1024 * 1024 + 1), None, "at most 4194304 bytes"),
    ],
)
def test_what_says_two_things_is_refused(data: bytes, told: str | None, words: str) -> None:
    with pytest.raises(InvalidManifest, match=words):
        parse_manifest(data, content_type=told)


def test_a_content_type_may_have_parameters() -> None:
    assert parse_media_type("Application/vnd.oci.image.index.v1+JSON; charset=utf-8") is MediaType.OCI_INDEX


def test_bytes_are_held_against_the_digest_they_were_asked_for_by() -> None:
    verify_digest(b"a", Digest.of(b"a"))
    with pytest.raises(InvalidManifest, match=r"expected bytes with digest sha256:.*, got sha256:"):
        verify_digest(b"b", Digest.of(b"a"))
