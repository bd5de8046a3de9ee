"""``swarmsec unlock``, and how commands get at a home's keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import ask_passphrase, home_path, options_of, say

if TYPE_CHECKING:
    from swarmsec.keys.signers import SealedKeys
    from swarmsec.wiring.homes.home import Home


def keys_of(context: click.Context, home: Home) -> SealedKeys:
    """Open a home's keys: by its key file, from a server that is unlocked, or by asking for the passphrase."""
    from swarmsec.wiring.homes.unlocking import root_of_running_server

    return home.keys(lambda prompt: ask_passphrase(context, prompt), lambda: root_of_running_server(home.path))


@click.command()
@click.pass_context
def unlock(context: click.Context) -> None:
    """Unlock a running server of this home with its passphrase.

    \b
    Example:
      swarmsec --home ./authority unlock
    """
    from swarmsec.wiring.homes.unlocking import unlock_running_server

    unlock_running_server(home_path(options_of(context)), ask_passphrase(context, "passphrase of this home"))
    say("unlocked")
