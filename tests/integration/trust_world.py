"""A machine that verifies images, a registry and a repository of signed metadata, all within a test's reach."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from tests.peers.hostile_http import HostileServer, Reply, Seen
from tests.peers.trust_workshop import Workshop
from tests.unit.swarmsec.cli.program import Answer, Program

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


def sha256(data: bytes) -> str:
    """``sha256:`` and the hex digest."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def manifest(word: str = "one", *, media_type: str | None = OCI_MANIFEST, **members: Any) -> bytes:
    """An image manifest that differs by a word."""
    config = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": sha256(word.encode()),
        "size": len(word),
    }
    body = {"schemaVersion": 2, "config": config, "layers": [], **members}
    return json.dumps(body if media_type is None else {**body, "mediaType": media_type}).encode()


def index(*children: tuple[bytes, str], media_type: str = OCI_INDEX, **members: Any) -> bytes:
    """An index of manifests, each with its platform as ``os/architecture``."""
    entries = [
        {
            "mediaType": OCI_MANIFEST,
            "digest": sha256(data),
            "size": len(data),
            "platform": dict(zip(("os", "architecture", "variant"), platform.split("/"), strict=False)),
        }
        for data, platform in children
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": entries, **members}).encode()


def platforms_of(data: bytes) -> list[dict[str, str]]:
    """What is signed about an index's platforms."""
    return [{**entry["platform"], "digest": entry["digest"]} for entry in json.loads(data)["manifests"]]


@dataclass(slots=True)
class TrustWorld:
    """One machine with one pinned repository, and a registry at the same server.

    Args:
        program: the machine.
        server: answers as registry below ``/v2/`` and as repository below ``/tuf/``.
    """

    program: Program
    server: HostileServer
    workshop: Workshop = field(default_factory=Workshop)
    frozen: dict[str, bytes] | None = None
    """The published files that are shown, where they are not the workshop's newest."""

    def __post_init__(self) -> None:
        self.server.fallback = self._serve
        self.workshop.delegate(self.repository)

    @property
    def repository(self) -> str:
        return f"{self.server.host}/team/app"

    def ref(self, tag: str = "1.4", path: str = "team/app") -> str:
        return f"{self.server.host}/{path}:{tag}"

    def push(self, tag: str, data: bytes, *, path: str = "team/app", media_type: str | None = None) -> str:
        """Put a manifest into the registry, under a tag and its digest; returns the digest."""
        told = media_type or json.loads(data).get("mediaType", OCI_MANIFEST)
        for name in (tag, sha256(data)):
            self.server.answers[f"/v2/{path}/manifests/{name}"] = Reply(headers={"Content-Type": told}, body=data)
        return sha256(data)

    def sign(self, tag: str = "1.4", data: bytes | None = None, **signing: Any) -> bytes:
        """Push and sign an image, without publishing it."""
        data = manifest() if data is None else data
        self.push(tag, data)
        self.workshop.sign_image(self.repository, tag, data, media_type=json.loads(data)["mediaType"], **signing)
        return data

    def publish(self, *changed: str) -> None:
        self.workshop.publish(*changed)

    def freeze(self) -> None:
        """From now on show what is published now, whatever comes later."""
        self.frozen = dict(self.workshop.files)

    def thaw(self) -> None:
        self.frozen = None

    def pin(self) -> Answer:
        """Trust the repository's first root on this machine."""
        self.program.write("1.root.json", self.workshop.pin)
        return self.program.good("trust", "pin", "1.root.json", "--url", self.server.url)

    def verify(self, *arguments: str) -> Answer:
        """Verify the image ``1.4``, or what the arguments say."""
        return self.program("image", "verify", *(arguments or (self.ref(),)))

    def refused(self, code: int, words: str, *arguments: str) -> Answer:
        """Verify and expect this exit code and these words of the reason."""
        answer = self.verify(*arguments)
        assert answer.code == code, answer
        assert words in answer.err, answer.err
        assert "sha256:" not in answer.out, answer.out
        return answer

    def trusted(self, *arguments: str) -> Answer:
        """Verify and expect trust."""
        answer = self.verify(*arguments)
        assert answer.code == 0, answer
        return answer

    def _serve(self, seen: Seen) -> Reply | None:
        files = self.workshop.files if self.frozen is None else self.frozen
        name = seen.path.removeprefix("/tuf/")
        if not seen.path.startswith("/tuf/") or name not in files:
            return None
        return Reply(headers={"Content-Type": "application/json"}, body=files[name])
