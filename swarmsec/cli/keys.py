"""``swarmsec keys``: the terms that seal the records, the recovery key, and the seals around the root key."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.services.rotate_keys import Begun
    from swarmsec.wiring.rotating import Rotated


@click.group()
def keys() -> None:
    """The keys that seal this home.

    \b
    Examples:
      swarmsec keys rotate
      swarmsec keys list
      swarmsec keys recovery --recovery-out ./recovery.key
    """


@keys.command()
@click.pass_context
def rotate(context: click.Context) -> None:
    """Make a new key term, move every record to it, and erase the former terms.

    A rotation that was interrupted is continued, and one that another process is at is followed to its end.
    """
    from swarmsec.cli.progress import Advance, progress
    from swarmsec.wiring.rotating import Watcher, rotate_keys

    with opened_home(context) as home, ExitStack() as stack:
        advance: list[Advance] = []

        def begins(begun: Begun) -> None:
            if begun.resumed:
                say(f"continuing an unfinished rotation: {begun.records} records still to move to term {begun.term}")
            advance.append(stack.enter_context(progress("moving records", begun.records)))

        watcher = Watcher(
            waits=lambda holder: say(f"following the rotation that {holder} is at"),
            begins=begins,
            moved=lambda count: advance[-1](count),
        )
        rotated = rotate_keys(home, keys_of(context, home).ring, local_requester(), watcher)
    _report_rotated(context, rotated)


def _report_rotated(context: click.Context, rotated: Rotated) -> None:
    if options_of(context).json:
        print_json(
            {
                "term": rotated.term,
                "records": rotated.records,
                "destroyed": list(rotated.destroyed),
                "resumed": rotated.resumed,
                "followed": rotated.followed,
            }
        )
        return
    click.echo(f"term {rotated.term}")
    if not rotated.followed:
        gone = ", ".join(map(str, rotated.destroyed)) or "none"
        say(f"moved {rotated.records} records; erased terms: {gone}")


@keys.command("list")
@click.pass_context
def list_command(context: click.Context) -> None:
    """List the key terms: state, when they were made, and how many records need them."""
    from swarmsec.cli.tables import print_table
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.services.rotate_keys import list_terms

    with opened_home(context) as home:
        found = home.store.read(list_terms)
    if options_of(context).json:
        print_json(
            [
                {
                    "term": item.term,
                    "state": item.state,
                    "created": rfc3339_seconds(item.created),
                    "records": item.records,
                }
                for item in found
            ]
        )
        return
    print_table(
        ("TERM", "STATE", "CREATED", "RECORDS"),
        [(str(item.term), item.state, rfc3339_seconds(item.created), str(item.records)) for item in found],
    )
