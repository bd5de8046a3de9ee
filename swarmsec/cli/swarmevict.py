"""``swarmsec swarm evict``."""

from __future__ import annotations

from pathlib import Path

import click

from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say, warn
from swarmsec.cli.swarmoptions import confirm, docker_options
from swarmsec.cli.swarmrotate import SwarmRotationOptions, rotate_with_swarm


@click.command()
@click.argument("node", metavar="NODE")
@docker_options
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.option("--reason", default="", help="Why, for the log.")
@click.option("--rotate", is_flag=True, help="Then move the Swarm to another root, which ends every old certificate.")
@click.pass_context
def evict(
    context: click.Context,
    node: str,
    docker: str | None,
    docker_tls: Path | None,
    yes: bool,
    reason: str,
    rotate: bool,
) -> None:
    """Take a node, by id or host name, out of the Swarm for good.

    It is removed from the Swarm (a manager is demoted first), its certificates are revoked here, and its id gets none
    any more. Docker itself believes a certificate until it expires; those are listed.

    \b
    Example:
      swarmsec swarm evict w3 --yes --reason "the machine was stolen"
    """
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.plaintext import plain_text
    from swarmsec.services.swarm.swarm_link import require_link
    from swarmsec.wiring.swarm.evicting import evict as evict_node
    from swarmsec.wiring.swarm.opening import open_swarm

    with opened_home(context) as home:
        home.store.read(require_link)
        confirm(f"Evict {plain_text(node)} from the Swarm?", yes=yes)
        done = evict_node(home, open_swarm(home, docker, docker_tls), node, local_requester(), reason=reason)
        if rotate:
            say(f"evicted {done.node_id}")
            rotate_with_swarm(context, home, SwarmRotationOptions(docker=docker, docker_tls=docker_tls))
            return
    if options_of(context).json:
        certificates = [
            {
                "serial": record.serial,
                "role": record.profile.removeprefix("swarm-"),
                "not_after": rfc3339_seconds(record.not_after),
            }
            for record in done.unexpired
        ]
        members = {"id": done.node_id, "hostname": done.node.hostname if done.node else None}
        print_json({**members, "unexpired_certificates": certificates})
        return
    click.echo(done.node_id)
    for record in done.unexpired:
        role = record.profile.removeprefix("swarm-")
        warn(
            f"certificate {record.serial[:12]} ({role}) is believed by its signature until"
            f" {rfc3339_seconds(record.not_after)[:10]}"
        )
    if done.unexpired:
        say("only another root ends them: swarmsec ca rotate, or at once with --rotate")
