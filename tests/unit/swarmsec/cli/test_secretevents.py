"""``secrets events``: deliveries and refusals, told apart from everything else in the log."""

from __future__ import annotations

import json

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.wiring.homes.home import open_home
from tests.unit.swarmsec.cli.program import Program
from tests.unit.swarmsec.homes import OPERATOR, private_files


def deliver(program: Program, name: str, outcome: Outcome, reason: str = "") -> None:
    """What the driver puts on record."""
    target = ObjectRef(type="secret", name=name, version=2 if outcome is Outcome.SUCCESS else None)
    fields = {"task": "t" * 25, "service": "s" * 25, "service_name": "shop_api", "node": "n" * 25, "image": "busybox"}
    event = OPERATOR.event(Action.SECRET_DELIVER, target, outcome=outcome, reason=reason, fields=fields)
    with private_files():
        home = open_home(program.home)
        home.store.write(lambda transaction: transaction.log(event))
        home.close()


def test_who_got_what_and_who_was_refused(program: Program) -> None:
    program.good("secrets", "create", "team/app/db", stdin=b"one")
    deliver(program, "team/app/db", Outcome.SUCCESS)
    deliver(program, "team/app/db", Outcome.DENIED, "no rule allows it")
    deliver(program, "other", Outcome.SUCCESS)

    header, *rows = program.good("secrets", "events").out.splitlines()
    lines = program.good("secrets", "events", "team/app/db", "--json").out.splitlines()

    assert header.split("\t") == ["TIME", "OUTCOME", "SECRET", "VERSION", "SERVICE", "NODE", "TASK", "REASON"]
    assert [row.split("\t")[1:5] for row in rows] == [
        ["success", "team/app/db", "2", "shop_api"],
        ["denied", "team/app/db", "", "shop_api"],
        ["success", "other", "2", "shop_api"],
    ]
    given, refused = map(json.loads, lines)
    assert (given["outcome"], given["version"], given["reason"]) == ("success", 2, None)
    assert (refused["outcome"], refused["reason"], refused["task"]) == ("denied", "no rule allows it", "t" * 25)


def test_the_newest_alone(program: Program) -> None:
    deliver(program, "a", Outcome.SUCCESS)
    deliver(program, "b", Outcome.SUCCESS)

    (line,) = program.good("--json", "secrets", "events", "--limit", "1").out.splitlines()
    assert json.loads(line)["name"] == "b"


def test_hostile_words_stay_words(program: Program) -> None:
    deliver(program, "\x1b[2J", Outcome.DENIED, "no\n\x1b]0;owned\x07")

    out = program.good("secrets", "events").out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 2


def test_what_is_no_name_ends_with_2(program: Program) -> None:
    assert program("secrets", "events", "a//b").code == 2
