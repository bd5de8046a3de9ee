"""``swarmsec swarm status``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import opened_home, options_of, print_json, warn
from swarmsec.cli.swarmoptions import docker_options

if TYPE_CHECKING:
    from swarmsec.services.swarm_status import NodeStatus, SwarmStatus


@click.command()
@docker_options
@click.pass_context
def status(context: click.Context, docker: str | None, docker_tls: Path | None) -> None:
    """Show every node with its certificate: until when, when it is due, and whether it is ours.

    Docker shows who issued a node's certificate and nothing else of it. The dates are those of our own records, where
    the node names our root as its issuer; elsewhere they are not known, and said to be so. Certificates of managers
    that Docker still believes and nobody should have are listed.

    \b
    Example:
      swarmsec swarm status --docker unix:///var/run/docker.sock
    """
    from swarmsec.wiring.swarm.opening import open_swarm
    from swarmsec.wiring.swarm.reporting import report_swarm

    with opened_home(context) as home:
        found = report_swarm(home, open_swarm(home, docker, docker_tls))
    if options_of(context).json:
        print_json(found.members())
        return
    _print(found)


def _print(found: SwarmStatus) -> None:
    from swarmsec.cli.tables import print_table
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.plaintext import plain_text

    state = found.state
    click.echo(f"cluster   {plain_text(state.id)}")
    root = found.root_sha256[:16] or "several roots"
    rotating = ", a rotation is running" if state.is_rotating else ""
    click.echo(f"root      {root}, {'ours' if found.is_ours else 'not ours'}{rotating}")
    click.echo(f"autolock  {'on' if state.is_autolocked else 'off'}")
    for item, answers in zip(state.external_cas, found.answers, strict=True):
        word = {True: "answers", False: "does not answer", None: "not tried"}[answers]
        click.echo(f"external  {plain_text(item.url)}: {word}")
    print_table(
        ("NODE", "ROLE", "STATE", "NOT AFTER", "DUE", "SERIAL", "CERTIFICATE"),
        [_row(item) for item in found.nodes],
    )
    for old in found.obsolete:
        name = plain_text(old.hostname or old.record.subject_id)
        until = rfc3339_seconds(old.record.not_after)[:10]
        warn(
            f"{name} ({old.reason}) has a manager's certificate that Docker believes until {until}:"
            f" {old.record.serial[:12]}"
        )


def _row(item: NodeStatus) -> tuple[str, ...]:
    from swarmsec.clock import rfc3339_seconds

    node, record = item.node, item.certificate
    state = f"{node.state}{', leads' if node.is_leader else ''}"
    if record is None:
        return (node.label, node.role, state, "?", "?", "?", "not from us")
    due = rfc3339_seconds(item.renew_after or 0)[:10]
    if item.is_overdue:
        due = "expired" if item.is_expired else "overdue"
    word = "converged" if item.is_converged else "not converged"
    return (node.label, node.role, state, rfc3339_seconds(record.not_after)[:10], due, record.serial[:12], word)
