"""A home exports its repository; another machine, which never has a network, verifies with that file alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from swarmsec.wiring.trust import trustsessions
from tests.peers.oci_layouts import LayoutWriter
from tests.unit.swarmsec.cli.program import Answer, Program

IMAGE = "registry.example/team/app:1"
Machines = Callable[[str], Program]


@pytest.fixture
def machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machines:
    """Machines by name; the one that was asked for last is the one that runs."""

    def at(name: str) -> Program:
        (tmp_path / name).mkdir(exist_ok=True)
        return Program(tmp_path / name, monkeypatch)

    return at


@pytest.fixture
def layout(tmp_path: Path) -> LayoutWriter:
    return LayoutWriter(tmp_path / "image")


def sign(machines: Machines, layout: LayoutWriter, word: str) -> str:
    """Sign the next image in the home; returns its digest."""
    digest = layout.add("1", word)
    machines("home").good("image", "sign", f"oci:{layout.directory}:1", "--as", IMAGE)
    return digest


def export(machines: Machines, name: str, home: str = "home") -> str:
    path = machines(home).directory.parent / name
    machines(home).good("trust", "export", "-o", str(path))
    return str(path)


@pytest.fixture
def digest(machines: Machines, layout: LayoutWriter, tmp_path: Path) -> str:
    """A home with a signed image, and another machine that was given its root by hand; the image's digest."""
    home = machines("home")
    home.good("trust", "init", "--yes")
    found = sign(machines, layout, "first")
    printed = home.good("trust", "root", "export", "-o", str(tmp_path / "root.json")).out.strip()
    assert machines("other").good("trust", "pin", str(tmp_path / "root.json")).out.strip() == printed
    return found


def verify(machines: Machines, layout: LayoutWriter, bundle: str, *more: str) -> Answer:
    arguments = ("--as", IMAGE, "--offline", bundle, f"oci:{layout.directory}:1")
    return machines("other")("image", "verify", *more, *arguments)


def refused(answer: Answer, code: int, words: str) -> None:
    assert (answer.code, words in answer.err, answer.out) == (code, True, ""), answer


def test_a_machine_without_a_network_verifies(machines: Machines, layout: LayoutWriter, digest: str) -> None:
    bundle = export(machines, "bundle.json")
    other = machines("other")
    arguments = ["image", "verify", "--pin", "--as", IMAGE, "--offline", bundle, f"oci:{layout.directory}:1"]
    done = subprocess.run(
        ["unshare", "--net", "--", sys.executable, "-m", "swarmsec", *arguments],
        cwd=other.directory,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"registry.example/team/app@{digest}\n"), done.stderr
    inspected = other.good("image", "inspect", "--offline", bundle, IMAGE, "--json").document
    assert [each["digest"] for each in inspected] == [digest]


def test_a_bundle_starts_no_chain(machines: Machines, layout: LayoutWriter, digest: str) -> None:
    bundle = export(machines, "bundle.json")
    answer = machines("fresh")("image", "verify", "--as", IMAGE, "--offline", bundle, f"oci:{layout.directory}:1")
    refused(answer, 2, "expected a pinned root")


def test_a_bundle_of_another_root_is_refused(machines: Machines, layout: LayoutWriter, digest: str) -> None:
    machines("stranger").good("trust", "init", "--yes")
    machines("stranger").good("image", "sign", f"oci:{layout.directory}:1", "--as", IMAGE)
    refused(verify(machines, layout, export(machines, "evil.json", "stranger")), 1, "not signed by enough of its keys")


def test_a_bundle_ends(
    machines: Machines, layout: LayoutWriter, digest: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = str(tmp_path / "short.json")
    machines("home").good("trust", "export", "-o", path, "--ttl", "2d")
    too_long = machines("home")("trust", "export", "-o", path, "--ttl", "8d")
    assert (too_long.code, "as the root allows" in too_long.err) == (2, True)
    for hours, code in ((47, 0), (49, 1), (47, 1)):
        monkeypatch.setattr(trustsessions, "system_hour", lambda h=hours: datetime.now(UTC) + timedelta(hours=h))
        answer = verify(machines, layout, path)
        assert (answer.code, "the metadata has expired: timestamp" in answer.err) == (code, code == 1), answer


def test_an_older_bundle_is_a_step_back(machines: Machines, layout: LayoutWriter, digest: str) -> None:
    old = export(machines, "old.json")
    assert verify(machines, layout, old).code == 0
    newer = sign(machines, layout, "second")
    refused(verify(machines, layout, old), 1, "as signed, got")
    new = export(machines, "new.json")
    assert verify(machines, layout, new).out.split()[1] == newer
    layout.add("1", "first")
    refused(verify(machines, layout, old), 1, "the version of snapshot is not what it must be")


def test_a_revocation_and_the_policy_travel_in_the_bundle(
    machines: Machines, layout: LayoutWriter, digest: str
) -> None:
    home = machines("home")
    scope = {"images": ["**"], "level": "enforce", "minSigners": 2}
    document = {"apiVersion": "swarmsec.dev/v1", "kind": "TrustPolicy", "metadata": {"name": "default"}}
    home.write("policy.yaml", json.dumps({**document, "spec": {"scopes": [scope]}}))
    home.good("policy", "apply", "policy.yaml")
    refused(verify(machines, layout, export(machines, "strict.json")), 1, "expected 2 different signers, got 1")
    machines("home").good("image", "revoke", f"registry.example/team/app@{digest}", "--reason", "a hole")
    bundle = export(machines, "revoked.json")
    refused(machines("other")("image", "inspect", "--offline", bundle, IMAGE), 1, "nobody signed")
    pinned = f"registry.example/team/app@{digest}"
    refused(machines("other")("image", "inspect", "--offline", bundle, pinned), 1, "was revoked: a hole")


def test_a_bundle_goes_on_from_the_pinned_root(machines: Machines, layout: LayoutWriter, digest: str) -> None:
    first = export(machines, "first.json")
    assert verify(machines, layout, first).code == 0
    for _ in range(2):
        machines("home").good("trust", "root", "rotate")
    assert verify(machines, layout, export(machines, "rotated.json")).out.split()[1] == digest


def test_a_bundle_with_a_changed_byte_is_refused(machines: Machines, layout: LayoutWriter, digest: str) -> None:
    path = Path(export(machines, "bundle.json"))
    whole = path.read_bytes()
    for at in range(len(whole) // 40, len(whole), len(whole) // 12):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        answer = verify(machines, layout, str(path))
        assert (answer.code, answer.out) in {(1, ""), (0, f"oci:{layout.directory}:1 {digest}\n")}, (at, answer)
    path.write_bytes(whole[: len(whole) // 2])
    refused(verify(machines, layout, str(path)), 1, str(path))
    refused(verify(machines, layout, str(path.with_name("none.json"))), 2, "no file")
