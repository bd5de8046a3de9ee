"""``swarmsec swarm release``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from swarmsec.cli.durations import DURATION
from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say
from swarmsec.cli.swarmoptions import confirm, docker_options, show_findings, talking_watcher, yes_options


@click.command()
@docker_options
@yes_options
@click.option("--timeout", type=DURATION, default="10m", show_default=True, help="How long to wait for the nodes.")
@click.pass_context
def release(
    context: click.Context,
    docker: str | None,
    docker_tls: Path | None,
    yes: bool,
    dry_run: bool,
    timeout: timedelta,
) -> None:
    """Give the Swarm back to Docker's own authority.

    The Swarm gets a root of its own, whose key goes to its managers and stays nowhere else. Our root signs it once, so
    that nodes believe both for as long as it takes; tasks go on running. Repeat the command after an interruption.

    \b
    Example:
      swarmsec swarm release --dry-run
    """
    from swarmsec.services.swarm.swarm_rotation_records import verify_no_swarm_rotation
    from swarmsec.wiring.swarm.opening import open_swarm
    from swarmsec.wiring.swarm.releasing import Releasing, look_at_release

    with opened_home(context) as home:
        swarm = open_swarm(home, docker, docker_tls)
        found = look_at_release(home, swarm)
        say(f"cluster {found.cluster_id} at {swarm.endpoint.url}, {len(found.nodes)} nodes")
        show_findings(found.findings)
        goes_on = found.is_under_way or found.is_there
        if goes_on:
            say("the release is under way; this follows it")
        else:
            say("this would happen:")
            say("  - the Swarm gets a root of its own, signed once by ours; its key goes to the managers alone")
            say("  - every node gets a certificate of it, and the Swarm new join tokens; tasks go on running")
            say("  - our endpoint goes from the Swarm's specification, and the nodes' certificates of ours are revoked")
        members: dict[str, object] = {
            "cluster_id": found.cluster_id,
            "checks": [finding.members() for finding in found.findings],
        }
        if dry_run:
            if options_of(context).json:
                print_json({**members, "ready": not found.blockers})
            say("nothing was changed")
            if found.blockers:
                context.exit(1)
            return
        home.store.read(verify_no_swarm_rotation)
        if not (goes_on or found.blockers):
            confirm("Release the Swarm now?", yes=yes)
        nodes = Releasing(home=home, swarm=swarm).carry_out(found, local_requester(), talking_watcher(), timeout)
    if options_of(context).json:
        print_json({**members, "nodes": [{"id": node.id, "hostname": node.hostname} for node in nodes]})
        return
    say(f"cluster {found.cluster_id} has a root of its own: {len(nodes)} nodes")
