"""``swarmsec swarm``: a running Docker Swarm on this authority."""

from __future__ import annotations

import click

from swarmsec.cli.frame import LazyGroup

_COMMANDS = {
    "adopt": ("swarmsec.cli.swarmadopt:adopt", "Put a running Swarm on this authority"),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def swarm() -> None:
    """A running Docker Swarm on this authority."""
