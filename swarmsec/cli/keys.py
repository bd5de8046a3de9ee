"""``swarmsec keys``: the terms that seal the records, the recovery key, and the seals around the root key."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import ask_passphrase, local_requester, opened_home, options_of, print_json, say
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.services.homes.rotate_keys import Begun
    from swarmsec.wiring.homes.rotating import Rotated


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
    from swarmsec.wiring.homes.rotating import Watcher, rotate_keys

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
    from swarmsec.services.homes.rotate_keys import list_terms

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


@keys.command()
@click.option(
    "--recovery-out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the key to a new FILE (mode 0600) instead of showing it once.",
)
@click.pass_context
def recovery(context: click.Context, recovery_out: Path | None) -> None:
    """Make a new recovery key; the former one opens earlier backups alone.

    Keep the former one for as long as you keep backups that were made with it.
    """
    from swarmsec.wiring.homes.custody import renew_recovery_key

    with opened_home(context) as home:
        made = renew_recovery_key(home, keys_of(context, home), local_requester(), recovery_out)
    document = {"recovery_recipient": made.recipient}
    if recovery_out is not None:
        document["recovery_file"] = str(recovery_out)
    else:
        document["recovery_key"] = made.identity.reveal().decode()
    if options_of(context).json:
        print_json(document)
        return
    if recovery_out is None:
        say("the recovery key opens every later backup of this home; it is shown this once, keep it elsewhere:")
    click.echo(document.get("recovery_key") or str(recovery_out))


@keys.group()
def seal() -> None:
    """The seals around the root key: a key file, a passphrase, or both.

    \b
    Examples:
      swarmsec keys seal add passphrase
      swarmsec keys seal list
      swarmsec keys seal remove 2186327db9cc1081
    """


@seal.command("add")
@click.argument("kind", type=click.Choice(["file", "passphrase"]))
@click.pass_context
def add_command(context: click.Context, kind: str) -> None:
    """Add a seal; one of the same KIND is replaced.

    With --passphrase-file the file has the new passphrase, if the home opens without the present one.
    """
    from swarmsec.wiring.homes.custody import set_seal

    with opened_home(context) as home:
        opened = keys_of(context, home)
        made = set_seal(home, opened, kind, lambda prompt: ask_passphrase(context, prompt), local_requester())
    if options_of(context).json:
        print_json({"seal_id": made.seal_id, "kind": made.kind})
    else:
        click.echo(made.seal_id)


@seal.command("list")
@click.pass_context
def list_seals_command(context: click.Context) -> None:
    """List the seals that open this home."""
    from swarmsec.cli.tables import print_table
    from swarmsec.clock import rfc3339_seconds

    with opened_home(context) as home:
        found = home.store.read(lambda transaction: list(transaction.seals.all()))
    listed = [{"seal_id": row.seal_id, "kind": row.kind, "created": rfc3339_seconds(row.created)} for row in found]
    if options_of(context).json:
        print_json(listed)
    else:
        print_table(("SEAL", "KIND", "CREATED"), [tuple(item.values()) for item in listed])


@seal.command("remove")
@click.argument("seal_id")
@click.pass_context
def remove_command(context: click.Context, seal_id: str) -> None:
    """Remove the seal SEAL_ID and its key file; the last seal stays."""
    from swarmsec.wiring.homes.custody import drop_seal

    with opened_home(context) as home:
        # Whoever cannot open the home may not decide what opens it.
        keys_of(context, home)
        gone = drop_seal(home, seal_id, local_requester())
    if options_of(context).json:
        print_json({"seal_id": gone.seal_id, "kind": gone.kind})
    else:
        click.echo(f"removed {gone.seal_id}")
