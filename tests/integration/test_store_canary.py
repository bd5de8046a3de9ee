"""What is secret is found where it belongs and nowhere else: no output, no file, no process table holds it."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from swarmsec.secretbytes import SecretBytes
from swarmsec.storage.writerlock import WriterLock
from tests.integration.commands import Commands, Ended
from tests.integration.storefixtures import Place, new_place, opened

PASSPHRASE = b"canary-4f1c9e-passphrase-of-the-tests"
WRONG = b"canary-77aa01-another-passphrase"


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands(os.environ) as running:
        yield running


def private(path: Path, content: bytes) -> Path:
    path.write_bytes(content + b"\n")
    path.chmod(0o600)
    return path


def forms(secret: bytes) -> set[bytes]:
    """A secret as it is, and as an encoder might have written it."""
    return {secret, secret.hex().encode(), secret.hex().upper().encode(), base64.b64encode(secret).rstrip(b"=")}


def traces(secret: bytes, ended: list[Ended], *folders: Path) -> list[str]:
    """Where a secret shows."""
    wanted = forms(secret)
    found = [f"output of {number}" for number, each in enumerate(ended) for form in wanted if form in _output(each)]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return found + [str(path) for path in files for form in wanted if form in path.read_bytes()]


def _output(ended: Ended) -> bytes:
    return (ended.stdout + ended.stderr).encode()


class Session:
    """A home sealed with a passphrase and the commands that were run on it."""

    def __init__(self, commands: Commands, place: Place, given: Path) -> None:
        self.place = place
        self.given = given
        self.ended: list[Ended] = []
        self._commands = commands

    def run(self, *words: str, given: Path | None = None) -> Ended:
        options = ("--home", str(self.place.home), "-v", "--passphrase-file", str(given or self.given))
        self.ended.append(self._commands.run(*options, *words, state=self.place.state))
        return self.ended[-1]


@pytest.fixture(scope="module")
def session(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Session:
    kept = tmp_path_factory.mktemp("kept")
    place = new_place(tmp_path_factory.mktemp("canary") / "place")
    made = Session(commands, place, private(kept / "given", PASSPHRASE))
    made.run("ca", "init", "--seal", "passphrase", "--recovery-out", str(place.recovery)).verify(0)
    return made


def test_a_passphrase_shows_nowhere(session: Session, tmp_path: Path) -> None:
    wrong = private(tmp_path / "wrong", WRONG)
    session.run("--json", "ca", "token", "worker", given=wrong).verify(1)
    session.run("ca", "revoke", "nobody").verify(2)
    session.run("ca", "init").verify(2)
    session.run("ca", "trust-swarm", str(session.given))
    readable = private(tmp_path / "readable", PASSPHRASE)
    readable.chmod(0o644)
    session.run("ca", "token", "worker", given=readable).verify(2)
    for secret in (PASSPHRASE, WRONG):
        assert traces(secret, session.ended, session.place.home, session.place.state) == []


def test_a_wrong_passphrase_is_denied_and_on_the_record(session: Session, tmp_path: Path) -> None:
    session.run("ca", "token", "worker", given=private(tmp_path / "wrong", WRONG)).verify(1)
    with opened(session.place) as home, home.store.reading() as transaction:
        refused = [entry.data for entry in transaction.log_entries.since(0) if b"seal.open" in entry.data]
    assert refused
    assert all(b'"outcome":"denied"' in data for data in refused)


def test_root_term_and_private_keys_show_nowhere(session: Session) -> None:
    session.run("ca", "show").verify(0)
    with opened(session.place) as home:
        home.store.anchor = None
        keys = home.keys(lambda prompt: SecretBytes(PASSPHRASE))
        with home.store.reading() as transaction:
            secrets = [keys.ring.root.reveal()]
            secrets += [keys.get(transaction, name).reveal() for name in ("ca/root/1", "core/backup-mac-key")]
    for secret in secrets:
        assert traces(secret, session.ended, session.place.home, session.place.state) == []


def test_a_token_shows_in_the_answer_alone(session: Session) -> None:
    token = session.run("ca", "token", "manager").verify(0).stdout.strip().encode()
    session.run("ca", "token", "manager", "--rotate").verify(0)
    answers = [each for each in session.ended if each.stdout.strip().encode() != token]
    assert traces(token, answers, session.place.home, session.place.state) == []
    assert traces(token.rpartition(b"-")[2], answers, session.place.home, session.place.state) == []


def test_the_recovery_key_shows_in_its_file_alone(session: Session) -> None:
    identity = session.place.recovery.read_bytes().splitlines()[-1]
    assert identity.startswith(b"AGE-SECRET-KEY-1")
    assert traces(identity, session.ended, session.place.home, session.place.state) == []


def test_a_running_command_shows_no_passphrase_in_the_process_table(session: Session) -> None:
    # It waits for the writer's turn, which this process holds, and can be looked at meanwhile.
    options = ["--home", str(session.place.home), "--passphrase-file", str(session.given)]
    environment = {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PATH": os.environ["PATH"],
        "SWARMSEC_STATE": str(session.place.state),
    }
    program = "from swarmsec.cli import main; main()"
    with WriterLock(session.place.database.with_name("state.db.writer")):
        process = subprocess.Popen(
            [sys.executable, "-c", program, *options, "ca", "token", "worker", "--rotate"],
            env=environment,
            stdout=subprocess.PIPE,
        )
        proc = Path("/proc", str(process.pid))
        seen = b""
        while not _waits_for_its_turn(proc):
            seen += (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
            assert process.poll() is None
            time.sleep(0.05)
        seen += (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
    output, _ = process.communicate(timeout=60)
    assert output.startswith(b"SWMTKN-1-")
    assert b"swarmsec.cli" in seen
    assert PASSPHRASE not in seen


def _waits_for_its_turn(proc: Path) -> bool:
    for link in (proc / "fd").iterdir():
        with suppress(FileNotFoundError):
            if link.readlink().name.endswith(".writer"):
                return True
    return False
