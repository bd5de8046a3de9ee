"""``swarmsec agent``: what it shows of this host, and what it says where it cannot work."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmsec.reports.host_report import parse_host_report
from tests.unit.swarmsec.cli.program import Program

SERVER = ("--server", "https://127.0.0.1:1", "--identity")


def test_it_shows_what_it_would_say_and_sends_nothing(program: Program) -> None:
    shown = program.good("agent", "--show", "--pid-file", "/nonexistent", "--json").out
    table = program.good("agent", "--show", "--pid-file", "/nonexistent").out

    assert '"daemon": null' in shown
    assert "daemon unknown" in table
    assert "does a Docker Engine run here?" in table
    assert max(map(len, table.splitlines())) < 400


def test_what_it_shows_is_what_it_would_send(program: Program) -> None:
    from swarmsec.wiring.reports.hostfacts import collect_host_facts
    from swarmsec.wiring.reports.hostreading import HostTree

    document = program.good("agent", "--show", "--json").document

    assert set(document) == set(collect_host_facts(HostTree()).__struct_fields__)
    with pytest.raises(Exception, match="expected"):
        parse_host_report(b"{}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("agent",), "expected --server URL and --identity DIR"),
        ((*SERVER, "nowhere", "agent"), "no nowhere/swarmsec.key"),
        ((*SERVER, "nowhere", "agent", "--once"), "no nowhere/swarmsec.key"),
        ((*SERVER, "nowhere", "agent", "--every", "5s"), "expected --every of 10s to 30m"),
        ((*SERVER, "nowhere", "agent", "--every", "31m"), "expected --every of 10s to 30m"),
        (("--server", "http://x", "--identity", "nowhere", "agent"), "expected --server https://HOST:PORT"),
    ],
)
def test_a_call_that_cannot_be_meant_ends_at_once(arguments: tuple[str, ...], said: str, program: Program) -> None:
    answer = program(*arguments)

    assert answer.code == 2, answer.err
    assert said in answer.err


def test_an_authority_that_is_away_is_3(program: Program, tmp_path: Path) -> None:
    identity = tmp_path / "identity"
    program.good("access", "add", "node-1", "--role", "agent:node-1", "--out", str(identity))
    answer = program(*SERVER, str(identity), "agent", "--once")

    assert answer.code == 3, answer.err
    assert "could not be reached" in answer.err
