"""``ca issue --out`` writes its files whole or not at all, wherever it is killed, and can be undone and repeated."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.commands import DURABLE_CALLS, Commands, kills
from tests.integration.storefixtures import Place, make_home, verify_whole

FILES = {"ca.pem", "cert.pem", "key.pem"}


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with Commands(os.environ) as running:
        yield running


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home to copy."""
    return make_home(tmp_path_factory.mktemp("finished") / "place")


def test_a_certificate_killed_at_any_step_can_be_revoked_and_issued_again(
    commands: Commands, finished: Place, tmp_path: Path
) -> None:
    out = tmp_path / "docker-1"

    def arguments(place: Place, *more: str) -> tuple[str, ...]:
        return ("--home", str(place.home), "ca", *more)

    issue = ("issue", "--profile", "server", "--san", "docker-1", "--out", str(out))
    counted = finished.copy(tmp_path / "place")
    ended, calls = commands.count_calls(*arguments(counted, *issue), state=counted.state, calls=DURABLE_CALLS)
    ended.verify(0)
    files_seen = set()
    for kill in kills(calls):
        shutil.rmtree(out, ignore_errors=True)
        place = finished.copy(tmp_path / "place")
        commands.run(*arguments(place, *issue), state=place.state, kill=kill).verify(-9)
        verify_whole(place)
        listed = json.loads(commands.run(*arguments(place, "list", "--json"), state=place.state).verify(0).stdout)
        written = {path.name for path in out.glob("[!.]*")}
        files_seen.add(frozenset(written))
        if "cert.pem" in written:
            assert written == FILES, kill
        if written:
            assert [item["status"] for item in listed] == ["valid"], kill
        if listed:
            commands.run(*arguments(place, "revoke", "docker-1"), state=place.state).verify(0)
        shutil.rmtree(out, ignore_errors=True)
        commands.run(*arguments(place, *issue), state=place.state).verify(0)
        assert {path.name for path in out.iterdir()} == FILES, kill
    assert {frozenset(), frozenset({"ca.pem"}), frozenset({"ca.pem", "key.pem"})} <= files_seen
