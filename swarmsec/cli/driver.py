"""``swarmsec driver``: the Docker secret driver of this machine."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import opened_home, warn
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.keys.signers import SealedKeys
    from swarmsec.wiring.home import Home


@click.command()
@click.option("--name", default="swarmsec", show_default=True, metavar="NAME", help="What Docker calls the driver.")
@click.option(
    "--socket",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="Default: /run/docker/plugins/NAME.sock.",
)
@click.option("--docker", metavar="HOST", help="This machine's Docker Engine. Default: its own socket.")
@click.pass_context
def driver(context: click.Context, name: str, socket: Path | None, docker: str | None) -> None:
    """Give tasks their secrets: the Docker secret driver of this manager.

    Every manager needs one, for Docker asks the one that leads. Each request is held against the manager, the secret
    access policy and the records; its entry is durable before the value leaves. Prints "driver ready" on stderr.
    TERM or INT stops it.

    \b
    Examples:
      swarmsec --home ./authority driver
      docker secret create --driver swarmsec --label io.swarmsec.name=team/app/db team.app.db
    """
    from swarmsec.docker.endpoint import find_endpoint

    endpoint = find_endpoint(docker, None, os.environ, None)
    path = socket or Path("/run/docker/plugins") / f"{name}.sock"
    with opened_home(context) as home:
        keys = keys_of(context, home)
        asyncio.run(_serve(home, keys, path, endpoint.url))


async def _serve(home: Home, keys: SealedKeys, path: Path, docker: str) -> None:
    from swarmsec.docker.endpoint import DockerEndpoint
    from swarmsec.docker.engine import EngineApi
    from swarmsec.docker.plugin_socket import PluginSocket
    from swarmsec.docker.service_engine import DockerServices
    from swarmsec.docker.task_check import ManagerTaskChecker
    from swarmsec.services.apply_policy import active_documents
    from swarmsec.services.swarm_link import LinkState, load_link
    from swarmsec.storage.groupwriter import GroupWriter
    from swarmsec.wiring.driving import MANAGER_SECONDS, DriverParts, SecretDriver
    from swarmsec.wiring.taskcertificates import task_issuing

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    endpoint, link = DockerEndpoint.parse(docker), home.store.read(load_link)

    def open_manager() -> DockerServices:
        return DockerServices(EngineApi(endpoint, answer_seconds=MANAGER_SECONDS))

    writer = GroupWriter(home.store)
    writer.start()
    parts = DriverParts(
        writer=writer,
        keys=keys,
        checker=ManagerTaskChecker(open_manager),
        # On an adopted Swarm every node holds a certificate of ours; elsewhere none may.
        requires_node_certificate=link is not None and link.state is LinkState.ADOPTED,
        load=lambda: home.store.read(active_documents),
        report=warn,
        issuing=task_issuing(home.config, keys),
    )
    answering = SecretDriver(parts)
    plugin = PluginSocket(path, answering.answer)
    try:
        await answering.warm_up()
        await plugin.start()
        click.echo("driver ready", err=True)
        await stop.wait()
    finally:
        await plugin.stop()
        await answering.close()
        writer.close()
