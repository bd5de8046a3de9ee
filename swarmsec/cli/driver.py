"""``swarmsec driver``: the Docker secret driver of this machine, beside a home or asking a server."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from swarmsec.cli.frame import opened_home, options_of, warn
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.keys.signers import SealedKeys
    from swarmsec.services.secrets.delivery_ports import TaskReader
    from swarmsec.wiring.homes.home import Home
    from swarmsec.wiring.secrets.driving import Decisions


@dataclass(frozen=True, slots=True, kw_only=True)
class _Behind:
    """Who decides, what reads once what it needs, and what it does beside."""

    decisions: Decisions
    load: Callable[[], object]
    upkeep: Coroutine[Any, Any, None]


@click.command()
@click.option("--name", default="swarmsec", show_default=True, metavar="NAME", help="What Docker calls the driver.")
@click.option(
    "--socket",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="Default: /run/docker/plugins/NAME.sock.",
)
@click.option("--docker", metavar="HOST", help="This machine's Docker Engine. Default: its own socket.")
@click.option("--metrics", metavar="HOST:PORT", help="Show metrics there; a loopback address. Default: nowhere.")
@click.pass_context
def driver(context: click.Context, name: str, socket: Path | None, docker: str | None, metrics: str | None) -> None:
    """Give tasks their secrets: the Docker secret driver of this manager.

    Every manager needs one, for Docker asks the one that leads. Each request is held against the manager, the secret
    access policy and the records; its entry is durable before the value leaves. With --server the driver has no home:
    it asks the server, as the identity of --identity, and keeps that renewed. Prints "driver ready" on stderr. TERM or
    INT stops it.

    \b
    Examples:
      swarmsec --home ./authority driver
      swarmsec --server https://ca:8443 --identity ./driver driver --metrics 127.0.0.1:9327
      docker secret create --driver swarmsec --label io.swarmsec.name=team/app/db team.app.db
    """
    from swarmsec.docker.endpoint import find_endpoint
    from swarmsec.errors import UsageProblem
    from swarmsec.wiring.process.undumpable import forbid_dumps, swap_finding

    forbid_dumps()
    finding = swap_finding()
    if finding:
        warn(finding)
    options = options_of(context)
    endpoint = find_endpoint(docker, None, os.environ, None)
    path = socket or Path("/run/docker/plugins") / f"{name}.sock"
    if options.server is None:
        with opened_home(context) as home:
            _run(_serve(_beside(home, keys_of(context, home)), path, endpoint.url, metrics))
        return
    if options.identity is None:
        raise UsageProblem(
            "expected --identity DIR", hint="enrol with: swarmsec access enrol --server URL --token TOKEN --dir DIR"
        )
    _run(_serve(_asking(options.server, options.identity), path, endpoint.url, metrics))


def _run(work: Coroutine[Any, Any, None]) -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


@asynccontextmanager
async def _beside(home: Home, keys: SealedKeys) -> AsyncIterator[_Behind]:
    from swarmsec.audit.entry import Actor
    from swarmsec.services.access.apply_policy import active_documents
    from swarmsec.services.requester import Requester
    from swarmsec.services.trust.judge_image import ImageJudge
    from swarmsec.storage.groupwriter import GroupWriter
    from swarmsec.wiring.secrets.deciding import HomeDecisions
    from swarmsec.wiring.secrets.taskcertificates import task_issuing

    writer = GroupWriter(home.store)
    writer.start()
    requester = Requester(actor=Actor(type="service", id="driver"))
    decisions = HomeDecisions(
        home.store, writer, keys, ImageJudge(), requester, issuing=task_issuing(home.config, keys)
    )
    try:
        yield _Behind(
            decisions=decisions, load=lambda: home.store.read(active_documents), upkeep=decisions.keep_fresh()
        )
    finally:
        writer.close()


@asynccontextmanager
async def _asking(server: str, identity: Path) -> AsyncIterator[_Behind]:
    from swarmsec.wiring.nodes.identityenrolment import kept_renewed
    from swarmsec.wiring.secrets.remotedeciding import RemoteDecisions

    decisions = RemoteDecisions(server, identity, warn)
    await decisions.open()
    with kept_renewed(server, identity, tell=lambda line: click.echo(line, err=True)):
        try:
            await decisions.warm_up()
            yield _Behind(decisions=decisions, load=lambda: None, upkeep=decisions.keep_fresh())
        finally:
            await decisions.close()


async def _serve(opening: Any, path: Path, docker: str, metrics: str | None) -> None:
    from swarmsec.docker.endpoint import DockerEndpoint
    from swarmsec.docker.engine import EngineApi
    from swarmsec.docker.plugin_socket import PluginSocket
    from swarmsec.docker.service_engine import DockerServices
    from swarmsec.docker.socket_reader import SocketReader
    from swarmsec.docker.task_check import ManagerTaskChecker
    from swarmsec.server.driver_metrics import DriverMetrics, parse_loopback
    from swarmsec.wiring.process.collecting import collect_seldom
    from swarmsec.wiring.process.supervising import Supervisor
    from swarmsec.wiring.secrets.driving import MANAGER_SECONDS, DriverParts, SecretDriver

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    endpoint, supervisor, counts = DockerEndpoint.parse(docker), Supervisor.of(os.environ), DriverMetrics()

    def open_manager() -> TaskReader:
        if endpoint.url.startswith("unix://"):
            return SocketReader(endpoint.url.removeprefix("unix://"), MANAGER_SECONDS)
        return DockerServices(EngineApi(endpoint, answer_seconds=MANAGER_SECONDS))

    async with AsyncExitStack() as stack:
        if metrics is not None:
            await counts.start(*parse_loopback(metrics))
            stack.push_async_callback(counts.stop)
        behind: _Behind = await stack.enter_async_context(opening)
        for work in (behind.upkeep, supervisor.beat()):
            stack.callback(asyncio.create_task(work).cancel)
        answering = SecretDriver(
            DriverParts(
                decisions=behind.decisions,
                checker=ManagerTaskChecker(open_manager),
                load=behind.load,
                report=warn,
                count=counts.count,
            )
        )
        stack.push_async_callback(answering.close)
        await answering.warm_up()
        collect_seldom()
        plugin = PluginSocket(path, answering.answer)
        await plugin.start()
        stack.push_async_callback(plugin.stop)
        click.echo("driver ready", err=True)
        supervisor.tell("READY=1")
        await stop.wait()
        supervisor.tell("STOPPING=1")
