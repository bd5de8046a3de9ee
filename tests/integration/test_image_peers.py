"""``image verify`` with a real registry that ``skopeo`` filled: digests are those that skopeo sees."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.trust_world import TrustWorld
from tests.peers.oci_layouts import INDEX, MANIFEST, LayoutWriter
from tests.peers.registry import Registry, skopeo

PASSWORD = "canary-Passw0rd"
BCRYPT = "$2b$05$p93nO.47ZFPjr4qSv6EpKuaGgfOavZCegRiYFJ4C.ZqHdSVwX6XIO"
"""Of that password, for the registry's file of logins, which takes nothing else."""
PLATFORMS = ("linux/amd64", "linux/arm64/v8")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def layout(tmp_path: Path) -> LayoutWriter:
    return LayoutWriter(tmp_path / "Shop Image")


def sign(trust: TrustWorld, registry: Registry, reference: str) -> None:
    """Sign what a reference means in the registry now."""
    name, _, tag = reference.partition(":")
    repository = f"{registry.host}/{name}"
    if repository not in trust.workshop.roles:
        trust.workshop.delegate(repository)
    raw = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{registry.host}/{reference}")
    members = json.loads(raw)
    platforms = [{**each["platform"], "digest": each["digest"]} for each in members.get("manifests", [])]
    trust.workshop.sign_image(repository, tag, raw, media_type=members["mediaType"], platforms=platforms)
    trust.publish()


def test_a_pushed_image_has_the_digest_that_skopeo_sees(
    trust: TrustWorld, registry: Registry, layout: LayoutWriter
) -> None:
    layout.add("1.4", "one")
    digest = registry.push(layout.directory, "1.4", "shop/api:1.4")
    reference = f"{registry.host}/shop/api:1.4"
    trust.refused(1, "nobody signed", reference)
    sign(trust, registry, "shop/api:1.4")
    assert trust.trusted(reference).out == f"{reference} {digest}\n"
    assert trust.trusted("--pin", reference).out == f"{registry.host}/shop/api@{digest}\n"


def test_an_index_and_its_platforms(trust: TrustWorld, registry: Registry, layout: LayoutWriter) -> None:
    layout.add("2", "many", PLATFORMS)
    digest = registry.push(layout.directory, "2", "shop/multi:2")
    sign(trust, registry, "shop/multi:2")
    reference = f"{registry.host}/shop/multi:2"
    (document,) = json.loads(trust.trusted("--json", reference).out)
    assert (document["digest"], document["media_type"], document["verdict"]) == (digest, INDEX, "trusted")
    assert [each["platform"] for each in document["platforms"]] == list(PLATFORMS)
    for each in document["platforms"]:
        child = f"{registry.host}/shop/multi@{each['digest']}"
        assert trust.trusted(child).out.split()[1] == each["digest"]


def test_docker_schema_2_images(trust: TrustWorld, registry: Registry, layout: LayoutWriter) -> None:
    layout.add("1", "docker")
    target = f"docker://{registry.host}/shop/docker:1"
    skopeo("copy", "--format", "v2s2", "--dest-tls-verify=false", f"oci:{layout.directory}:1", target)
    sign(trust, registry, "shop/docker:1")
    (document,) = json.loads(trust.trusted("--json", f"{registry.host}/shop/docker:1").out)
    assert document["media_type"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert document["digest"] == registry.digest_of("shop/docker:1")


def test_a_tag_that_is_moved(trust: TrustWorld, registry: Registry, layout: LayoutWriter) -> None:
    layout.add("a", "first")
    layout.add("b", "second")
    first = registry.push(layout.directory, "a", "shop/moved:1")
    sign(trust, registry, "shop/moved:1")
    second = registry.push(layout.directory, "b", "shop/moved:1")
    reference = f"{registry.host}/shop/moved:1"
    trust.refused(1, f"expected {first}, as signed, got {second} from the registry", reference)
    sign(trust, registry, "shop/moved:1")
    assert trust.trusted(reference).out.split()[1] == second
    trust.refused(1, "which is what 1 means", f"{reference}@{first}")
    trust.refused(1, "nobody signed", f"{registry.host}/shop/moved@{first}")


def test_a_tag_that_is_not_there(trust: TrustWorld, registry: Registry, layout: LayoutWriter) -> None:
    layout.add("1", "gone")
    registry.push(layout.directory, "1", "shop/gone:1")
    sign(trust, registry, "shop/gone:1")
    trust.workshop.roles[f"{registry.host}/shop/gone"].targets[f"{registry.host}/shop/gone/2"] = trust.workshop.roles[
        f"{registry.host}/shop/gone"
    ].targets[f"{registry.host}/shop/gone/1"]
    trust.publish()
    trust.refused(1, "no image", f"{registry.host}/shop/gone:2")


def test_a_registry_with_a_login(
    trust: TrustWorld, layout: LayoutWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    htpasswd = tmp_path / "htpasswd"
    htpasswd.write_text(f"robot:{BCRYPT}\n")
    with Registry(tmp_path / "guarded", htpasswd=htpasswd) as guarded:
        layout.add("1", "guarded")
        digest = guarded.push(layout.directory, "1", "shop/api:1", login=f"robot:{PASSWORD}")
        reference = f"{guarded.host}/shop/api:1"
        raw = skopeo("inspect", "--raw", "--tls-verify=false", "--creds", f"robot:{PASSWORD}", f"docker://{reference}")
        trust.workshop.delegate(f"{guarded.host}/shop/api")
        trust.workshop.sign_image(f"{guarded.host}/shop/api", "1", raw, media_type=MANIFEST)
        trust.publish()
        trust.refused(3, "asks for a login", reference)
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        subprocess.run(
            [
                "skopeo",
                "login",
                "--authfile",
                str(tmp_path / "config.json"),
                "--tls-verify=false",
                "-u",
                "robot",
                "--password-stdin",
                guarded.host,
            ],
            input=PASSWORD.encode(),
            check=True,
            capture_output=True,
        )
        assert trust.trusted(reference).out.split()[1] == digest


def test_a_layout_is_verified_under_its_name(trust: TrustWorld, layout: LayoutWriter) -> None:
    """A directory is a repository of localhost, unless it says or is told otherwise."""
    digest = layout.add("1.4", "local")
    data = (layout.directory / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()
    for repository in ("localhost/shop-image", "registry.example/shop/api"):
        trust.workshop.delegate(repository)
        trust.workshop.sign_image(repository, "1.4", data)
    trust.publish()
    reference = f"oci:{layout.directory}:1.4"
    assert trust.trusted(reference).out == f"{reference} {digest}\n"
    assert trust.trusted(f"oci:{layout.directory}").out.split()[-1] == digest
    assert trust.trusted("--as", "registry.example/shop/api:1.4", reference).out.split()[-1] == digest
    trust.refused(1, "nobody signed", "--as", "registry.example/shop/web:1.4", reference)
    layout.add("1.4", "other")
    trust.refused(1, "as signed, got", reference)
    trust.refused(1, "no image", f"oci:{layout.directory}:9")
    trust.refused(2, "no directory", "oci:./nowhere")
