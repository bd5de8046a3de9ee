"""The home of this call, made where there is none: for the commands that somebody's first one may be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import ask_passphrase, close_home, home_path, local_requester, opened_home, options_of, say

if TYPE_CHECKING:
    from swarmsec.wiring.homes.home import Home


@contextmanager
def opened_or_new_home(context: click.Context, recovery_out: Path | None) -> Iterator[Home]:
    """Open the home of this call, or make it with a key file as its seal, and say so.

    Args:
        context: of the command.
        recovery_out: where to write the recovery key of a new home; shown once on stderr without it.
    """
    from swarmsec.wiring.homes.creating import NewHome, create_home, home_exists

    path = home_path(options_of(context))
    if home_exists(path):
        with opened_home(context) as home:
            yield home
        return
    wanted = NewHome(path=path, recovery_out=recovery_out)
    created = create_home(wanted, lambda prompt: ask_passphrase(context, prompt), local_requester())
    say(f"made a new home at {path}")
    try:
        yield created.home
    finally:
        close_home(created.home)
        if recovery_out is None:
            # stdout belongs to the command's result. The key is shown even with -q, for it is shown only once.
            click.echo("the recovery key opens every backup of this home; keep it elsewhere:", err=True)
            click.echo(created.recovery.identity.reveal().decode(), err=True)
