"""``swarmsec ca rotate`` on a home that has adopted a Swarm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from swarmsec.cli.frame import local_requester, options_of, print_json, say
from swarmsec.cli.swarmoptions import talking_watcher
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.services.ports import Transaction
    from swarmsec.services.swarm.convergence import Held
    from swarmsec.wiring.ca.nextroots import WantedRoot
    from swarmsec.wiring.homes.home import Home
    from swarmsec.wiring.swarm.rotating import SwarmRotation
    from swarmsec.wiring.swarm.watching import StillMoving

DEFAULT_TIMEOUT: Final = timedelta(minutes=10)
_PLAN: Final = (
    "SwarmKit does not go from one external root to another, so the Swarm moves twice:",
    "  - to a root of its own, whose key every manager holds for that while; ours signs it once, for days at most",
    "  - our root is rotated while no node of the Swarm stands under it; its key never leaves this home",
    "  - to our new root; tasks go on running, and the Swarm gets new join tokens",
)
_BACK: Final = (
    "the Swarm goes back to the root that it had from us: where it is on its way out, that move ends first, because",
    "nodes that have moved leave the Swarm's own root by another rotation alone",
)
PARTS: Final = {"out": "first move", "between": "between the moves", "in": "second move"}


def leads_a_swarm(transaction: Transaction) -> bool:
    """Whether a rotation of this home's root is one of a Swarm's as well."""
    from swarmsec.services.swarm.swarm_link import load_link
    from swarmsec.services.swarm.swarm_rotation_records import load_swarm_rotation

    link = load_link(transaction)
    return load_swarm_rotation(transaction) is not None or (link is not None and link.state.is_ours)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmRotationOptions:
    """What of ``ca rotate`` a Swarm's rotation takes; each as the option of its name."""

    finish_without: Sequence[str] = ()
    timeout: timedelta | None = None
    wanted: WantedRoot | None = None
    detach: bool = False
    follow: bool = False
    abort: bool = False
    docker: str | None = None
    docker_tls: Path | None = None


def rotate_with_swarm(context: click.Context, home: Home, options: SwarmRotationOptions) -> None:
    """Show the plan and do it."""
    from swarmsec.errors import NotFound
    from swarmsec.services.swarm.swarm_rotation_records import load_swarm_rotation
    from swarmsec.wiring.swarm.watching import StillMoving

    if (options.follow or options.abort) and home.store.read(load_swarm_rotation) is None:
        raise NotFound("no rotation of the Swarm's root is under way", hint="begin one with: swarmsec ca rotate")
    for line in _BACK if options.abort else _PLAN:
        say(line)
    work = _work(context, home, options)
    try:
        held = work.call_off(options.finish_without) if options.abort else work.carry_out(options.finish_without)
    except StillMoving as moving:
        if not options.detach:
            raise
        _tell_moving(context, home, moving)
        return
    _tell_done(context, home, held)


def _work(context: click.Context, home: Home, options: SwarmRotationOptions) -> SwarmRotation:
    from swarmsec.wiring.ca.nextroots import LIKE_THE_PRESENT
    from swarmsec.wiring.swarm.rotating import SwarmRotation

    return SwarmRotation(
        home=home,
        keys=keys_of(context, home),
        requester=local_requester(),
        watcher=talking_watcher(),
        timeout=timedelta() if options.detach else options.timeout or DEFAULT_TIMEOUT,
        wanted=options.wanted or LIKE_THE_PRESENT,
        docker=options.docker,
        docker_tls=options.docker_tls,
    )


def _tell_moving(context: click.Context, home: Home, moving: StillMoving) -> None:
    from swarmsec.services.swarm.rotate_swarm_root import active_root, part_under_way

    root, part = home.store.read(active_root), home.store.read(part_under_way)
    if options_of(context).json:
        print_json({"root_sha256": root, "finished": False, "part": part.value, "nodes": []})
        return
    click.echo(root)
    say(f"{PARTS.get(part, part)}: {moving}")
    say("it goes on by itself while 'swarmsec serve' runs and reaches the Docker Engine: swarm status shows how far")


def _tell_done(context: click.Context, home: Home, held: Sequence[Held]) -> None:
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.services.swarm.rotate_swarm_root import active_root

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
        print_json({"root_sha256": root, "finished": True, "part": "done", "nodes": nodes})
        return
    click.echo(root)
    say(f"the Swarm is on this root: {len(held)} certificates read back and verified")
