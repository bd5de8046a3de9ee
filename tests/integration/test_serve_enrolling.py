"""``swarmsec access enrol`` and ``access renew`` against the real server: a driver and an agent, and who is neither."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from swarmsec.services.nodes.enrolled_nodes import enrolled_nodes
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord
from swarmsec.wiring.nodes.filekinds import IDENTITY_FILES
from swarmsec.wiring.nodes.nodefiles import open_node_files
from tests.integration.commands import SWEPT_CALLS, Commands, kills
from tests.integration.serve_clients import Bearer, spki_of
from tests.integration.serve_world import PROGRAM, ServedHome
from tests.peers.processes import ManagedProcess

FILES = {"swarmsec.crt", "swarmsec.key", "root-ca.crt"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    directory = tmp_path_factory.mktemp("enrolling")
    with pytest.MonkeyPatch.context() as patch, ServedHome(directory) as home:
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        yield home.create(settings="\n[serve]\nfailed_attempts_per_minute = 100000\n").serve()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done


def token(served: ServedHome, role: str, *further: str) -> str:
    done = served.run("ca", "token", "create", "--role", role, *further)
    assert done.returncode == 0, done
    return done.stdout.strip()


def enrol(served: ServedHome, text: str, directory: Path, *further: str) -> subprocess.CompletedProcess[str]:
    return run("access", "enrol", "--server", served.url, "--token", text, "--dir", str(directory), *further)


def bearer_of(directory: Path) -> Bearer:
    pair = open_node_files(directory, IDENTITY_FILES).pair
    file = directory.with_suffix(".pem")
    file.write_bytes((directory / "swarmsec.key").read_bytes() + (directory / "swarmsec.crt").read_bytes())
    return Bearer(key=pair.key, certificate=pair.certificate, file=file)


@pytest.mark.parametrize("role", ["driver", "agent:n1"])
def test_what_is_enrolled_is_an_identity_that_renews_itself(role: str, served: ServedHome, tmp_path: Path) -> None:
    kind, directory = role.partition(":")[0], tmp_path / "identity"

    done = enrol(served, token(served, kind, "--node-name", "n1"), directory, "--json")

    assert done.returncode == 0, done
    document = json.loads(done.stdout)
    assert (document["name"], document["role"]) == (f"{kind}.n1", role)
    assert {path.name for path in directory.iterdir()} == FILES
    assert stat.S_IMODE((directory / "swarmsec.key").stat().st_mode) == 0o600
    assert (directory / "root-ca.crt").read_bytes() == served.roots
    before = bearer_of(directory)
    assert served.ask("GET", "/api/v1/whoami", before).json() == {"role": role, "name": f"{kind}.n1"}
    check = ["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", str(directory / "root-ca.crt")]
    subprocess.run([*check, str(directory / "swarmsec.crt")], check=True, capture_output=True)

    renewed = run("access", "renew", "--server", served.url, "--dir", str(directory), "--json")

    assert renewed.returncode == 0, renewed
    after = bearer_of(directory)
    assert json.loads(renewed.stdout)["serial"] == after.serial != before.serial
    assert after.certificate.public_key() != before.certificate.public_key()
    assert served.ask("GET", "/api/v1/whoami", after).json()["role"] == role
    again = run("access", "renew", "--server", served.url, "--dir", str(directory), "--if-due", "--json")
    assert json.loads(again.stdout)["renewed"] is False


@pytest.mark.parametrize(
    ("role", "further", "status", "reason"),
    [
        ("worker", (), 1, "this token is for role worker"),
        ("agent", (), 2, "expected the node of this agent"),
        ("driver", ("--name", "a b"), 2, "expected a node id"),
    ],
)
def test_a_refusal_says_why(
    role: str, further: tuple[str, ...], status: int, reason: str, served: ServedHome, tmp_path: Path
) -> None:
    done = enrol(served, token(served, role), tmp_path / "identity", *further)

    assert (done.returncode, reason in done.stderr, "hint:" in done.stderr) == (status, True, True), done
    assert not (tmp_path / "identity" / "swarmsec.crt").exists()


def test_what_cannot_be_meant_changes_nothing(served: ServedHome, tmp_path: Path) -> None:
    assert enrol(served, "SWMTKN-1-0", tmp_path / "a").returncode == 2
    assert run("access", "renew", "--server", served.url, "--dir", str(tmp_path / "none")).returncode == 2
    nobody = run("access", "enrol", "--server", "https://127.0.0.1:1", "--token", served.token(), "--dir", "/nowhere")
    assert (nobody.returncode, "could not be reached" in nobody.stderr) == (3, True)
    assert list(tmp_path.iterdir()) == []
    for body in (
        b"",
        b"{}",
        b"[]",
        b'{"token": 1, "csr": "x"}',
        b'{"token": "x", "csr": "x", "role": "admin"}',
        b"\xff",
    ):
        assert served.ask("POST", "/api/v1/access/enrol", body=body).status == 400


def test_killed_at_any_step_the_same_command_finishes(served: ServedHome, tmp_path: Path) -> None:
    directory = tmp_path / "driver"
    arguments = ("access", "enrol", "--server", served.url, "--dir", str(directory), "--token")
    with Commands(os.environ) as commands:
        text = token(served, "driver", "--uses", "1000")
        ended, calls = commands.count_calls(*arguments, text, state=tmp_path, calls=SWEPT_CALLS)
        ended.verify(0)
        assert sum(calls.values()) > 4
        for kill in kills(calls, every=2):
            shutil.rmtree(directory)
            commands.run(*arguments, text, state=tmp_path, kill=kill).verify(-9)
            if (directory / "swarmsec.crt").exists():
                assert open_node_files(directory, IDENTITY_FILES).name.startswith("driver.")
                continue
            commands.run(*arguments, text, state=tmp_path).verify(0)
            assert served.status("GET", "/api/v1/whoami", bearer_of(directory)) == 200, kill
            assert {path.name for path in directory.iterdir()} >= FILES
            key = hashlib.sha256(spki_of(bearer_of(directory).key)).digest()
            assert len(served.read(partial(_records, key=key))) == 1, kill


def _records(transaction: Transaction, key: bytes) -> Sequence[CertificateRecord]:
    return transaction.certificates.by_public_key(key)


def test_a_rotation_takes_a_driver_along(served: ServedHome, tmp_path: Path) -> None:
    directory = tmp_path / "driver"
    assert enrol(served, token(served, "driver", "--node-name", "follower"), directory).returncode == 0
    command = [
        *PROGRAM,
        "access",
        "renew",
        "--server",
        served.url,
        "--dir",
        str(directory),
        "--daemon",
        "--every",
        "1s",
    ]
    daemon = ManagedProcess(command, log=tmp_path / "renew.log")
    daemon.start()
    try:
        before = open_node_files(directory, IDENTITY_FILES)
        others = served.read(enrolled_nodes).own - {"driver.follower"}
        for name in others:
            assert served.run("access", "revoke", name).returncode == 0
        done = served.run("ca", "rotate", "--timeout", "60s")
        assert done.returncode == 0, done
        assert open_node_files(directory, IDENTITY_FILES).roots != before.roots
        assert served.name_of(bearer_of(directory)) == "driver.follower"
    finally:
        daemon.stop(grace=10)
