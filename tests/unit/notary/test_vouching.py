"""Targets of a repository's role, read strictly."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from notary.errors import InvalidMetadata
from notary.images import PlatformEntry, SignedImage, image_target
from notary.manifest import MediaType
from notary.reference import Digest
from notary.vouching import parse_target

HEX = "ab" * 32
SIGNED = datetime(2026, 5, 4, 10, 20, 30, tzinfo=UTC)


def target(**members: Any) -> dict[str, Any]:
    custom = {"mediaType": MediaType.OCI_INDEX.value, "platforms": [], "signed": "2026-05-04T10:20:30Z"}
    return {"length": 7, "hashes": {"sha256": HEX}, "custom": custom, **members}


def read(members: dict[str, Any]) -> Any:
    return parse_target(members, repository="r.example/a", tag="1", signers=frozenset({"k"}))


def test_what_is_written_is_read() -> None:
    child = Digest.of(b"child")
    entry = PlatformEntry(os="linux", architecture="arm64", variant="v8", digest=child)
    image = SignedImage(digest=Digest.of(b"x"), size=7, media_type=MediaType.OCI_INDEX.value, platforms=(entry,))
    vouched = read(image_target(image, signed=SIGNED))
    assert (vouched.digest, vouched.size, vouched.media_type) == (image.digest, 7, MediaType.OCI_INDEX)
    assert vouched.signed == SIGNED
    assert [(str(each.platform), each.digest) for each in vouched.platforms] == [("linux/arm64/v8", child)]
    assert vouched.digests == (image.digest, child)


def test_what_another_tool_leaves_out_is_not_there() -> None:
    vouched = read({"length": 7, "hashes": {"sha256": HEX, "sha512": "00"}})
    assert (vouched.media_type, vouched.signed, vouched.platforms) == (None, None, ())


@pytest.mark.parametrize(
    "members",
    [
        target(length=0),
        target(length=-1),
        target(length=True),
        target(length=5_000_000),
        target(length="7"),
        target(hashes={"sha512": HEX * 2}),
        target(hashes={"sha256": HEX.upper()}),
        target(hashes=[]),
        target(custom=[]),
        target(custom={"mediaType": "text/html"}),
        target(custom={"platforms": {}}),
        target(custom={"platforms": [{"os": "linux", "architecture": "amd64"}]}),
        target(custom={"platforms": [{"os": "linux", "architecture": "amd64", "digest": "sha256:x"}]}),
        target(custom={"platforms": [1]}),
        target(custom={"signed": "2026-05-04T10:20:30"}),
        target(custom={"signed": "2026-13-04T10:20:30Z"}),
        target(custom={"signed": 1}),
    ],
)
def test_what_cannot_be_read_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(InvalidMetadata):
        read(members)
