"""``ca revoke`` and ``ca crl``, killed at any durable step and on a full disk: all or nothing, numbers only rise."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.commands import SWEPT_CALLS, Commands, kills
from tests.integration.fulldisk import fill, small_disk
from tests.integration.storefixtures import Place, make_home, verify_whole
from tests.integration.test_crash_commands import actions


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands(os.environ) as running:
        yield running


@pytest.fixture(scope="module")
def issued(commands: Commands, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home with three certificates, two of one name, to copy."""
    directory = tmp_path_factory.mktemp("revoking")
    place = make_home(directory / "place")
    for number, name in enumerate(("db", "db", "web")):
        out = str(directory / str(number))
        arguments = ("ca", "issue", "--profile", "server", "--san", name, "--out", out)
        commands.run("--home", str(place.home), *arguments, state=place.state).verify(0)
    return place


def states(commands: Commands, place: Place) -> dict[str, Counter[str]]:
    """How many certificates of each name are in each state."""
    listed = commands.run("--home", str(place.home), "--json", "ca", "list", state=place.state).verify(0)
    found: dict[str, Counter[str]] = {"db": Counter(), "web": Counter()}
    for item in json.loads(listed.stdout):
        found[item["node_id"]][item["status"]] += 1
    return found


def test_a_revocation_killed_at_any_step_is_whole_or_not_there(
    commands: Commands, issued: Place, tmp_path: Path
) -> None:
    def revoke(place: Place) -> tuple[str, ...]:
        return ("--home", str(place.home), "ca", "revoke", "db", "--reason", "keyCompromise", "--comment", "leaked")

    counted = issued.copy(tmp_path / "place")
    ended, calls = commands.count_calls(*revoke(counted), state=counted.state, calls=SWEPT_CALLS)
    ended.verify(0)
    outcomes = Counter[bool]()
    for kill in kills(calls, every=2):
        place = issued.copy(tmp_path / "place")
        killed = commands.run(*revoke(place), state=place.state, kill=kill).verify(-9)
        verify_whole(place)
        found = states(commands, place)
        assert found["db"] in (Counter(valid=2), Counter(revoked=2)), kill
        is_done = found["db"]["revoked"] == 2
        assert found["web"] == Counter(valid=1)
        assert actions(place).count("ca.revoke") == is_done, kill
        if killed.stdout:
            assert is_done, kill
        outcomes[is_done] += 1
        commands.run(*revoke(place), state=place.state).verify(0)
        assert states(commands, place)["db"] == Counter(revoked=2)
        verify_whole(place)
    assert set(outcomes) == {True, False}


def test_a_list_killed_at_any_step_is_made_again_with_a_higher_number(
    commands: Commands, issued: Place, tmp_path: Path
) -> None:
    def number(place: Place, *more: str) -> int:
        out = tmp_path / "crl.pem"
        made = commands.run("--home", str(place.home), "--json", "ca", "crl", "--out", str(out), state=place.state)
        return int(json.loads(made.verify(0).stdout)["number"])

    before = issued.copy(tmp_path / "place")
    first = number(before)
    commands.run("--home", str(before.home), "ca", "revoke", "web", state=before.state).verify(0)
    ready = before.copy(tmp_path / "ready")
    arguments = ("--home", str(before.home), "ca", "crl", "--out", str(tmp_path / "killed.pem"))
    ended, calls = commands.count_calls(*arguments, state=before.state, calls=SWEPT_CALLS)
    ended.verify(0)
    for kill in kills(calls, every=2):
        place = ready.copy(tmp_path / "place")
        again = ("--home", str(place.home), "ca", "crl", "--out", str(tmp_path / "killed.pem"))
        commands.run(*again, state=place.state, kill=kill).verify(-9)
        verify_whole(place)
        second = number(place)
        assert second > first, kill
        assert number(place) == second, kill


def test_on_a_full_disk_nothing_is_revoked_and_it_is_said(commands: Commands, issued: Place, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        place, ballast = issued.copy(disk / "place"), disk / "ballast"
        fill(ballast)
        refused = commands.run("--home", str(place.home), "ca", "revoke", "db", state=place.state)
        assert refused.status == 3, refused
        assert refused.stdout == ""
        ballast.unlink()
        assert states(commands, place)["db"] == Counter(valid=2)
        commands.run("--home", str(place.home), "ca", "revoke", "db", state=place.state).verify(0)
        assert states(commands, place)["db"] == Counter(revoked=2)
        verify_whole(place)
