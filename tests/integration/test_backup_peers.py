"""A backup as others see it: the stock age program opens it, another kind of database takes it, a full disk ends it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.canonical import encode_canonical
from swarmsec.audit.entry import ObjectRef
from swarmsec.services.records import Intent
from swarmsec.services.requester import SERVICE
from swarmsec.storage.checking import verify_store
from swarmsec.storage.transaction import Transaction
from swarmsec.wiring.homes.intents import resolve_intents
from tests.integration.commands import Commands
from tests.integration.storefixtures import Place, make_home, new_place, opened, verify_whole

SMALL = "8k"


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands(os.environ) as running:
        yield running


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return make_home(tmp_path / "place")


def back_up(commands: Commands, place: Place, file: Path) -> dict[str, object]:
    ended = commands.run("--home", str(place.home), "--json", "backup", str(file), state=place.state).verify(0)
    document = json.loads(ended.stdout)
    assert isinstance(document, dict)
    return document


def decrypted(identity: Path, file: Path) -> bytes:
    return subprocess.run(["age", "-d", "-i", str(identity), str(file)], check=True, capture_output=True).stdout


def test_the_age_program_opens_it_with_the_recovery_file(commands: Commands, place: Place, tmp_path: Path) -> None:
    told = back_up(commands, place, tmp_path / "home.age")
    header, *rows, mac, end = decrypted(place.recovery, tmp_path / "home.age").split(b"\n")
    assert end == b""
    said = json.loads(header)
    assert (said["format"], said["store_id"], said["size"]) == (1, told["store_id"], told["entries"])
    assert list(json.loads(mac)) == ["mac"]
    counted: dict[str, int] = {}
    for row in rows:
        table, values = json.loads(row)
        assert len(values) == len(said["tables"][table]["columns"])
        counted[table] = counted.get(table, 0) + 1
    assert counted == {name: shape["rows"] for name, shape in said["tables"].items() if shape["rows"]}


def test_the_age_program_finds_another_identity_and_every_cut_wanting(
    commands: Commands, place: Place, tmp_path: Path
) -> None:
    file = tmp_path / "home.age"
    back_up(commands, place, file)
    other = tmp_path / "other.key"
    subprocess.run(["age-keygen", "-o", str(other)], check=True, capture_output=True)
    with pytest.raises(subprocess.CalledProcessError):
        decrypted(other, file)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(subprocess.CalledProcessError):
        decrypted(place.recovery, file)


def test_what_the_age_program_wrote_for_the_public_key_is_refused(
    commands: Commands, place: Place, tmp_path: Path
) -> None:
    """age does not say who wrote a file; the MAC does."""
    back_up(commands, place, tmp_path / "home.age")
    payload = decrypted(place.recovery, tmp_path / "home.age").replace(b'"worker","standing"', b'"manager","standing"')
    (tmp_path / "payload").write_bytes(payload)
    recipient = next(line for line in place.recovery.read_text().splitlines() if "public key" in line).split()[-1]
    forged = tmp_path / "forged.age"
    subprocess.run(["age", "-r", recipient, "-o", str(forged), str(tmp_path / "payload")], check=True)
    arguments = ("restore", str(forged), "--recovery-key", str(place.recovery))
    ended = commands.run("--home", str(tmp_path / "new"), *arguments, state=tmp_path / "state").verify(4)
    assert "MAC" in ended.stderr
    assert not (tmp_path / "new").exists()


def test_from_sqlite_to_postgresql_and_back(
    commands: Commands, place: Place, tmp_path: Path, database_url: str
) -> None:
    url = database_url.replace("postgresql+psycopg://", "postgresql://")
    back_up(commands, place, tmp_path / "first.age")
    on_server = new_place(tmp_path / "server")
    restore(commands, on_server, tmp_path / "first.age", place.recovery, "--database", url)
    with opened(on_server) as home:
        assert not home.store.is_sqlite
        verify_store(home.store)
    refused = commands.run(
        *restore_arguments(new_place(tmp_path / "second"), tmp_path / "first.age", place.recovery),
        "--database",
        url,
        state=tmp_path / "second" / "state",
    )
    assert "there is a home" in refused.verify(2).stderr or "empty database" in refused.stderr
    back_up(commands, on_server, tmp_path / "second.age")
    again = new_place(tmp_path / "again")
    restore(commands, again, tmp_path / "second.age", place.recovery)
    verify_whole(again)


@pytest.mark.parametrize(
    ("host", "started", "outcomes"),
    [
        ("another-machine", time.time(), []),
        ("another-machine", 1.0, [Outcome.FAILURE]),
        (os.uname().nodename, time.time(), [Outcome.FAILURE]),
    ],
    ids=["of another machine", "of another machine long ago", "of this machine"],
)
def test_on_a_server_each_machine_concludes_its_own_backups(
    commands: Commands, tmp_path: Path, database_url: str, host: str, started: float, outcomes: list[Outcome]
) -> None:
    url = database_url.replace("postgresql+psycopg://", "postgresql://")
    made = new_place(tmp_path / "server")
    commands.run("--home", str(made.home), "ca", "init", "--database", url, state=made.state).verify(0)
    data = {"host": host, "path": str(tmp_path / "b.age"), "temporary": str(tmp_path / ".b"), "sha256": "", "bytes": 0}
    intent = Intent(request_id="1", action="backup.create", started=int(started), data=encode_canonical(data).decode())

    def begin(transaction: Transaction) -> None:
        transaction.intents.open(intent)
        transaction.log(SERVICE.event(Action.BACKUP_CREATE, ObjectRef(type="file"), outcome=Outcome.INTENT))

    with opened(made) as home:
        home.store.write(begin)
        assert [item.outcome for item in resolve_intents(home)] == outcomes
        left = home.store.read(lambda transaction: transaction.intents.all())
        assert list(left) == ([] if outcomes else [intent])


def test_a_rotation_on_postgresql(commands: Commands, tmp_path: Path, database_url: str) -> None:
    url = database_url.replace("postgresql+psycopg://", "postgresql://")
    made = new_place(tmp_path / "server")
    home = ("--home", str(made.home))
    commands.run(*home, "ca", "init", "--database", url, state=made.state).verify(0)
    ended = commands.run(*home, "--json", "keys", "rotate", state=made.state).verify(0)
    assert json.loads(ended.stdout) == {"term": 2, "records": 5, "destroyed": [1], "resumed": False, "followed": False}
    commands.run(*home, "ca", "token", "worker", state=made.state).verify(0)


def restore_arguments(target: Place, file: Path, recovery: Path) -> tuple[str, ...]:
    return ("--home", str(target.home), "restore", str(file), "--accept", "--recovery-key", str(recovery))


def restore(commands: Commands, target: Place, file: Path, recovery: Path, *more: str) -> None:
    commands.run(*restore_arguments(target, file, recovery), *more, state=target.state).verify(0)


def test_a_full_disk_ends_it_with_nothing_left_and_on_record(place: Place, tmp_path: Path) -> None:
    target = tmp_path / "full"
    target.mkdir()
    program = f"import sys; sys.path[:] = {sys.path!r}; from swarmsec.cli import main; main()"
    script = (
        f'mount -t tmpfs -o size={SMALL} tmpfs "$1" || exit 99; '
        '"$2" -c "$3" --home "$4" backup "$1/home.age"; status=$?; ls -A "$1"; exit $status'
    )
    ended = subprocess.run(
        [
            "unshare",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            script,
            "sh",
            target,
            sys.executable,
            program,
            place.home,
        ],
        env={**os.environ, "SWARMSEC_STATE": str(place.state)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (3, ""), ended
    assert "No space left on device" in ended.stderr
    assert "Traceback" not in ended.stderr
    with opened(place) as home:
        assert not home.store.read(lambda transaction: transaction.intents.all())
    verify_whole(place)
