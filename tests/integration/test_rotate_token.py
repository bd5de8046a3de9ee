"""Rotating an authority with its root key in a token: beside it, into one, out of one, killed, without its token."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from swarmsec.audit.entry import parse_entry
from swarmsec.storage.checking import verify_store
from swarmsec.wiring.nodes.nodefiles import ROOTS
from tests.integration.commands import DURABLE_CALLS, Commands, kills
from tests.integration.rotating_nodes import ROTATE, chain_is_good, daemons, follow, join, status_of, wait_ended
from tests.integration.serve_world import ServedHome
from tests.integration.storefixtures import Place, make_home, new_place, opened
from tests.peers.softhsm import SoftHsm


@pytest.fixture
def home(tmp_path: Path) -> Iterator[ServedHome]:
    with ServedHome(tmp_path) as made:
        yield made


def init(home: ServedHome, *arguments: str) -> None:
    done = home.run("ca", "init", *arguments, "--recovery-out", str(home.directory / "recovery.key"))
    assert done.returncode == 0, done


def roots(home: ServedHome) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = json.loads(home.run("ca", "show", "--json").stdout)["roots"]
    return shown


def rotated(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["phase"] == "retired"
    return document


def test_the_next_root_s_key_is_made_beside_the_present_one_and_nodes_follow(
    home: ServedHome, hsm: SoftHsm, token: Path, tmp_path: Path
) -> None:
    init(home, "--pkcs11", hsm.uri(), "--key-type", "p384")
    home.serve()
    node = join(home, tmp_path, "a")
    with daemons(home, node):
        document = rotated(home.run(*ROTATE))
    old, new = roots(home)
    assert (old["state"], new["state"]) == ("retired", "active")
    assert old["key"].startswith("pkcs11:token=swarm;object=root;id=%")
    assert new["key"].startswith("pkcs11:token=swarm;object=root;id=%")
    assert old["key"] != new["key"]
    assert hsm.keys_named("swarm", "root") == (2, 2)
    assert document["key_left_in_token"] == old["key"]
    exported = home.run("ca", "export").stdout
    key = x509.load_pem_x509_certificate(exported.encode()).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.key_size == 384
    (tmp_path / "new.pem").write_text(exported)
    assert chain_is_good(node, tmp_path / "new.pem")
    with home.opened() as (opened_home, _):
        verify_store(opened_home.store)
        names = opened_home.store.read(lambda transaction: [row.name for row in transaction.sealed.not_under(-1, 1000)])
    assert not [name for name in names if name.startswith("ca/root")]


def test_a_sealed_root_goes_into_a_token_under_a_running_server_and_out_again(
    home: ServedHome, hsm: SoftHsm, token: Path, tmp_path: Path
) -> None:
    init(home)
    home.serve()
    node = join(home, tmp_path, "a")
    with daemons(home, node):
        rotated(home.run(*ROTATE, "--pkcs11", hsm.uri()))
        assert [root["key"].partition(":")[0] for root in roots(home)] == ["erased", "pkcs11"]
        assert "module = " in (home.home / "swarmsec.toml").read_text()
        document = rotated(home.run(*ROTATE, "--sealed"))
    assert [root["key"].partition(":")[0] for root in roots(home)] == ["erased", "pkcs11", "sealed"]
    assert document["key_left_in_token"] == roots(home)[1]["key"]
    (tmp_path / "new.pem").write_text(home.run("ca", "export").stdout)
    assert chain_is_good(node, tmp_path / "new.pem")
    done = home.run("backup", str(tmp_path / "backup.age"))
    assert (done.returncode, "in a token and not in this backup" in done.stderr) == (0, False)


def test_what_cannot_be_the_next_root_is_refused_and_changes_nothing(
    home: ServedHome, hsm: SoftHsm, token: Path
) -> None:
    init(home, "--pkcs11", hsm.uri())
    before, settings = home.run("--json", "ca", "show").stdout, (home.home / "swarmsec.toml").read_bytes()
    for arguments, status, said in (
        (("--pkcs11", hsm.uri()), 2, "got the key of the active root of generation 1"),
        (("--pkcs11", hsm.uri("other")), 3, "no token with token 'other'"),
        (("--pkcs11", hsm.uri(), "--sealed"), 2, "got several"),
        (("--pkcs11", "pkcs11:token=swarm;object=root?pin-value=4711"), 2, "no PIN in the URI"),
        (("--pkcs11", hsm.uri(name="next"), "--abort"), 2, "got several"),
    ):
        done = home.run("ca", "rotate", *arguments)
        assert (done.returncode, said in done.stderr) == (status, True), done
    assert home.run("--json", "ca", "show").stdout == before
    assert (home.home / "swarmsec.toml").read_bytes() == settings
    assert hsm.keys_named("swarm", "root") == (1, 1)


def test_a_rotation_that_is_refused_leaves_no_settings_of_a_token(home: ServedHome, hsm: SoftHsm, token: Path) -> None:
    init(home)
    before = (home.home / "swarmsec.toml").read_bytes()
    done = home.run("ca", "rotate", "--pkcs11", hsm.uri(), "--docker", "unix:///nowhere.sock")
    assert (done.returncode, "expected --docker with a home that has adopted a Swarm" in done.stderr) == (2, True)
    assert (home.home / "swarmsec.toml").read_bytes() == before
    assert home.run("ca", "rotate", "--pkcs11", hsm.uri()).returncode == 0
    assert b"[pkcs11]" in (home.home / "swarmsec.toml").read_bytes()


def test_an_authority_that_is_there_already_gets_no_settings_of_a_token(
    home: ServedHome, hsm: SoftHsm, token: Path
) -> None:
    init(home)
    before = (home.home / "swarmsec.toml").read_bytes()
    done = home.run("--json", "ca", "init", "--pkcs11", hsm.uri())
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, "already_exists"), done
    assert (home.home / "swarmsec.toml").read_bytes() == before
    assert hsm.keys_named("swarm", "root") == (0, 0)


def test_a_token_that_is_away_stops_the_rotation_and_not_the_server(
    home: ServedHome, hsm: SoftHsm, token: Path, tmp_path: Path
) -> None:
    init(home, "--pkcs11", hsm.uri())
    home.serve()
    node = join(home, tmp_path, "a")
    hsm.pull(token)
    done = home.run("ca", "rotate", "--detach")
    assert (done.returncode, "put the token in" in done.stderr) == (3, True)
    assert [root["state"] for root in roots(home)] == ["active"]
    hsm.put(token)
    assert home.run("ca", "rotate", "--detach").returncode == 0

    hsm.pull(token)
    follow(home, node)
    assert status_of(home).record.phase != "retired"
    assert home.ask("GET", "/healthz").status == 200
    hsm.put(token)
    with daemons(home, node):
        wait_ended(home)
    assert status_of(home).record.phase == "retired"
    assert (node / ROOTS).exists()


def test_killed_at_any_step_it_makes_one_key_and_ends_when_repeated(hsm: SoftHsm, tmp_path: Path) -> None:
    def rotate(place: Place) -> tuple[str, ...]:
        return ("--home", str(place.home), "--json", "ca", "rotate", "--timeout", "30s")

    def made(commands: Commands, name: str) -> Place:
        hsm.make_token(name)
        place = new_place(tmp_path / name)
        ready = ("--home", str(place.home), "ca", "init", "--pkcs11", hsm.uri(name))
        commands.run(*ready, state=place.state).verify(0)
        return place

    with Commands(os.environ) as commands:
        counted = made(commands, "counted")
        ended, calls = commands.count_calls(*rotate(counted), state=counted.state, calls=DURABLE_CALLS)
        ended.verify(0)
        for number, kill in enumerate(kills(calls, every=12)):
            place = made(commands, f"t{number}")
            commands.run(*rotate(place), state=place.state, kill=kill).verify(-9)
            with opened(place) as home:
                newest = home.store.read(lambda transaction: transaction.rotations.newest())
            if newest is None or not newest.ended:
                commands.run(*rotate(place), state=place.state).verify(0)
            assert hsm.keys_named(f"t{number}", "root") == (2, 2), kill
            with opened(place) as home:
                verify_store(home.store)
                assert home.store.read(lambda transaction: list(transaction.intents.all())) == []
                states = [root.state for root in home.store.read(lambda transaction: transaction.authorities.all())]
                stored = home.store.read(lambda transaction: list(transaction.log_entries.since(0)))
            assert states == ["retired", "active"], kill
            actions = [parse_entry(item.data)["action"] for item in stored]
            assert actions.count("ca.root-create") == 1, kill


@pytest.mark.parametrize("has_key", [False, True], ids=["made", "found"])
def test_killed_on_its_way_into_a_token_it_leaves_no_settings_that_are_in_use_or_go_unsaid(
    hsm: SoftHsm, tmp_path: Path, *, has_key: bool
) -> None:
    finished = make_home(tmp_path / "finished")
    bare = (finished.home / "swarmsec.toml").read_bytes()

    def rotate(commands: Commands, place: Place, name: str) -> tuple[str, ...]:
        hsm.make_token(name)
        if has_key:
            other = new_place(tmp_path / name)
            make = ("--home", str(other.home), "ca", "init", "--pkcs11", hsm.uri(name))
            commands.run(*make, state=other.state).verify(0)
        return ("--home", str(place.home), "--json", "ca", "rotate", "--pkcs11", hsm.uri(name), "--timeout", "30s")

    def findings(commands: Commands, place: Place) -> list[str]:
        shown = commands.run("--home", str(place.home), "--json", "ca", "status", state=place.state).verify(0)
        return [finding["id"] for finding in json.loads(shown.stdout)["findings"]]

    with Commands(os.environ) as commands:
        counted = finished.copy(tmp_path / "place")
        ended, calls = commands.count_calls(
            *rotate(commands, counted, "counted"), state=counted.state, calls=DURABLE_CALLS
        )
        ended.verify(0)
        assert (counted.home / "swarmsec.toml").read_bytes() != bare
        assert findings(commands, counted) == []
        for number, kill in enumerate(kills(calls, every=40)):
            name = f"t{number}"
            place = finished.copy(tmp_path / "place")
            command = rotate(commands, place, name)
            commands.run(*command, state=place.state, kill=kill).verify(-9)
            with opened(place) as home:
                roots = home.store.read(lambda transaction: list(transaction.authorities.all()))
                begun = bool(home.store.read(lambda transaction: list(transaction.intents.all())))
            settings = (place.home / "swarmsec.toml").read_bytes()
            in_token = any(root.key_name.startswith("pkcs11:") for root in roots)
            left = ["ca-token-settings-unused"] if settings != bare and not in_token and not begun else []
            assert findings(commands, place) == (["ca-token-key-unfinished"] if begun else left), kill
            assert settings != bare or not in_token, kill
            assert has_key or not left, kill
            again = commands.run(*command, state=place.state)
            assert again.status == (2 if in_token else 0), (kill, again)
            with opened(place) as home:
                verify_store(home.store)
                states = [root.state for root in home.store.read(lambda transaction: transaction.authorities.all())]
            assert states == ["retired", "active"], kill
            assert findings(commands, place) == [], kill
            assert hsm.keys_named(name, "root") == (1, 1), kill
