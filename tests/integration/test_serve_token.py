"""An authority whose root key is in a token: made, serving, killed, alone, backed up, and without its token."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ca.identity import NodeRole
from swarmsec.audit.entry import parse_entry
from tests.integration.commands import DURABLE_CALLS, Commands, kills
from tests.integration.serve_clients import new_key
from tests.integration.serve_world import ServedHome
from tests.integration.storefixtures import new_place, opened
from tests.peers.processes import wait_for
from tests.peers.softhsm import PIN, SoftHsm
from tests.unit.swarmsec.homes import open_values


@pytest.fixture
def home(hsm: SoftHsm, token: Path, tmp_path: Path) -> Iterator[ServedHome]:
    """An authority with its root key in the token."""
    with ServedHome(tmp_path) as made:
        done = made.run("ca", "init", "--pkcs11", hsm.uri(), "--recovery-out", str(tmp_path / "recovery.key"))
        assert done.returncode == 0, done
        yield made


def entries(home: ServedHome) -> list[dict[str, Any]]:
    with home.opened() as (opened_home, _):
        stored = opened_home.store.read(lambda transaction: list(transaction.log_entries.since(0)))
    return [json.loads(entry.data) for entry in stored]


def openssl(*arguments: str) -> str:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done
    return done.stdout


def test_it_is_made_with_its_key_in_the_token_and_nowhere_else(home: ServedHome, hsm: SoftHsm) -> None:
    (root,) = json.loads(home.run("ca", "show", "--json").stdout)["roots"]
    assert root["key"].startswith("pkcs11:token=swarm;object=root;id=%")
    settings = (home.home / "swarmsec.toml").read_text()
    assert f'pin_file = "{hsm.pin_file}"' in settings
    made = [entry for entry in entries(home) if entry["action"] in {"key.create", "ca.init"}][-3:]
    assert [(entry["action"], entry["outcome"]) for entry in made] == [
        ("key.create", "intent"),
        ("key.create", "success"),
        ("ca.init", "success"),
    ]
    assert made[0]["request_id"] == made[1]["request_id"]
    assert made[2]["fields"]["made_in_token"] is True
    with home.opened() as (opened_home, keys):
        names = opened_home.store.read(lambda transaction: [row.name for row in transaction.sealed.not_under(-1, 1000)])
        values = open_values(opened_home, keys, names)
    assert not [name for name in names if name.startswith("ca/root")]
    assert not any(PIN.encode() in value for value in values.values())
    for path in (path for path in home.home.rglob("*") if path.is_file()):
        assert PIN.encode() not in path.read_bytes(), path


def test_openssl_verifies_what_it_signs(home: ServedHome, tmp_path: Path) -> None:
    out = tmp_path / "issued"
    for arguments in (
        ("ca", "issue", "--profile", "server", "--san", "db.example", "--out", str(out)),
        ("ca", "revoke", "db.example"),
        ("ca", "crl", "--out", str(tmp_path / "crl.pem")),
    ):
        done = home.run(*arguments)
        assert done.returncode == 0, done
    root = str(out / "ca.pem")

    openssl("verify", "-x509_strict", "-CAfile", root, root)
    assert "OK" in openssl("verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", root, str(out / "cert.pem"))
    openssl("crl", "-in", str(tmp_path / "crl.pem"), "-CAfile", root, "-noout", "-verify")


def test_the_server_issues_with_it_beside_other_processes(home: ServedHome, tmp_path: Path) -> None:
    home.serve()
    answers: list[int] = []

    def join() -> None:
        answers.extend(home.join(joining)[0].status for _ in range(5))

    joining = home.token(NodeRole.WORKER)
    threads = [threading.Thread(target=join) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(3):
        done = home.run(
            "ca", "issue", "--profile", "client", "--san", f"c{number}", "--out", str(tmp_path / str(number))
        )
        assert done.returncode == 0, done
    for thread in threads:
        thread.join()

    assert answers == [200] * 15
    listed = json.loads(home.run("ca", "list", "--json").stdout)
    assert len({item["issuer"] for item in listed}) == 1
    for number in range(3):
        openssl("verify", "-CAfile", str(tmp_path / str(number) / "ca.pem"), str(tmp_path / str(number) / "cert.pem"))


def test_a_token_that_is_pulled_is_503_until_it_is_back(home: ServedHome, hsm: SoftHsm, token: Path) -> None:
    monitoring = home.identity("auditor")
    home.serve()
    joining = home.token()
    key = new_key()
    assert home.join(joining, "before")[0].status == 200
    size = len(entries(home))
    hsm.pull(token)

    for _ in range(3):
        answer, _ = home.join(joining, "meanwhile", key)
        assert (answer.status, answer.json()["error"]["code"]) == (503, "unavailable")
        assert "retry-after" not in answer.headers or int(answer.headers["retry-after"]) > 0
    ready = home.ask("GET", "/readyz", bearer=monitoring)
    assert ready.status == 503
    assert b"token" in ready.body
    # What needs no key goes on.
    assert home.ask("GET", "/api/v1/ca/bundle").status == 200
    assert home.ask("GET", "/healthz").status == 200
    assert home.run("ca", "list").returncode == 0

    hsm.put(token)
    wait_for(lambda: home.join(joining, "meanwhile", key)[0].status == 200, timeout=20, what="the token to be back")
    assert home.ask("GET", "/readyz", bearer=monitoring).status == 200
    new = [entry["action"] for entry in entries(home)[size:]]
    assert "serve.recover" not in new
    assert new.count("ca.issue") == 1


def test_without_its_token_it_says_what_to_do(home: ServedHome, hsm: SoftHsm, token: Path, tmp_path: Path) -> None:
    hsm.pull(token)
    done = home.run("ca", "issue", "--profile", "client", "--san", "c", "--out", str(tmp_path / "c"))
    assert (done.returncode, done.stdout) == (3, "")
    assert "no token with token 'swarm' is there" in done.stderr
    assert "put the token in" in done.stderr
    assert list((tmp_path / "c").iterdir()) == []
    hsm.put(token)
    hsm.write_pin("wrong-pin-0")
    done = home.run("ca", "issue", "--profile", "client", "--san", "c", "--out", str(tmp_path / "c"))
    assert done.returncode == 1
    assert "refused the PIN" in done.stderr
    assert "wrong-pin-0" not in done.stderr


def test_without_the_extra_it_says_so(home: ServedHome) -> None:
    code = "import sys; sys.modules['PyKCS11'] = None; from swarmsec.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "--home", str(home.home), "ca", "token", "create", "--role", "worker"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2, done
    assert "PyKCS11 is not installed" in done.stderr
    assert "swarmsec[hsm]" in done.stderr


@pytest.mark.parametrize(
    ("uri", "status", "said"),
    [
        ("pkcs11:token=swarm;object=root?pin-value=4711-swarm", 2, "no PIN in the URI"),
        ("pkcs11:token=swarm;object=root", 2, "[pkcs11] module in swarmsec.toml"),
        ("pkcs11:token=other;object=root?MODULE", 3, "no token with token 'other'"),
        ("pkcs11:token=swarm;object=root?module-path=/nonexistent.so&pin-source=file:/pin", 3, "cannot be read"),
    ],
)
def test_what_cannot_work_is_said_before_anything_is_made(
    uri: str, status: int, said: str, hsm: SoftHsm, token: Path, tmp_path: Path
) -> None:
    home = ServedHome(tmp_path)
    _, _, query = hsm.uri().partition("?")

    done = home.run("ca", "init", "--pkcs11", uri.replace("MODULE", query))

    assert done.returncode == status, done
    assert said in done.stderr
    assert "4711" not in done.stderr
    assert not home.home.exists()


def test_a_root_key_of_another_type_than_asked_is_refused(hsm: SoftHsm, token: Path, tmp_path: Path) -> None:
    first, second = ServedHome(tmp_path / "a"), ServedHome(tmp_path / "b")
    assert first.run("ca", "init", "--pkcs11", hsm.uri(), "--key-type", "p384").returncode == 0
    (root,) = json.loads(first.run("ca", "show", "--json").stdout)["roots"]

    done = second.run("ca", "init", "--pkcs11", hsm.uri(), "--key-type", "p256")
    assert (done.returncode, "expected a key of type p256" in done.stderr) == (2, True), done
    # A key that is there already is used, in one home as in the other.
    assert second.run("ca", "init", "--pkcs11", hsm.uri()).returncode == 0
    (other,) = json.loads(second.run("ca", "show", "--json").stdout)["roots"]
    assert (root["key"], root["sha256"] != other["sha256"]) == (other["key"], True)


def test_a_backup_says_what_it_lacks_and_the_restored_home_needs_the_token(
    home: ServedHome, hsm: SoftHsm, token: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = home.run("backup", str(tmp_path / "backup.age"))
    assert done.returncode == 0
    assert "in a token and not in this backup" in done.stderr
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state-2"))
    restored = ServedHome(tmp_path / "elsewhere")
    key = str(tmp_path / "recovery.key")
    done = restored.run("restore", str(tmp_path / "backup.age"), "--recovery-key", key, "--accept")
    assert done.returncode == 0, done
    assert "must reach its token" in done.stderr
    assert restored.run("ca", "token", "create", "--role", "worker").returncode == 0
    hsm.pull(token)
    assert restored.run("ca", "token", "create", "--role", "worker").returncode == 3


def test_init_killed_at_any_step_leaves_one_key_that_the_same_command_finds(hsm: SoftHsm, tmp_path: Path) -> None:
    with Commands(os.environ) as commands:
        hsm.make_token("counted")

        def arguments(place: Any, token: str) -> tuple[str, ...]:
            return ("--home", str(place.home), "--json", "ca", "init", "--pkcs11", hsm.uri(token))

        counted = new_place(tmp_path / "counted")
        ended, calls = commands.count_calls(*arguments(counted, "counted"), state=counted.state, calls=DURABLE_CALLS)
        ended.verify(0)
        for number, kill in enumerate(kills(calls, every=12)):
            name = f"t{number}"
            hsm.make_token(name)
            place = new_place(tmp_path / name)
            commands.run(*arguments(place, name), state=place.state, kill=kill).verify(-9)
            again = commands.run(*arguments(place, name), state=place.state)
            assert again.status == 0 or "already" in again.stderr, (kill, again)
            # What the module itself left half written has no name.
            assert hsm.keys_named(name, "root") == (1, 1), kill
            with opened(place) as home:
                assert home.store.read(lambda transaction: list(transaction.intents.all())) == []
                stored = home.store.read(lambda transaction: list(transaction.log_entries.since(0)))
            outcomes = [
                str(entry["outcome"])
                for entry in (parse_entry(item.data) for item in stored)
                if entry["action"] == "key.create" and "token-key" in str(entry["object"])
            ]
            assert outcomes == ["intent", "success"], kill
