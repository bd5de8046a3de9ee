"""``swarmsec secrets attach`` and ``detach``."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from swarmsec.cli.durations import DURATION
from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say
from swarmsec.cli.progress import report_tasks
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.wiring.homes.home import Home
    from swarmsec.wiring.secrets.attaching import Attaching

_DOCKER = click.option(
    "--docker", metavar="HOST", help="A manager's Docker Engine. Default: the home's own, or this machine's."
)
_TIMEOUT = click.option(
    "--timeout", type=DURATION, default="60s", show_default=True, help="How long to wait for the service's tasks."
)
DEFAULT_MODE = "0400"


@click.command()
@click.argument("name")
@click.argument("service")
@click.option("--target", metavar="T", help="File name or path. Default: /run/secrets/<last part of the name>.")
@click.option("--uid", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Numeric owner.")
@click.option("--gid", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True, help="Numeric group.")
@click.option("--mode", "file_mode", default=DEFAULT_MODE, show_default=True, metavar="OCTAL", help="Of the file.")
@click.option("--native", is_flag=True, help="An ordinary Docker secret, kept in raft, for Swarms without the driver.")
@click.option("--driver", default="swarmsec", show_default=True, metavar="NAME", help="What Docker calls the driver.")
@_TIMEOUT
@_DOCKER
@click.pass_context
def attach(
    context: click.Context,
    name: str,
    service: str,
    target: str | None,
    uid: int,
    gid: int,
    file_mode: str,
    native: bool,
    driver: str,
    timeout: timedelta,
    docker: str | None,
) -> None:
    """Give a secret to a service and wait until its tasks run with it.

    The policy is asked first; where it denies, nothing changes (exit code 1). The service's tasks are made anew, under
    the service's own update settings.

    \b
    Examples:
      swarmsec secrets attach team/app/db shop_api
      swarmsec secrets attach team/app/db shop_api --target db-password --uid 1000 --mode 0440
    """
    from swarmsec.secretstore.names import SecretName
    from swarmsec.services.secrets.attach_secret import DRIVER_MODE, NATIVE_MODE, SecretFile

    checked = SecretName.parse(name)
    file = SecretFile(
        target=checked.last_part if target is None else target, uid=uid, gid=gid, mode=_parse_mode(file_mode)
    )
    mode = NATIVE_MODE if native else DRIVER_MODE
    with opened_home(context) as home:
        plan = _attaching(context, home, docker, timeout).attach(checked, service, file, driver=driver, mode=mode)
    if options_of(context).json:
        print_json(
            {
                "name": name,
                "version": plan.version,
                "service": plan.service_name,
                "service_id": plan.service_id,
                "docker_secret": plan.docker_secret,
                "target": plan.file.target,
                "mode": plan.mode,
            }
        )
        return
    click.echo(f"{name} version {plan.version} is in every task of {plan.service_name}")


@click.command()
@click.argument("name")
@click.argument("service")
@_TIMEOUT
@_DOCKER
@click.pass_context
def detach(context: click.Context, name: str, service: str, timeout: timedelta, docker: str | None) -> None:
    """Take a secret from a service; its Docker secret goes when no service uses it.

    \b
    Examples:
      swarmsec secrets detach team/app/db shop_api
    """
    from swarmsec.secretstore.names import SecretName

    checked = SecretName.parse(name)
    with opened_home(context) as home:
        _attaching(context, home, docker, timeout).detach(checked, service)
    if options_of(context).json:
        print_json({"name": name, "service": service})
        return
    click.echo(f"{name} was taken from {service}")


def _parse_mode(text: str) -> int:
    """Read octal digits; Docker would take the same digits for a decimal number."""
    from swarmsec.errors import UsageProblem

    if not 3 <= len(text) <= 4 or any(digit not in "01234567" for digit in text):
        raise UsageProblem(f"expected --mode as octal digits such as 0400, got {text!r:.20}")
    return int(text, 8)


def _attaching(context: click.Context, home: Home, docker: str | None, timeout: timedelta) -> Attaching:
    from swarmsec.docker.engine import EngineApi
    from swarmsec.docker.service_engine import DockerServices
    from swarmsec.wiring.secrets.attaching import Attaching
    from swarmsec.wiring.swarm.opening import find_home_endpoint

    endpoint = find_home_endpoint(home, docker)
    return Attaching(
        store=home.store,
        keys=keys_of(context, home),
        carrier=DockerServices(EngineApi(endpoint)),
        requester=local_requester(),
        seconds=timeout.total_seconds(),
        on_progress=report_tasks(),
        report=say,
    )
