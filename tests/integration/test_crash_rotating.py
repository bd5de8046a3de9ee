"""A rotation that was killed at any step, or met a full disk, is taken up by whoever comes next."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ca.identity import NodeIdentity, NodeRole
from swarmsec.services.ca.authority import Authority, load_authority
from swarmsec.services.ca.issue_for_nodes import issue_for_node
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord
from swarmsec.services.rotation.follow_rotation import Seen, must_renew, note_call, note_issued
from swarmsec.storage.checking import verify_store
from swarmsec.storage.tables import leases
from swarmsec.wiring.ca.authority import lifetime_of
from tests.integration.commands import SWEPT_CALLS, Commands, kills
from tests.integration.fulldisk import fill, small_disk
from tests.integration.rotating_nodes import daemons, join, status_of, wait_ended, wait_roots
from tests.integration.serve_world import ServedHome
from tests.integration.storefixtures import Place, make_home, opened, verify_whole
from tests.peers.ports import lasting_port
from tests.peers.processes import wait_for
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import new_key, renew, request_of, spki_of

SOAKING = bool(os.environ.get("SWARMSEC_SOAK"))


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands(os.environ) as running:
        yield running


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home to copy."""
    return make_home(tmp_path_factory.mktemp("finished") / "place")


def enrol(place: Place) -> None:
    """One node, that has a certificate and no directory."""
    with opened(place) as home:
        keys = home.keys()

        def unit(transaction: Transaction) -> None:
            authority = load_authority(transaction, keys, lifetime_of(home.config))
            identity = NodeIdentity(cluster_id=authority.cluster_id, role=NodeRole.WORKER, node_id="n1")
            issue_for_node(transaction, authority, identity, spki_of(new_key()), OPERATOR, via="token:test")

        home.store.write(unit)


def follow(place: Place) -> None:
    """What the node does in one round, by the services that the server uses."""
    with opened(place) as home:
        keys = home.keys()
        for _ in range(2):

            def unit(transaction: Transaction) -> CertificateRecord:
                authority: Authority = load_authority(transaction, keys, lifetime_of(home.config))
                record = transaction.certificates.by_subject("n1")[-1]
                trusted = hashlib.sha256(authority.trusted_pem).digest()
                note_call(transaction, authority, Seen(presented=record, roots_sha256=trusted), OPERATOR)
                authority = load_authority(transaction, keys, lifetime_of(home.config))
                if must_renew(authority, record.generation):
                    record = renew(transaction, authority, record, request_of(new_key()))
                    note_issued(transaction, authority, record, OPERATOR)
                return record

            home.store.write(unit)


def forget_leases(place: Place) -> None:
    """Let the killed process's leases run out now; their rows are of no part of the log."""
    with opened(place) as home, home.store.exclusive() as connection:
        connection.execute(leases.delete())


def roots_of(place: Place) -> list[str]:
    with opened(place) as home:
        return [root.state for root in home.store.read(lambda transaction: transaction.authorities.all())]


def rotate(place: Place, *more: str) -> tuple[str, ...]:
    return ("--home", str(place.home), "ca", "rotate", *more)


def test_without_nodes_killed_at_any_step_it_is_rotated_or_not(
    commands: Commands, finished: Place, tmp_path: Path
) -> None:
    counted = finished.copy(tmp_path / "place")
    ended, calls = commands.count_calls(*rotate(counted), state=counted.state, calls=SWEPT_CALLS)
    ended.verify(0)
    for kill in kills(calls):
        place = finished.copy(tmp_path / "place")
        commands.run(*rotate(place), state=place.state, kill=kill).verify(-9)
        verify_whole(place)
        before = roots_of(place)
        commands.run(*rotate(place), state=place.state).verify(0)
        verify_whole(place)
        assert roots_of(place) == ["retired"] * len(before) + ["active"], kill


@pytest.mark.parametrize("moved", [False, True], ids=["at its begin", "at its end"])
def test_with_a_node_killed_at_any_step_it_is_taken_up(
    moved: bool, commands: Commands, finished: Place, tmp_path: Path
) -> None:
    template = finished.copy(tmp_path / "template")
    enrol(template)
    if moved:
        commands.run(*rotate(template, "--detach"), state=template.state).verify(0)
        follow(template)
        forget_leases(template)
    counted = template.copy(tmp_path / "place")
    ended, calls = commands.count_calls(*rotate(counted, "--detach"), state=counted.state, calls=SWEPT_CALLS)
    ended.verify(0)
    for kill in kills(calls):
        place = template.copy(tmp_path / "place")
        commands.run(*rotate(place, "--detach"), state=place.state, kill=kill).verify(-9)
        verify_whole(place)
        forget_leases(place)
        commands.run(*rotate(place, "--follow" if moved else "--detach", "--timeout", "1s"), state=place.state)
        follow(place)
        forget_leases(place)
        commands.run(*rotate(place, "--follow"), state=place.state).verify(0)
        verify_whole(place)
        assert roots_of(place) == ["retired", "active"], kill


def test_calling_it_off_killed_at_any_step_is_finished_by_the_same_command(
    commands: Commands, finished: Place, tmp_path: Path
) -> None:
    template = finished.copy(tmp_path / "template")
    enrol(template)
    commands.run(*rotate(template, "--detach"), state=template.state).verify(0)
    forget_leases(template)
    counted = template.copy(tmp_path / "place")
    ended, calls = commands.count_calls(*rotate(counted, "--abort"), state=counted.state, calls=SWEPT_CALLS)
    ended.verify(0)
    for kill in kills(calls):
        place = template.copy(tmp_path / "place")
        commands.run(*rotate(place, "--abort"), state=place.state, kill=kill).verify(-9)
        verify_whole(place)
        forget_leases(place)
        commands.run(*rotate(place, "--abort"), state=place.state).verify(0)
        assert roots_of(place) == ["active", "abandoned"], kill
        verify_whole(place)


@pytest.mark.parametrize("free", range(0, 40, 2 if SOAKING else 8))
def test_on_a_full_disk_it_is_refused_and_goes_on_when_there_is_room(
    free: int, commands: Commands, finished: Place, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        place = finished.copy(disk / "place")
        enrol(place)
        fill(disk / "ballast", leave=free)
        status = commands.run(*rotate(place, "--detach"), state=place.state).status
        assert status in {0, 3}
        (disk / "ballast").unlink()
        verify_whole(place)
        forget_leases(place)
        commands.run(*rotate(place, "--detach"), state=place.state).verify(0)
        follow(place)
        fill(disk / "ballast", leave=free)
        assert commands.run(*rotate(place, "--follow", "--timeout", "1s"), state=place.state).status in {0, 3}
        (disk / "ballast").unlink()
        forget_leases(place)
        commands.run(*rotate(place, "--follow"), state=place.state).verify(0)
        assert roots_of(place) == ["retired", "active"]
        verify_whole(place)


@pytest.mark.parametrize("at", range(3, 60, 4) if SOAKING else (3, 7))
def test_a_server_killed_at_a_commit_goes_on_when_it_is_back(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server does every step, and is killed as it makes one of its commits last; each thread's are counted apart.

    Two nodes that come together share commits, so a small number is certain to be reached before the end.
    """
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    injection = ("-e", "trace=fdatasync", "-e", f"inject=fdatasync:signal=KILL:when={at}")
    kill = ("strace", "-f", "-qq", "-o", "/dev/null", *injection)
    with ServedHome(tmp_path) as plain:
        listen = f"127.0.0.1:{lasting_port()}"
        plain.create().serve(listen=listen)
        nodes = [join(plain, tmp_path, name) for name in ("a", "b")]
        plain.stop()
        assert plain.run("ca", "rotate", "--detach").returncode == 0
        with ServedHome(tmp_path, wrapper=kill) as doomed, daemons(plain, *nodes):
            doomed.launch(listen=listen)
            is_over = lambda: not doomed.process.is_running or status_of(plain).is_over  # noqa: E731
            wait_for(is_over, timeout=120, what="a crash or the end")
            # A server that is killed later than it has work to do was not killed; only the long run goes that far.
            assert SOAKING or not doomed.process.is_running
            doomed.stop()
            plain.serve(listen=listen)
            wait_ended(plain)
            assert status_of(plain).record.phase == "retired"
            roots = plain.roots
            for node in nodes:
                wait_roots(node, roots)
        plain.stop()
        with plain.opened() as (home, _):
            verify_store(home.store)
        shown = json.loads(plain.run("ca", "show", "--json").stdout)["roots"]
        assert [root["state"] for root in shown] == ["retired", "active"]
