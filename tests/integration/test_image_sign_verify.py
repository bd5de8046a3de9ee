"""Sign with a home, verify with the same home, with a machine that pinned it, and offline; real registry and skopeo."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.serve_world import ServedHome
from tests.peers.oci_layouts import LayoutWriter
from tests.peers.registry import Registry
from tests.unit.swarmsec.cli.program import Program

PLATFORMS = ("linux/amd64", "linux/arm64/v8")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with Registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def layout(tmp_path: Path) -> LayoutWriter:
    return LayoutWriter(tmp_path / "image")


@pytest.fixture
def signing(homeless: Program) -> Program:
    """A home with all its keys: it pins itself."""
    homeless.good("trust", "init", "--yes")
    return homeless


def refused(program: Program, code: int, words: str, *arguments: str) -> None:
    answer = program("image", "verify", *arguments)
    assert (answer.code, words in answer.err) == (code, True), answer


def test_sign_verify_pin_retag_promote_revoke(signing: Program, registry: Registry, layout: LayoutWriter) -> None:
    layout.add("a", "first", PLATFORMS)
    layout.add("b", "second")
    first = registry.push(layout.directory, "a", "life/api:1")
    reference = f"{registry.host}/life/api:1"
    refused(signing, 1, "nobody signed", reference)
    assert signing.good("image", "sign", reference).out == f"{reference} {first}\n"
    assert signing.good("image", "verify", reference).out == f"{reference} {first}\n"
    pinned = signing.good("image", "verify", "--pin", reference).out.strip()
    assert pinned == f"{registry.host}/life/api@{first}"

    second = registry.push(layout.directory, "b", "life/api:1")
    refused(signing, 1, "as signed, got", reference)
    assert signing.good("image", "verify", pinned).out.split()[1] == first
    signing.good("image", "sign", reference)
    assert signing.good("image", "verify", reference).out.split()[1] == second
    refused(signing, 1, "nobody signed", pinned)

    released = f"{registry.host}/life/api:stable"
    registry.push(layout.directory, "b", "life/api:stable")
    signing.good("image", "promote", reference, released)
    assert signing.good("image", "verify", released).out.split()[1] == second
    listed = json.loads(signing.good("image", "list", f"{registry.host}/life/api", "--json").out)
    assert {each["tag"]: each["digest"] for each in listed} == {"1": second, "stable": second}

    signing.good("image", "revoke", released, "--reason", "leaked a key")
    for each in (reference, released):
        assert signing("image", "verify", each).code == 1


def test_a_layout_is_signed_and_verified_under_one_name(signing: Program, layout: LayoutWriter) -> None:
    digest = layout.add("1.4", "local", PLATFORMS)
    reference = f"oci:{layout.directory}:1.4"
    assert digest in signing.good("image", "sign", reference).out
    assert signing.good("image", "verify", reference).out == f"{reference} {digest}\n"
    inspected = json.loads(signing.good("image", "inspect", "localhost/image:1.4", "--json").out)
    assert [each["platform"] for each in inspected[0]["platforms"]] == list(PLATFORMS)
    layout.add("1.4", "other")
    refused(signing, 1, "as signed, got", reference)


def test_a_machine_with_a_pin_asks_the_server(
    registry: Registry, layout: LayoutWriter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The home signs, its server publishes, another machine trusts the root that it was given by digest."""
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "server-state"))
    with ServedHome(tmp_path) as served:
        served.create()
        home = Program(served.directory, monkeypatch)
        monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "server-state"))
        home.good("--home", str(served.home), "trust", "init", "--yes")
        layout.add("1", "served")
        digest = registry.push(layout.directory, "1", "served/api:1")
        reference = f"{registry.host}/served/api:1"
        home.good("--home", str(served.home), "image", "sign", reference)
        served.serve()
        authority, root = served.roots, served.ask("GET", "/tuf/1.root.json").body
        machine = tmp_path / "machine"
        machine.mkdir()
        other = Program(machine, monkeypatch)
        other.write("ca.pem", authority)
        url = f"https://localhost:{served.port}"
        assert other("image", "verify", reference).code == 2
        other.write("1.root.json", root)
        other.good("trust", "pin", "1.root.json", "--url", url, "--ca", "ca.pem")
        assert other.good("image", "verify", reference).out == f"{reference} {digest}\n"
        listed = json.loads(other.good("image", "list", f"{registry.host}/served/api", "--json").out)
        assert listed[0]["digest"] == digest
