"""``swarmsec secrets rotate``."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.durations import DURATION
from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say
from swarmsec.cli.progress import report_tasks
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.wiring.homes.home import Home
    from swarmsec.wiring.secrets.secretrotation import Rotating, Validate


@click.command()
@click.argument("name")
@click.option("--from-stdin", is_flag=True, help="Read the new value from standard input, byte for byte (the default).")
@click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Read the value from FILE (mode 0600) instead.",
)
@click.option("--generate", is_flag=True, help="Draw a value of letters and digits by chance.")
@click.option("--length", type=int, metavar="N", help="Characters of --generate. Default: 40.")
@click.option("--validate", metavar="CMD", help="Asked first, with the value on its standard input; 0 means good.")
@click.option(
    "--keep",
    type=click.IntRange(1, 100),
    default=2,
    show_default=True,
    metavar="N",
    help="How many older versions stay.",
)
@click.option("--resume", is_flag=True, help="Go on with a rotation that was interrupted.")
@click.option("--rollback", is_flag=True, help="Give up a rotation that was interrupted.")
@click.option("--driver", default="swarmsec", show_default=True, metavar="NAME", help="What Docker calls the driver.")
@click.option(
    "--timeout", type=DURATION, default="10m", show_default=True, help="How long to wait for each service's tasks."
)
@click.option("--docker", metavar="HOST", help="A manager's Docker Engine. Default: the home's own, or this machine's.")
@click.pass_context
def rotate(
    context: click.Context,
    name: str,
    from_stdin: bool,
    file: Path | None,
    generate: bool,
    length: int | None,
    validate: str | None,
    keep: int,
    resume: bool,
    rollback: bool,
    driver: str,
    timeout: timedelta,
    docker: str | None,
) -> None:
    """Replace a secret's value in every service that uses it, one service after the other.

    The new value is kept, validated, and made current; then each service's tasks are made anew with it under the
    service's own update settings. Where they do not come up, the former value is back everywhere (exit code 3).
    A rotation that was interrupted goes on with --resume, or ends with --rollback.

    \b
    Examples:
      swarmsec secrets rotate team/app/db --generate
      swarmsec secrets rotate team/app/db --validate "/usr/local/bin/try-password shop" < new-password
      swarmsec secrets rotate team/app/db --resume
    """
    from swarmsec.cli.secretvalues import read_value
    from swarmsec.errors import UsageProblem
    from swarmsec.secretstore.names import SecretName

    checked, judge = SecretName.parse(name), _validate(validate)
    if resume and rollback:
        raise UsageProblem("expected --resume or --rollback, got both")
    if from_stdin + (file is not None) + generate > 1 - (resume or rollback):
        raise UsageProblem("expected one source of the value, and none with --resume or --rollback")
    value = None if resume or rollback else read_value(file, generate=generate, length=length)
    with opened_home(context) as home:
        rotating = _rotating(context, home, docker, timeout, driver)
        if rollback:
            given_up = rotating.roll_back(checked)
            document: dict[str, object] = {"name": name, "version": given_up.former, "given_up": given_up.version}
            text = f"{name} is back at version {given_up.former}"
        else:
            if value is None:
                done = rotating.resume(checked, judge)
            else:
                done = rotating.rotate(checked, value, judge, keep=keep, generated=generate)
            document = {
                "name": name,
                "version": done.version,
                "former": done.former,
                "services": list(done.services),
                "retired": list(done.retired),
            }
            text = f"{name} version {done.version} is in every task of {', '.join(done.services) or 'no service'}"
    if options_of(context).json:
        print_json(document)
        return
    click.echo(text)


def _validate(command: str | None) -> Validate | None:
    from swarmsec.wiring.secrets.validating import parse_command, validate_value

    return None if command is None else partial(validate_value, parse_command(command))


def _rotating(context: click.Context, home: Home, docker: str | None, timeout: timedelta, driver: str) -> Rotating:
    from swarmsec.docker.engine import EngineApi
    from swarmsec.docker.service_engine import DockerServices
    from swarmsec.wiring.secrets.secretrotation import Rotating
    from swarmsec.wiring.swarm.opening import find_home_endpoint

    endpoint = find_home_endpoint(home, docker)
    return Rotating(
        store=home.store,
        keys=keys_of(context, home),
        carrier=DockerServices(EngineApi(endpoint)),
        requester=local_requester(),
        driver=driver,
        seconds=timeout.total_seconds(),
        on_progress=report_tasks(),
        report=say,
    )
