"""``swarmsec serve``."""

from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import local_requester, opened_home, warn

if TYPE_CHECKING:
    from swarmsec.wiring.serving.session import Session


@click.command()
@click.option("--listen", metavar="HOST:PORT", help="Default: [serve] listen, 127.0.0.1:8443. Port 0 picks one.")
@click.option("--name", "names", multiple=True, metavar="DNS", help="A further name for the server's certificate.")
@click.option("--require-approval", is_flag=True, help="Hold managers that join until 'swarmsec node approve'.")
@click.pass_context
def serve(context: click.Context, listen: str | None, names: tuple[str, ...], require_approval: bool) -> None:
    """Serve nodes and Swarms over HTTPS until told to stop.

    Prints "listening on https://HOST:PORT" on stderr when ready, then one JSON line for each request. Changes that
    other commands make in the home are followed within a second. TERM or INT stops it after the requests at work.

    \b
    Examples:
      swarmsec --home ./authority serve --listen 0.0.0.0:8443 --name ca.example.internal
      swarmsec --home ./authority serve --listen 127.0.0.1:0
    """
    import uvloop

    from swarmsec.server.logs import write_logs_to
    from swarmsec.wiring.process.collecting import collect_seldom
    from swarmsec.wiring.process.heap import map_large_blocks
    from swarmsec.wiring.process.undumpable import forbid_dumps, swap_finding
    from swarmsec.wiring.serving.session import Listening, Session

    forbid_dumps()
    map_large_blocks()
    finding = swap_finding()
    if finding:
        warn(finding)
    with opened_home(context, ends_when_hung=False) as home:
        listening = Listening.parse(listen or home.config.serve.listen, names)
        if require_approval:
            home.config = replace(home.config, ca=replace(home.config.ca, require_approval=True))
        write_logs_to(sys.stderr)
        session = Session(home, listening, local_requester(), lambda line: click.echo(line, err=True))
        collect_seldom()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_told(session))


async def _until_told(session: Session) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await session.run(stop)
