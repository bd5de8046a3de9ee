"""``swarmsec trust export``: the repository as one file, for machines without a network."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from swarmsec.cli.durations import DURATION
from swarmsec.cli.frame import local_requester, options_of, print_json
from swarmsec.cli.trusthome import opened_trust
from swarmsec.cli.trustinput import FILE, write_file
from swarmsec.cli.unlock import keys_of


@click.command()
@click.option("-o", "--output", type=FILE, required=True, metavar="FILE", help="Where to write the bundle.")
@click.option("--ttl", type=DURATION, default="7d", show_default=True, help="How long it holds.")
@click.pass_context
def export(context: click.Context, output: Path, ttl: timedelta) -> None:
    """Write metadata and policy as one file for image verify --offline.

    \b
    Examples:
      swarmsec trust export -o bundle.json --ttl 2d
    """
    from swarmsec.services.trust.export_trust import export_trust

    with opened_trust(context) as home:
        keys = keys_of(context, home)
        data = home.store.write(lambda transaction: export_trust(transaction, keys, local_requester(), ttl=ttl))
    write_file(output, data)
    if options_of(context).json:
        print_json({"file": str(output), "bytes": len(data)})
    else:
        click.echo(str(output))
