"""``swarmsec swarm adopt``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.durations import DURATION
from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say
from swarmsec.cli.swarmoptions import confirm, docker_options, show_findings, talking_watcher, yes_options
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.services.swarm.convergence import Held
    from swarmsec.wiring.swarm.adopting import Preflight


@click.command()
@docker_options
@click.option("--url", metavar="URL", help="Where the managers reach this authority: https://HOST:PORT.")
@yes_options
@click.option("--timeout", type=DURATION, default="10m", show_default=True, help="How long to wait for the nodes.")
@click.pass_context
def adopt(
    context: click.Context,
    docker: str | None,
    docker_tls: Path | None,
    url: str | None,
    yes: bool,
    dry_run: bool,
    timeout: timedelta,
) -> None:
    """Put a running Swarm on this authority.

    Looks at everything first and shows what it would do. Then the Swarm's root is rotated to ours, node by node, while
    tasks go on running, and every certificate is read back. Repeat the command after an interruption: it goes on where
    the work is. The engine that is named becomes this home's Docker.

    \b
    Examples:
      swarmsec swarm adopt --url https://ca.example.internal:8443 --dry-run
      swarmsec swarm adopt --url https://ca.example.internal:8443 --docker tcp://m1:2376 --yes
    """
    from swarmsec.errors import UsageProblem
    from swarmsec.services.swarm.swarm_rotation_records import verify_no_swarm_rotation
    from swarmsec.wiring.swarm.adopting import Adoption
    from swarmsec.wiring.swarm.opening import open_swarm
    from swarmsec.wiring.swarm.signing_endpoint import SigningUrl

    with opened_home(context) as home:
        keys = keys_of(context, home)
        swarm = open_swarm(home, docker, docker_tls)
        known = url or (swarm.link.url if swarm.link else None)
        if known is None:
            hint = "the address of: swarmsec serve --listen HOST:PORT, as the managers reach it"
            raise UsageProblem("expected --url https://HOST:PORT", hint=hint)
        adoption = Adoption(home=home, keys=keys, swarm=swarm, url=SigningUrl.parse(known))
        found = adoption.look()
        _show_plan(found)
        if dry_run:
            _end_dry_run(context, found)
            return
        home.store.read(verify_no_swarm_rotation)
        if not (found.blockers or found.is_done or found.is_under_way):
            confirm("Rotate the Swarm's root now?", yes=yes)
        held = adoption.carry_out(found, local_requester(), talking_watcher(), timeout)
    if options_of(context).json:
        print_json({**_members(found), "nodes": _verified(held)})
        return
    say(f"cluster {found.plan.cluster_id} is on this authority: {len(held)} certificates read back and verified")


def _show_plan(found: Preflight) -> None:
    plan = found.plan
    say(f"cluster {plan.cluster_id} at {plan.docker}, {len(found.nodes)} nodes")
    show_findings(found.findings)
    if found.is_done:
        say("the Swarm is on our root already; nothing changes")
        return
    if found.is_under_way:
        say("the Swarm is on its way to our root; this follows it")
        return
    say("this would happen:")
    if plan.takes_cluster_id:
        say("  - the Swarm's id becomes the cluster id of this home")
    say(f"  - managers under the present root {plan.former_root_sha256[:16]} are accepted while the Swarm moves")
    say(f"  - the Swarm's specification gets our root and {plan.url}; everything else in it stays")
    say("  - every node gets a new certificate, and the Swarm new join tokens; tasks go on running")


def _end_dry_run(context: click.Context, found: Preflight) -> None:
    if options_of(context).json:
        print_json({**_members(found), "ready": not found.blockers})
    if found.blockers:
        say("nothing was changed; it would be refused")
        context.exit(1)
    say("nothing was changed")


def _members(found: Preflight) -> dict[str, object]:
    plan = found.plan
    return {
        "cluster_id": plan.cluster_id,
        "takes_cluster_id": plan.takes_cluster_id,
        "former_root_sha256": plan.former_root_sha256 or None,
        "url": plan.url,
        "docker": plan.docker,
        "checks": [finding.members() for finding in found.findings],
        "already": found.is_done,
    }


def _verified(held: Sequence[Held]) -> list[dict[str, object]]:
    from swarmsec.clock import rfc3339_seconds

    return [
        {
            "id": item.node.id,
            "hostname": item.node.hostname,
            "role": item.node.role,
            "serial": item.record.serial,
            "not_after": rfc3339_seconds(item.record.not_after),
        }
        for item in held
        if item.record is not None
    ]
