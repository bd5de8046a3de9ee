"""``swarmsec secrets events``: who got which secret, and who was refused it and why.

Docker hides a driver's reason from everybody; the log has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import click

from swarmsec.cli.audit import follow_log, print_log
from swarmsec.cli.frame import opened_home, options_of
from swarmsec.cli.tables import is_terminal, print_cells

if TYPE_CHECKING:
    from swarmsec.services.log.read_log import LogEntry

_COLUMNS: Final = ("TIME", "OUTCOME", "SECRET", "VERSION", "SERVICE", "NODE", "TASK", "REASON")
_WIDTHS: Final = (20, 8, 20, 7, 16, 12, 12, 0)
"""Of the columns on a terminal; the first five fill a line of 80."""
_SHORT: Final = 12
"""Characters of an id on a terminal, as Docker shows them."""


@click.command()
@click.argument("name", default="")
@click.option("--since", default="", metavar="TIME", help="From a time (RFC 3339), a date, or a time ago: 90m, 7d.")
@click.option("--limit", type=click.IntRange(1, 10_000_000), metavar="N", help="Only the newest N.")
@click.option("--follow", is_flag=True, help="Go on with new events until stopped.")
@click.pass_context
def events(context: click.Context, name: str, since: str, limit: int | None, follow: bool) -> None:
    """List what tasks asked the secret driver for, oldest first, or only what concerns the secret NAME.

    A task that was refused its secret fails in Docker with "unable to get secret from secret store" and no reason;
    the reason is here. With --json each line is one event.

    \b
    Examples:
      swarmsec secrets events --since 1h
      swarmsec secrets events team/app/db --limit 20
    """
    from swarmsec.audit.actions import Action
    from swarmsec.secretstore.names import SecretName
    from swarmsec.services.log.read_log import LogQuestion, parse_since

    with opened_home(context) as home:
        question = LogQuestion(
            since=parse_since(since, now_ms=home.clock.unix_ms()) if since else "",
            action=Action.SECRET_DELIVER.value,
            target=SecretName.parse(name).text if name else "",
        )
        size = home.store.head().size
        show = _printer(as_json=options_of(context).json)
        print_log(home, question, limit, size, show)
        if follow:
            follow_log(home, question, size, show)


def event_of(entry: LogEntry) -> dict[str, Any]:
    """An entry as ``secrets events --json`` shows it."""
    members = entry.members
    target, fields = _members(members.get("object")), _members(members.get("fields"))
    return {
        "seq": entry.seq,
        "time": members["time"],
        "outcome": members["outcome"],
        "name": target.get("name"),
        "version": target.get("version"),
        "service": fields.get("service_name"),
        "service_id": fields.get("service"),
        "node": fields.get("node"),
        "task": fields.get("task"),
        "image": fields.get("image"),
        "reason": members.get("reason"),
    }


def _printer(*, as_json: bool) -> Callable[[Iterable[LogEntry]], None]:
    import json

    def show_lines(entries: Iterable[LogEntry]) -> None:
        for entry in entries:
            click.echo(json.dumps(event_of(entry)))

    def show_rows(entries: Iterable[LogEntry]) -> None:
        for entry in entries:
            print_cells(_row(event_of(entry)), _WIDTHS)

    if as_json:
        return show_lines
    print_cells(_COLUMNS, _WIDTHS)
    return show_rows


def _row(event: dict[str, Any]) -> tuple[str, ...]:
    cut = _SHORT if is_terminal() else None
    return (
        f"{str(event['time'])[:19]}Z",
        str(event["outcome"]),
        str(event["name"] or ""),
        str(event["version"] or ""),
        str(event["service"] or ""),
        str(event["node"] or "")[:cut],
        str(event["task"] or "")[:cut],
        str(event["reason"] or ""),
    )


def _members(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
