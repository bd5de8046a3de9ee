"""``swarmsec agent``: what a node's files, ports and daemon look like, for the reports of its authority."""

from __future__ import annotations

import signal
import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from swarmsec.cli.durations import DURATION
from swarmsec.cli.frame import options_of, print_json, say

if TYPE_CHECKING:
    from swarmsec.wiring.reports.agent import Agent


@click.command()
@click.option("--every", type=DURATION, default="10m", show_default=True, help="How often to report: 10s to 30m.")
@click.option("--once", is_flag=True, help="Report once and end.")
@click.option("--show", is_flag=True, help="Print what would be reported, and send nothing.")
@click.option(
    "--pid-file",
    default="/run/docker.pid",
    show_default=True,
    metavar="FILE",
    help="Where this host's Docker Engine keeps its process id.",
)
@click.pass_context
def agent(context: click.Context, every: timedelta, once: bool, show: bool, pid_file: str) -> None:
    """Report what only the host itself can tell: files with owners and modes, ports, the daemon's settings, swap.

    Runs on each node and only reads: it follows no link that somebody else than root could have set, and opens nothing
    for reading but a handful of files it knows. What it found goes to the authority over mutual TLS, and counts there
    for an hour. The identity comes from 'swarmsec access enrol' and renews itself while this runs.

    \b
    Examples:
      swarmsec agent --show
      swarmsec --server https://ca.example.internal:8443 --identity ./agent agent
      swarmsec --server https://ca.example.internal:8443 --identity ./agent agent --once
    """
    from swarmsec.errors import UsageProblem
    from swarmsec.wiring.nodes.identityenrolment import kept_renewed
    from swarmsec.wiring.reports.agent import LEAST, MOST, keep_reporting

    if show:
        _show(context, pid_file)
        return
    if not LEAST <= every <= MOST:
        raise UsageProblem(f"expected --every of 10s to 30m, got {int(every.total_seconds())}s")
    found = _agent(context, pid_file)
    if once:
        _once(context, found)
        return
    found.verify_identity()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    def tell(line: str) -> None:
        click.echo(line, err=True)

    with kept_renewed(found.server, found.identity, tell=tell):
        say(f"reporting to {found.server} every {int(every.total_seconds())}s")
        keep_reporting(found.report, every=every, stop=stop, tell=tell)


def _agent(context: click.Context, pid_file: str) -> Agent:
    from swarmsec.errors import UsageProblem
    from swarmsec.wiring.nodes.authorityclient import parse_server
    from swarmsec.wiring.reports.agent import Agent
    from swarmsec.wiring.reports.hostreading import HostTree

    options = options_of(context)
    if options.server is None or options.identity is None:
        raise UsageProblem(
            "expected --server URL and --identity DIR before 'agent'",
            hint="with a token of role agent: swarmsec access enrol --server URL --token TOKEN --dir DIR",
        )
    return Agent(server=parse_server(options.server), identity=options.identity, pid_file=pid_file, tree=HostTree())


def _once(context: click.Context, found: Agent) -> None:
    is_new = found.report()
    if options_of(context).json:
        print_json({"changed": is_new})
        return
    say("reported" if is_new else "reported; nothing has changed")


def _show(context: click.Context, pid_file: str) -> None:
    import json

    from swarmsec.cli.tables import print_table
    from swarmsec.reports.host_report import encode_host_report
    from swarmsec.wiring.reports.hostfacts import collect_host_facts, described
    from swarmsec.wiring.reports.hostreading import HostTree

    report = collect_host_facts(HostTree(), pid_file)
    if options_of(context).json:
        print_json(json.loads(encode_host_report(report)))
        return
    print_table(("what", "found"), described(report))
