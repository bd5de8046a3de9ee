"""``swarmsec audit``: read the log, and verify it with everything that it speaks of."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from time import sleep as wait
from typing import TYPE_CHECKING, Final

import click

from swarmsec.cli.auditexport import export, prune
from swarmsec.cli.audithashes import hash_keys, hashes_of_stdin
from swarmsec.cli.auditproofs import check, consistency, prove
from swarmsec.cli.auditverify import verify
from swarmsec.cli.auditwitness import witness
from swarmsec.cli.frame import opened_home, options_of, say
from swarmsec.cli.report import report
from swarmsec.cli.streams import verify_read
from swarmsec.cli.tables import is_terminal, print_cells

if TYPE_CHECKING:
    from swarmsec.services.log.read_log import LogEntry, LogQuestion
    from swarmsec.wiring.homes.home import Home

FOLLOW_SECONDS: Final = 0.5
_COLUMNS: Final = ("SEQ", "TIME", "ACTOR", "ACTION", "OUTCOME", "OBJECT", "REASON")
_WIDTHS: Final = (6, 24, 12, 15, 7, 32, 0)
"""Of the columns on a terminal; the first five fill a line of 80."""


@click.group()
def audit() -> None:
    """The log of everything that changed state, revealed a secret or was refused."""


audit.add_command(report)


@audit.command()
@click.option("--since", default="", metavar="TIME", help="From a time (RFC 3339), a date, or a time ago: 90m, 7d.")
@click.option("--actor", default="", metavar="A", help="Only of this actor: its id, or type:id.")
@click.option("--action", default="", metavar="A", help="Only this action, such as ca.issue, or all of one: ca.")
@click.option("--object", "target", default="", metavar="O", help="Only what was done to this type, id or name.")
@click.option("--match-stdin", is_flag=True, help="Only what holds the keyed hash of the value on stdin; logged.")
@click.option("--limit", type=click.IntRange(1, 10_000_000), metavar="N", help="Only the newest N.")
@click.option("--follow", is_flag=True, help="Go on with new entries until stopped.")
@click.pass_context
def log(
    context: click.Context,
    since: str,
    actor: str,
    action: str,
    target: str,
    match_stdin: bool,
    limit: int | None,
    follow: bool,
) -> None:
    """Print entries, oldest first; each is checked against its hash before it is shown.

    With --json each line is one entry, exactly as it is stored and hashed.

    \b
    Examples:
      swarmsec audit log --limit 20
      swarmsec audit log --since 7d --action ca --object certificate
      swarmsec audit log --json > log.jsonl
    """
    from swarmsec.services.log.read_log import LogQuestion, parse_action, parse_since

    with opened_home(context) as home:
        question = LogQuestion(
            since=parse_since(since, now_ms=home.clock.unix_ms()) if since else "",
            actor=actor,
            action=parse_action(action) if action else "",
            target=target,
        )
        size = home.store.head().size
        if match_stdin:
            question = replace(question, hashes=hashes_of_stdin(context, home))
            if not question.hashes:
                say("nothing was ever hashed in this log")
                return
        show = _printer(as_json=options_of(context).json)
        print_log(home, question, limit, size, show)
        if follow:
            follow_log(home, question, size, show)


def print_log(
    home: Home, question: LogQuestion, limit: int | None, size: int, show: Callable[[Iterable[LogEntry]], None]
) -> None:
    """Show what is selected of the first ``size`` entries; ``follow_log`` goes on from there."""
    from swarmsec.services.log.read_log import newest_of_log, read_log

    with home.store.reading() as transaction:
        found = read_log(transaction, question) if limit is None else newest_of_log(transaction, question, limit)
        show(entry for entry in found if entry.seq < size)


def follow_log(home: Home, question: LogQuestion, following: int, show: Callable[[Iterable[LogEntry]], None]) -> None:
    """Show entries as they come; every look is a transaction of its own, so that no writer waits for this."""
    from swarmsec.services.log.read_log import read_log

    while True:
        size = home.store.head().size
        if size > following:
            with home.store.reading() as transaction:
                show(entry for entry in read_log(transaction, question, first=following) if entry.seq < size)
            following = size
        sys.stdout.flush()
        verify_read()
        wait(FOLLOW_SECONDS)


def _printer(*, as_json: bool) -> Callable[[Iterable[LogEntry]], None]:
    """How entries are shown; each is out as soon as it is read, as a log may be larger than memory."""

    def show_lines(entries: Iterable[LogEntry]) -> None:
        for entry in entries:
            click.echo(_line(entry))

    def show_rows(entries: Iterable[LogEntry]) -> None:
        for entry in entries:
            print_cells(_row(entry), _WIDTHS)

    if as_json:
        return show_lines
    print_cells(_COLUMNS, _WIDTHS)
    return show_rows


def _line(entry: LogEntry) -> bytes | str:
    """An entry's exact bytes; on a terminal, characters that could steer it are written as JSON escapes."""
    if not is_terminal():
        return entry.data
    text = entry.data.decode()
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def _row(entry: LogEntry) -> tuple[str, ...]:
    members = entry.members
    actor, target = _texts(members.get("actor")), _texts(members.get("object"))
    version = f" v{target['version']}" if "version" in target else ""
    named = " ".join(filter(None, (target.get("type"), target.get("name"), target.get("id"))))
    return (
        str(entry.seq),
        str(members["time"]),
        f"{actor.get('type', '')}:{actor.get('id', '')}",
        str(members["action"]),
        str(members["outcome"]),
        f"{named}{version}",
        str(members.get("reason", "")),
    )


def _texts(value: object) -> dict[str, str]:
    return {name: str(member) for name, member in value.items()} if isinstance(value, dict) else {}


for _command in (verify, prove, check, consistency, export, prune, witness, hash_keys):
    audit.add_command(_command)
