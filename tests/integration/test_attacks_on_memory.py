"""Attacks on what a machine keeps, and what may befall it: forged files, a full disk, a crash, another process."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.trust_world import TrustWorld, manifest, sha256
from tests.peers.hostile_http import Reply, Seen, slowly
from tests.peers.trust_workshop import Workshop


@pytest.fixture(autouse=True)
def signed(trust: TrustWorld) -> None:
    trust.sign()
    trust.publish()


def memory(trust: TrustWorld) -> Path:
    """The directory in which this machine keeps what it has seen of the repository."""
    (directory,) = [path for path in (trust.program.directory / "state" / "trust").iterdir() if path.is_dir()]
    return directory


def test_33_a_forged_memory_is_not_believed(trust: TrustWorld) -> None:
    """Whoever may write the memory puts a whole repository of their own there: the pin decides."""
    trust.trusted()
    evil = Workshop()
    evil.delegate(trust.repository)
    evil.sign_image(trust.repository, "1.4", manifest("evil"))
    evil.publish()
    evil.put_root()
    for path in memory(trust).iterdir():
        for name in (path.name, f"1.{path.name}", f"2.{path.name}"):
            if name in evil.files:
                path.write_bytes(evil.files[name])
    (memory(trust) / "2.root.json").write_bytes(evil.files["2.root.json"])
    assert trust.trusted().out.split()[1] == sha256(manifest())


@pytest.mark.parametrize("junk", [b"", b"{}", b"\xff" * 100, b"[" * 10_000, b'{"signed":{},"signatures":[]}'])
def test_33_junk_in_the_memory_is_passed_over(trust: TrustWorld, junk: bytes) -> None:
    trust.trusted()
    for path in memory(trust).iterdir():
        path.write_bytes(junk)
    (memory(trust) / "2.root.json").write_bytes(junk)
    trust.trusted()


def test_33_a_forged_pin_is_none(trust: TrustWorld) -> None:
    pin = trust.program.directory / "state" / "trust" / "pin.json"
    pin.write_bytes(b'{"format":"swarmsec-trust-pin/1"}')
    trust.refused(2, "expected this machine's pinned root")


def swarmsec(trust: TrustWorld, *arguments: str, under: str = "") -> subprocess.Popen[str]:
    """A process of its own, in the environment of the test."""
    command = [*under.split(), sys.executable, "-m", "swarmsec", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=trust.program.directory
    )


def test_34_two_processes_on_one_memory(trust: TrustWorld) -> None:
    """Many at once, while the repository moves on: each gets an answer, and the memory is whole afterwards."""
    running = [swarmsec(trust, "image", "verify", trust.ref()) for _ in range(6)]
    for _ in range(3):
        trust.workshop.put_snapshot()
        trust.workshop.put_timestamp()
    for process in running:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out.split()[1:]) == (0, [sha256(manifest())]), err
    trust.trusted()
    assert not [path for path in memory(trust).iterdir() if path.name.startswith(".")]


def test_34_one_waits_for_the_other(trust: TrustWorld) -> None:
    trust.trusted()
    honest = trust.workshop.files["timestamp.json"]
    started = threading.Event()

    def late(seen: Seen) -> Reply:
        started.set()
        return slowly(Reply(body=honest), 1.5)(seen)

    trust.server.answers["/tuf/timestamp.json"] = late
    first = swarmsec(trust, "image", "verify", trust.ref())
    assert started.wait(60)
    asked = len(trust.server.paths("/tuf/timestamp"))
    second = swarmsec(trust, "image", "verify", trust.ref())
    for process in (first, second):
        process.communicate(timeout=120)
        assert process.returncode == 0
    assert len(trust.server.paths("/tuf/timestamp")) == asked + 1


def test_35_a_publisher_that_died_before_its_timestamp(trust: TrustWorld) -> None:
    """A new role and a new snapshot without a timestamp that names them: what was before counts."""
    evil = manifest("next")
    trust.workshop.sign_image(trust.repository, "1.4", evil)
    trust.workshop.put_role(trust.repository)
    trust.workshop.put_snapshot()
    assert trust.trusted().out.split()[1] == sha256(manifest())


@pytest.fixture
def small_disk(trust: TrustWorld, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state directory on a file system of its own that is all but full."""
    directory = trust.program.directory / "small"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(directory)], check=True)
    try:
        monkeypatch.setenv("SWARMSEC_STATE", str(directory))
        trust.pin()
        yield directory
    finally:
        subprocess.run(["umount", str(directory)], check=True)


def fill(directory: Path) -> None:
    """Leave no room."""
    with (directory / "filler").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


def test_36_a_full_disk(trust: TrustWorld, small_disk: Path) -> None:
    """The decision stands on what was verified; what could not be kept is said, and nothing half is left."""
    fill(small_disk)
    answer = trust.trusted()
    assert "this visit is not remembered" in answer.err
    (small_disk / "filler").unlink()
    assert "not remembered" not in trust.trusted().err
    old = trust.workshop.files["timestamp.json"]
    trust.publish()
    trust.trusted()
    fill(small_disk)
    trust.workshop.files["timestamp.json"] = old
    trust.refused(1, "the version of timestamp is not what it must be")


def test_36_a_read_only_memory(trust: TrustWorld, small_disk: Path) -> None:
    trust.trusted()
    old = trust.workshop.files["timestamp.json"]
    trust.publish()
    trust.trusted()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    trust.workshop.put_timestamp()
    assert "this visit is not remembered" in trust.trusted().err
    trust.workshop.files["timestamp.json"] = old
    trust.refused(1, "the version of timestamp is not what it must be")


def test_35_a_client_that_is_killed_in_its_writes(trust: TrustWorld) -> None:
    """Killed at each write, it leaves a memory that the next one can use."""
    for at in range(1, 9):
        trust.publish()
        strace = f"strace -f -qq -o /dev/null -e trace=rename -e inject=rename:signal=SIGKILL:when={at}"
        process = swarmsec(trust, "image", "verify", trust.ref(), under=strace)
        process.communicate(timeout=120)
        trust.trusted()
        if process.returncode == 0:
            assert at > 3, "expected timestamp, snapshot and roles to be written"
            return
    pytest.fail("expected a run with fewer writes than that")
