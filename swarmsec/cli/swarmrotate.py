"""``swarmsec ca rotate`` on a home that has adopted a Swarm."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import click

from swarmsec.cli.frame import local_requester, options_of, print_json, say
from swarmsec.cli.swarmoptions import talking_watcher
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.services.ports import Transaction
    from swarmsec.wiring.home import Home

DEFAULT_TIMEOUT: Final = timedelta(minutes=10)
_PLAN: Final = (
    "SwarmKit does not go from one external root to another, so the Swarm moves twice:",
    "  - to a root of its own, whose key every manager holds for that while; ours signs it once, for days at most",
    "  - our root is rotated while no node of the Swarm stands under it; its key never leaves this home",
    "  - to our new root; tasks go on running, and the Swarm gets new join tokens",
)


def leads_a_swarm(transaction: Transaction) -> bool:
    """Whether a rotation of this home's root is one of a Swarm's as well."""
    from swarmsec.services.rotate_swarm_root import root_to_leave
    from swarmsec.services.swarm_link import load_link

    link = load_link(transaction)
    return root_to_leave(transaction) is not None or (link is not None and link.state.is_ours)


def rotate_with_swarm(
    context: click.Context, home: Home, *, without: Sequence[str], timeout: timedelta | None, key_type: str | None
) -> None:
    """Show the plan and do it."""
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.services.records import KeyKind
    from swarmsec.services.rotate_swarm_root import active_root
    from swarmsec.wiring.swarm.rotating import SwarmRotation

    for line in _PLAN:
        say(line)
    work = SwarmRotation(
        home=home,
        keys=keys_of(context, home),
        requester=local_requester(),
        watcher=talking_watcher(),
        timeout=timeout or DEFAULT_TIMEOUT,
        key_kind=KeyKind(key_type) if key_type else None,
    )
    held = work.carry_out(without)
    root = home.store.read(active_root)
    if options_of(context).json:
        nodes = [
            {
                "id": item.node.id,
                "hostname": item.node.hostname,
                "serial": item.record.serial,
                "not_after": rfc3339_seconds(item.record.not_after),
            }
            for item in held
            if item.record is not None
        ]
        print_json({"root_sha256": root, "nodes": nodes})
        return
    click.echo(root)
    say(f"the Swarm is on the new root: {len(held)} certificates read back and verified")
