"""Verifying images: a whole process with a warm memory, and a process that holds the metadata and goes on verifying."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.measure import Figure, measure_pairs
from benchmarks.startup import PROGRAM, compare_start, installed
from notary.following import FreshMetadata
from notary.manifest import Manifest, parse_manifest
from notary.reference import ImageReference, LayoutReference
from policies.bundled_files import bundled
from policies.loading import load_documents
from swarmsec.services.trust.judge_image import Forgetful
from swarmsec.services.trust.verify_image import ImageVerifier, Question, Verdict, VerifiedImage
from tests.peers.hostile_http import Reply, Seen, hostile_server
from tests.peers.trust_workshop import Workshop

AIM_RATE = 1.0
WANTED_RATE = 1000.0
"""Of one core: two of them make 2,000 a second."""
REPOSITORIES = 100
TAGS = 20
SECONDS = 1.0


def run() -> list[Figure]:
    """Measure both."""
    return [_start(), _resident()]


def manifest_of(number: int) -> bytes:
    """An image's manifest of eight layers; each number has another."""
    digest = f"sha256:{number:064x}"
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 7}
    layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": 1000}
    media_type = "application/vnd.oci.image.manifest.v1+json"
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": [layer] * 8}).encode()


@contextmanager
def pinned_machine(directory: Path, tags: int) -> Iterator[tuple[dict[str, str], dict[str, bytes]]]:
    """A machine that trusts a repository, and that repository and its registry on loopback.

    Args:
        directory: for what the machine keeps.
        tags: how many signed images there are, each under a tag of its own.

    Yields:
        the environment of its programs, and the manifests by the references that they are signed under.
    """
    with hostile_server() as server:
        workshop, repository = Workshop(), f"{server.host}/team/app"
        workshop.delegate(repository)
        images = {f"{repository}:{tag}": manifest_of(tag) for tag in range(tags)}
        for reference, data in images.items():
            workshop.sign_image(repository, reference.rpartition(":")[2], data)
        workshop.publish()

        def answer(seen: Seen) -> Reply | None:
            if seen.path.startswith("/v2/"):
                data = images[f"{repository}:{seen.path.rpartition('/')[2]}"]
                return Reply(headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"}, body=data)
            found = workshop.files.get(seen.path.removeprefix("/tuf/"))
            return None if found is None else Reply(body=found)

        server.fallback = answer
        environment = installed(directory)
        (directory / "1.root.json").write_bytes(workshop.pin)
        pin = ["trust", "pin", str(directory / "1.root.json"), "--url", server.url]
        subprocess.run([sys.executable, *PROGRAM, *pin], env=environment, check=True, capture_output=True)
        yield environment, images


def _start() -> Figure:
    with (
        tempfile.TemporaryDirectory(prefix="swarmsec-bench-") as name,
        pinned_machine(Path(name), 1) as (environment, images),
    ):
        verify = ["image", "verify", *images]
        return compare_start("image verify, warm", "python importing what it uses", verify, environment)


class _Images:
    """Images that are at hand: what is measured is the deciding, hashing and parsing."""

    def __init__(self, data: dict[str, bytes]) -> None:
        self._data = data

    def look_up(self, reference: ImageReference | LayoutReference) -> Manifest:
        return parse_manifest(self._data[str(reference)], content_type=None)

    def image_of(self, reference: ImageReference | LayoutReference) -> ImageReference:
        assert isinstance(reference, ImageReference)
        return reference


def _resident() -> Figure:
    workshop, data = Workshop(), {}
    for number in range(REPOSITORIES):
        repository = f"registry.example/team/app{number}"
        workshop.delegate(repository)
        for tag in range(TAGS):
            data[f"{repository}:{tag}"] = manifest_of(number * TAGS + tag)
            workshop.sign_image(repository, str(tag), data[f"{repository}:{tag}"])
    workshop.publish()
    return measure_pairs(
        "image verify, resident",
        "the wanted rate",
        "images/s of one core",
        ours=lambda: _verify_for(workshop, data, SECONDS),
        theirs=lambda: WANTED_RATE,
        aim=AIM_RATE,
        at_least=True,
        rounds=5,
    )


def _verify_for(workshop: Workshop, data: dict[str, bytes], seconds: float) -> float:
    """Verify image after image, each one's bytes hashed and parsed; returns images a second of processor time."""
    metadata = FreshMetadata(workshop.pin, source=_Files(workshop), cache=Forgetful(), now=datetime.now(UTC))
    documents = load_documents(bundled("trust-default.yaml"), source="bundled")
    verifier = ImageVerifier(metadata=metadata, documents=documents, images=_Images(data), now=datetime.now(UTC))
    questions = [Question(text=text, reference=image, image=image) for text, image in _parsed(data)]
    done = 0
    for question in questions:
        verifier.verify(question)
    begin = time.process_time()
    while (spent := time.process_time() - begin) < seconds:
        outcome = verifier.verify(questions[done % len(questions)])
        assert isinstance(outcome, VerifiedImage)
        assert outcome.verdict is Verdict.TRUSTED
        done += 1
    return done / spent


def _parsed(data: dict[str, bytes]) -> list[tuple[str, ImageReference]]:
    return [(text, ImageReference.parse(text)) for text in data]


class _Files:
    """The repository's published files."""

    def __init__(self, workshop: Workshop) -> None:
        self._files = workshop.files

    def fetch(self, name: str, limit: int) -> bytes | None:
        return self._files.get(name)
