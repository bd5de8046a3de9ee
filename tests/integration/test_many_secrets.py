"""A home with many secrets: lists in bounded memory, one prefix for far less than all, and the work on the whole store.

``SWARMSEC_SOAK=1`` makes 100,000; what costs how much more than what is only asked there, for with few of them a
process is busy with its own start.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.names import SecretName
from swarmsec.services.ports import Transaction
from swarmsec.services.secrets.keep_secrets import NewSecret, create_secret
from tests.integration.commands import SOAK
from tests.peers.swarmsec_host import PROGRAM
from tests.unit.swarmsec.homes import OPERATOR, make_home

MANY = 100_000 if SOAK else 1_200
TEAMS = 50
BATCH = 500
FAR_LESS = 5
ROOM_KIB = 24 << 10
"""What a list of many may take more than a list of none: a page of secrets, and what Python keeps for the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended, the processor time it took in seconds, and the most memory it had in KiB."""

    status: int
    stdout: str
    seconds: float
    kib: int

    @property
    def names(self) -> list[str]:
        """The first column of a list."""
        return [line.split("\t")[0] for line in self.stdout.splitlines()[1:]]


class Shelf:
    """The home, asked by processes of their own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = directory / "home"

    def run(self, *arguments: str) -> Ended:
        with (self.directory / "stdout").open("w+b") as out, (self.directory / "stderr").open("w+b") as err:
            process = subprocess.Popen([*PROGRAM, "--home", str(self.home), *arguments], stdout=out, stderr=err)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            err.seek(0)
            words = err.read().decode()
            assert "Traceback" not in words
            return Ended(
                status=process.returncode,
                stdout=out.read().decode(),
                seconds=usage.ru_utime + usage.ru_stime,
                kib=usage.ru_maxrss,
            )

    def good(self, *arguments: str) -> Ended:
        ended = self.run(*arguments)
        assert ended.status == 0, ended
        return ended


def name_of(number: int) -> str:
    return f"team{number % TEAMS:02}/{number:06}"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    directory = tmp_path_factory.mktemp("many")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        home, keys, _ = make_home(directory / "home")

        def unit(transaction: Transaction, first: int) -> None:
            for number in range(first, min(first + BATCH, MANY)):
                value = SecretBytes(f"value of {number}".encode())
                new = NewSecret(
                    name=SecretName.parse(name_of(number)), value=value, labels={}, generated=number % 2 == 1
                )
                create_secret(transaction, keys, new, OPERATOR)

        for first in range(0, MANY, BATCH):
            home.store.write(partial(unit, first=first))
        home.close()
        yield Shelf(directory)


def test_a_list_of_many_takes_the_memory_of_a_page(shelf: Shelf) -> None:
    nothing, everything = shelf.good("secrets", "list", "nobody/"), shelf.good("secrets", "list")
    assert (nothing.names, everything.names) == ([], sorted(map(name_of, range(MANY))))
    assert everything.kib < nothing.kib + ROOM_KIB
    document = shelf.good("--json", "secrets", "list")
    assert [item["name"] for item in json.loads(document.stdout)] == everything.names
    assert document.kib < nothing.kib + ROOM_KIB


def test_a_prefix_costs_what_it_finds(shelf: Shelf) -> None:
    nothing, everything = shelf.good("secrets", "list", "nobody/"), shelf.good("secrets", "list")
    team = shelf.good("secrets", "list", "team07/")
    assert team.names == [name for name in everything.names if name.startswith("team07/")]
    if SOAK:
        assert (team.seconds - nothing.seconds) * FAR_LESS < everything.seconds - nothing.seconds


def test_values_that_are_old_are_found_without_a_look_at_all(shelf: Shelf) -> None:
    """A rule covers all of them, and none is old."""
    rules = "apiVersion: swarmsec.dev/v1\nkind: RotationPolicy\nmetadata: {name: all}\nspec:\n  rules:\n"
    policy = shelf.directory / "policy.yaml"
    policy.write_text(f'{rules}    - {{secrets: ["**"], every: 30d}}\n')
    shelf.good("policy", "apply", str(policy))
    nothing, everything = shelf.good("secrets", "list", "nobody/"), shelf.good("secrets", "list")
    overdue = shelf.good("secrets", "list", "--overdue")
    assert overdue.names == []
    if SOAK:
        assert (overdue.seconds - nothing.seconds) * FAR_LESS < everything.seconds - nothing.seconds


def test_the_whole_store_is_verified_backed_up_and_sealed_anew(shelf: Shelf) -> None:
    before = json.loads(shelf.good("--json", "audit", "verify").stdout)
    assert before["ok"]
    assert before["entries"] > MANY
    shelf.good("keys", "rotate")
    values = [json.loads(shelf.good("--json", "audit", "verify").stdout)["ok"]]
    values += [shelf.good("secrets", "reveal", name_of(number)).stdout for number in (0, MANY // 2, MANY - 1)]
    assert values == [True, *(f"value of {number}" for number in (0, MANY // 2, MANY - 1))]
    backup = shelf.directory / "backup"
    shelf.good("backup", str(backup))
    # A backup has every value and entry, its octets as base64: it is neither a part of the store nor several of it.
    assert backup.stat().st_size * FAR_LESS > (shelf.home / "state.db").stat().st_size
    assert backup.stat().st_size < (shelf.home / "state.db").stat().st_size * 2
