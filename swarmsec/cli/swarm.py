"""``swarmsec swarm``: a running Docker Swarm on this authority."""

from __future__ import annotations

import click

from swarmsec.cli.frame import LazyGroup

_COMMANDS = {
    "adopt": ("swarmsec.cli.swarmadopt:adopt", "Put a running Swarm on this authority"),
    "autolock": ("swarmsec.cli.swarmautolock:autolock", "Lock managers, and keep the key"),
    "evict": ("swarmsec.cli.swarmevict:evict", "Take a node out of the Swarm for good"),
    "release": ("swarmsec.cli.swarmrelease:release", "Give the Swarm back to Docker's own authority"),
    "status": ("swarmsec.cli.swarmstatus:status", "Show every node with its certificate"),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def swarm() -> None:
    """A running Docker Swarm on this authority."""
