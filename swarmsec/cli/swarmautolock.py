"""``swarmsec swarm autolock``: lock managers, and open them with the key that is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say
from swarmsec.cli.swarmoptions import docker_options
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.keys.signers import SealedKeys
    from swarmsec.wiring.homes.home import Home

_show = click.option("--show-key", is_flag=True, help="Print the unlock key; that it was shown is logged.")


@click.group()
def autolock() -> None:
    """Lock managers, so that one that restarts opens only with a key; the key is kept here, sealed.

    \b
    Examples:
      swarmsec swarm autolock on
      swarmsec swarm autolock unlock --docker tcp://m2:2376
    """


@autolock.command()
@docker_options
@_show
@click.pass_context
def on(context: click.Context, docker: str | None, docker_tls: Path | None, show_key: bool) -> None:
    """Switch autolock on and keep its key; where it is on already, take the key in."""
    from swarmsec.wiring.swarm.locking import lock
    from swarmsec.wiring.swarm.opening import open_swarm

    with opened_home(context) as home:
        keys = keys_of(context, home)
        changed = lock(home, keys, open_swarm(home, docker, docker_tls), local_requester())
        _tell(context, home, keys, {"autolock": True, "changed": changed}, show_key=show_key)
    say("autolock is on; its key is kept in this home")


@autolock.command()
@docker_options
@click.pass_context
def off(context: click.Context, docker: str | None, docker_tls: Path | None) -> None:
    """Switch autolock off."""
    from swarmsec.wiring.swarm.locking import unlock_for_good
    from swarmsec.wiring.swarm.opening import open_swarm

    with opened_home(context) as home:
        changed = unlock_for_good(home, open_swarm(home, docker, docker_tls), local_requester())
    if options_of(context).json:
        print_json({"autolock": False, "changed": changed})
    say("autolock is off")


@autolock.command()
@docker_options
@_show
@click.pass_context
def rotate(context: click.Context, docker: str | None, docker_tls: Path | None, show_key: bool) -> None:
    """Have the Swarm make another key and keep that; the one before stays for managers that are down."""
    from swarmsec.wiring.swarm.locking import rotate_key
    from swarmsec.wiring.swarm.opening import open_swarm

    with opened_home(context) as home:
        keys = keys_of(context, home)
        rotate_key(home, keys, open_swarm(home, docker, docker_tls), local_requester())
        _tell(context, home, keys, {"autolock": True, "changed": True}, show_key=show_key)
    say("the Swarm has another unlock key; it is kept in this home")


@autolock.command()
@docker_options
@click.pass_context
def unlock(context: click.Context, docker: str | None, docker_tls: Path | None) -> None:
    """Open a locked manager with the key that is kept."""
    from swarmsec.wiring.swarm.locking import unlock_engine
    from swarmsec.wiring.swarm.opening import open_swarm

    with opened_home(context) as home:
        swarm = open_swarm(home, docker, docker_tls)
        unlock_engine(home, keys_of(context, home), swarm, local_requester())
    if options_of(context).json:
        print_json({"unlocked": swarm.endpoint.url})
    say(f"unlocked {swarm.endpoint.url}")


def _tell(context: click.Context, home: Home, keys: SealedKeys, members: dict[str, object], *, show_key: bool) -> None:
    from swarmsec.services.swarm.lock_swarm import reveal_unlock_key

    text = ""
    if show_key:
        requester = local_requester()
        text = home.store.write(lambda transaction: reveal_unlock_key(transaction, keys, requester)).reveal().decode()
    if options_of(context).json:
        print_json({**members, "unlock_key": text} if show_key else members)
    elif show_key:
        click.echo(text)
