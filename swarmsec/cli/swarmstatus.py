"""``swarmsec swarm status``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, warn
from swarmsec.cli.swarmoptions import docker_options
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.services.swarm.swarm_status import NodeStatus, SwarmStatus
    from swarmsec.wiring.homes.home import Home
    from swarmsec.wiring.swarm.controlling import ControlAccess


@click.command()
@docker_options
@click.option(
    "--control-socket",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Ask the Swarm as well, by a manager's own socket: /var/run/docker/swarm/control.sock.",
)
@click.option(
    "--data-root",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Ask the Swarm as well, as the manager whose engine has this data directory.",
)
@click.option(
    "--issue-manager-cert",
    is_flag=True,
    help="Ask the Swarm as well, with a manager's certificate made for this: it counts for an hour.",
)
@click.pass_context
def status(
    context: click.Context,
    docker: str | None,
    docker_tls: Path | None,
    control_socket: Path | None,
    data_root: Path | None,
    issue_manager_cert: bool,
) -> None:
    """Show every node with its certificate: until when, when it is due, and whether it is ours.

    Docker shows who issued a node's certificate and nothing else of it. The dates are those of our own records, where
    the node names our root as its issuer. The Swarm's control API has the certificates of the others too; it is asked
    when one of three doors to it is named. What is not known is said to be so. Certificates of managers that Docker
    still believes and nobody should have are listed.

    \b
    Examples:
      swarmsec swarm status --docker unix:///var/run/docker.sock
      swarmsec swarm status --control-socket /var/run/docker/swarm/control.sock
    """
    from swarmsec.errors import UsageProblem
    from swarmsec.wiring.swarm.opening import open_swarm
    from swarmsec.wiring.swarm.reporting import report_swarm

    if (control_socket is not None) + (data_root is not None) + issue_manager_cert > 1:
        doors = "--control-socket PATH, --data-root DIR and --issue-manager-cert"
        raise UsageProblem(f"expected at most one of {doors}", hint="see: swarmsec swarm status --help")
    with opened_home(context) as home:
        access = _access(context, home, control_socket, data_root, issue=issue_manager_cert)
        found = report_swarm(home, open_swarm(home, docker, docker_tls), access)
    if options_of(context).json:
        print_json(found.members())
    else:
        _print(found)
    if found.leading is not None:
        warn("the Swarm is led to another root: a running server goes on with it, and so does: swarmsec ca rotate")
    if found.told is not None and found.told.problem:
        warn(f"the control API told nothing: {found.told.problem}")
        context.exit(3)


def _access(
    context: click.Context, home: Home, control_socket: Path | None, data_root: Path | None, *, issue: bool
) -> ControlAccess | None:
    if not (control_socket or data_root or issue):
        return None
    from swarmsec.wiring.swarm.controlling import ControlAccess, issue_for_ourselves

    issuing = partial(issue_for_ourselves, home, keys_of(context, home), local_requester()) if issue else None
    return ControlAccess(control_socket=control_socket, data_root=data_root, issue=issuing)


def _print(found: SwarmStatus) -> None:
    from swarmsec.cli.swarmrotate import PARTS
    from swarmsec.cli.tables import print_table
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.plaintext import plain_text

    state = found.state
    click.echo(f"cluster   {plain_text(state.id)}")
    root = found.root_sha256[:16] or "several roots"
    rotating = ", a rotation is running" if state.is_rotating else ""
    click.echo(f"root      {root}, {'ours' if found.is_ours else 'not ours'}{rotating}")
    if found.leading is not None:
        where = PARTS.get(found.part, found.part.value)
        whither = "back to the root that it had from us" if found.leading.goes_back else "to another root of ours"
        click.echo(f"rotation  {whither}, {where}")
    click.echo(f"autolock  {'on' if state.is_autolocked else 'off'}")
    for item, answers in zip(state.external_cas, found.answers, strict=True):
        word = {True: "answers", False: "does not answer", None: "not tried"}[answers]
        click.echo(f"external  {plain_text(item.url)}: {word}")
    if found.told is not None:
        count = sum(bool(certificate) for certificate in found.told.certificates.values())
        click.echo(f"control   {plain_text(found.told.where)}: {count} certificates")
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

    node, certificate = item.node, item.certificate
    state = f"{node.state}{', leads' if node.is_leader else ''}"
    if certificate is None:
        return (node.label, node.role, state, "?", "?", "?", "not known")
    due = rfc3339_seconds(item.renew_after or 0)[:10]
    if item.is_overdue:
        due = "expired" if item.is_expired else "overdue"
    word = f"{item.source}{'' if item.is_converged else ', not converged'}"
    until = rfc3339_seconds(certificate.not_after)[:10]
    return (node.label, node.role, state, until, due, certificate.serial[:12], word)
