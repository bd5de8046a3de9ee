"""``swarmsec audit export`` and ``prune``: the log for others, and the log's old entries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.auditproofs import log_key_option, parse_key
from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.wiring.log.logexport import Exported, ExportFormat


@click.command()
@click.option("--format", "wanted", type=click.Choice(["jsonl", "tiles"]), default="tiles", show_default=True)
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="A new directory, or one with an earlier export.",
)
@log_key_option
@click.pass_context
def export(context: click.Context, wanted: str, out: Path, log_key: str | None) -> None:
    """Write the log with its signed checkpoint to a directory, for somebody who verifies it without this home.

    tiles is the layout of C2SP tlog-tiles; jsonl is one entry a line. Both are verified before they are called done.
    With --server the log comes from there; give --log-key then, as pinned.

    \b
    Examples:
      swarmsec audit export -o evidence
      swarmsec audit export --format jsonl -o lines
    """
    from swarmsec.wiring.log.logexport import ExportFormat

    form = ExportFormat(wanted)
    if options_of(context).server is not None:
        found = _from_server(context, form, out, log_key)
    else:
        found = _from_home(context, form, out)
    if options_of(context).json:
        print_json({"entries": found.entries, "pruned": found.pruned, "root": found.root.hex(), "dir": str(out)})
        return
    click.echo(out)
    say(f"{found.entries} entries, root {found.root.hex()}")


def _from_home(context: click.Context, form: ExportFormat, out: Path) -> Exported:
    from swarmsec.wiring.log.exporting import export_home

    with opened_home(context) as home:
        return export_home(home, keys_of(context, home), out, form, local_requester())


def _from_server(context: click.Context, form: ExportFormat, out: Path, log_key: str | None) -> Exported:
    from swarmsec.errors import UsageProblem
    from swarmsec.wiring.log.logclient import LogClient
    from swarmsec.wiring.log.logexport import export_log

    if log_key is None:
        raise UsageProblem("expected the key of the server's log", hint="give it with --log-key, as pinned")
    client = LogClient.of(options_of(context).server, options_of(context).identity)
    return export_log(client.log(), parse_key(log_key), out, form, lambda _: None)


@click.command()
@click.option("--keep", required=True, metavar="TIME", help="Keep entries this young whole: 400d, 13mo, 2y.")
@click.option("--dry-run", is_flag=True, help="Say what would be pruned, and change nothing.")
@click.pass_context
def prune(context: click.Context, keep: str, dry_run: bool) -> None:
    """Take the content of old entries away; their hashes stay, and every proof with them.

    The whole log is verified first. Entries go in steps of 256. Export them before, if anybody may ask for them.

    \b
    Example:
      swarmsec audit prune --keep 13mo --dry-run
    """
    from swarmsec.services.log.prune_log import parse_keep
    from swarmsec.wiring.log.pruning import prune_log

    wanted = parse_keep(keep)
    with opened_home(context) as home:
        found = prune_log(home, keys_of(context, home), wanted, local_requester(), dry_run=dry_run)
    if options_of(context).json:
        print_json({"below": found.below, "newly": found.newly, "dry_run": dry_run})
        return
    click.echo(f"{found.newly} entries {'would lose' if dry_run else 'lost'} their content")
    say(f"entries before {found.below} are kept by their hashes alone")
