"""``swarmsec secrets``: secrets kept in versions, and their values for those who may see them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from swarmsec.cli.attaching import attach, detach
from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say
from swarmsec.cli.rotatesecret import rotate
from swarmsec.cli.secretevents import events
from swarmsec.cli.secretlists import list_command, show, versions
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.secretstore.names import SecretName
    from swarmsec.services.ports import Transaction
    from swarmsec.services.secrets.kept_secrets import KeptSecret
    from swarmsec.wiring.homes.home import Home

_FILE = click.option(
    "--file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Read the value from FILE (mode 0600) instead of standard input.",
)
_GENERATE = click.option("--generate", is_flag=True, help="Draw a value of letters and digits by chance.")
_LENGTH = click.option("--length", type=int, metavar="N", help="Characters of --generate. Default: 40.")
_VERSIONS = click.option("--version", "versions", type=int, multiple=True, metavar="N", help="Which; may be repeated.")


@click.group()
def secrets() -> None:
    """Secrets, kept in versions under envelope encryption.

    A name is a path such as team/app/db. Values come from standard input, byte for byte, or from a private file.

    \b
    Examples:
      swarmsec secrets create team/app/db --generate
      swarmsec secrets put team/app/db --cas 1 < new-password
      swarmsec secrets versions team/app/db
    """


@secrets.command()
@click.argument("name")
@_FILE
@_GENERATE
@_LENGTH
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="Kept in the clear; may be repeated.")
@click.option("--max-versions", type=int, default=10, show_default=True, metavar="N", help="How many to keep.")
@click.option(
    "--recovery-out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where a new home's recovery key goes (mode 0600); without it, it is shown once.",
)
@click.pass_context
def create(
    context: click.Context,
    name: str,
    file: Path | None,
    generate: bool,
    length: int | None,
    labels: tuple[str, ...],
    max_versions: int,
    recovery_out: Path | None,
) -> None:
    """Make a secret with its first version; a home is made where there is none.

    \b
    Examples:
      swarmsec secrets create team/app/db --generate --label owner=shop
      swarmsec secrets create team/app/tls-key --file key.pem
    """
    from swarmsec.cli.newhome import opened_or_new_home
    from swarmsec.cli.secretvalues import read_value
    from swarmsec.secretstore.labels import parse_labels
    from swarmsec.secretstore.names import SecretName
    from swarmsec.secretstore.versions import verify_max_versions
    from swarmsec.services.secrets.keep_secrets import NewSecret, create_secret

    checked, texts = SecretName.parse(name), parse_labels(labels)
    verify_max_versions(max_versions)
    value = read_value(file, generate=generate, length=length)
    new = NewSecret(name=checked, value=value, labels=texts, max_versions=max_versions, generated=generate)
    with opened_or_new_home(context, recovery_out) as home:
        keys = keys_of(context, home)
        kept = home.store.write(lambda transaction: create_secret(transaction, keys, new, local_requester()))
    _report(context, kept, f"{name} version {kept.record.current}")


@secrets.command()
@click.argument("name")
@_FILE
@_GENERATE
@_LENGTH
@click.option("--cas", type=int, metavar="N", help="Only if version N is the newest; nothing changes otherwise.")
@click.option("--max-versions", type=int, metavar="N", help="How many to keep from now on.")
@click.pass_context
def put(
    context: click.Context,
    name: str,
    file: Path | None,
    generate: bool,
    length: int | None,
    cas: int | None,
    max_versions: int | None,
) -> None:
    """Add a version, which is current from now on.

    Versions beyond the number to keep are destroyed, the oldest first.

    \b
    Examples:
      swarmsec secrets put team/app/db --cas 1 < new-password
      swarmsec secrets put team/app/db --generate
    """
    from swarmsec.cli.secretvalues import read_value
    from swarmsec.secretstore.names import SecretName
    from swarmsec.services.secrets.keep_secrets import put_secret

    checked = SecretName.parse(name)
    value = read_value(file, generate=generate, length=length)
    with opened_home(context) as home:
        keys = keys_of(context, home)
        kept = home.store.write(
            lambda transaction: put_secret(
                transaction,
                keys,
                checked,
                value,
                local_requester(),
                cas=cas,
                max_versions=max_versions,
                generated=generate,
            )
        )
        _forget_erased(home)
        _tidy_docker(home, checked)
    _report(context, kept, f"{name} version {kept.history.newest}")


@secrets.command()
@click.argument("name")
@_VERSIONS
@click.pass_context
def delete(context: click.Context, name: str, versions: tuple[int, ...]) -> None:
    """Withdraw versions, the current one by default; undelete brings them back.

    Nobody gets a withdrawn version, and no older one takes its place.

    \b
    Examples:
      swarmsec secrets delete team/app/db --version 2
    """
    from swarmsec.services.secrets.keep_secrets import delete_versions

    _report(context, _changed(context, name, delete_versions, versions), f"{name} withdrawn")


@secrets.command()
@click.argument("name")
@_VERSIONS
@click.pass_context
def undelete(context: click.Context, name: str, versions: tuple[int, ...]) -> None:
    """Bring withdrawn versions back, the current one by default."""
    from swarmsec.services.secrets.keep_secrets import undelete_versions

    _report(context, _changed(context, name, undelete_versions, versions, ends=False), f"{name} brought back")


@secrets.command()
@click.argument("name")
@_VERSIONS
@click.option("--yes", is_flag=True, help="Do not ask on a terminal.")
@click.pass_context
def destroy(context: click.Context, name: str, versions: tuple[int, ...], yes: bool) -> None:
    """Erase versions for good, every one by default: their keys are overwritten.

    A backup made before still holds them for whoever has the recovery key.

    \b
    Examples:
      swarmsec secrets destroy team/app/db --version 1
    """
    from swarmsec.services.secrets.keep_secrets import destroy_versions

    what = f"version {', '.join(map(str, versions))}" if versions else "every version"
    if not yes and sys.stdin.isatty():
        click.confirm(f"destroy {what} of {name}? it cannot be undone", abort=True, err=True)
    kept = _changed(context, name, destroy_versions, versions, erases=True)
    _report(context, kept, f"{name}: {what} destroyed")


@secrets.command()
@click.argument("name")
@click.option("--version", type=int, metavar="N", help="Which; the current one by default.")
@click.option("--reason", default="", help="Why, for the log.")
@click.pass_context
def reveal(context: click.Context, name: str, version: int | None, reason: str) -> None:
    """Print a value to stdout, byte for byte; the log keeps who asked.

    Only who can open the home may; a secret access policy can forbid it (a denying rule that names nothing but
    secrets).
    """
    from swarmsec.secretstore.names import SecretName
    from swarmsec.services.secrets.reveal_secret import reveal_secret

    checked = SecretName.parse(name)
    with opened_home(context) as home:
        keys = keys_of(context, home)
        value = home.store.write(
            lambda transaction: reveal_secret(
                transaction, keys, checked, local_requester(), version=version, reason=reason
            )
        )
    if options_of(context).json:
        import base64

        print_json({"name": name, "value_base64": base64.b64encode(value.reveal()).decode()})
        return
    sys.stdout.buffer.write(value.reveal())
    sys.stdout.buffer.flush()
    if sys.stdout.isatty():
        click.echo(err=True)


secrets.add_command(list_command)
secrets.add_command(show)
secrets.add_command(versions)
secrets.add_command(events)
secrets.add_command(attach)
secrets.add_command(detach)
secrets.add_command(rotate)


def _changed(
    context: click.Context,
    name: str,
    service: Callable[..., KeptSecret],
    versions: tuple[int, ...],
    *,
    ends: bool = True,
    erases: bool = False,
) -> KeptSecret:
    from swarmsec.secretstore.names import SecretName

    checked = SecretName.parse(name)

    def unit(transaction: Transaction) -> KeptSecret:
        return service(transaction, checked, versions, local_requester())

    with opened_home(context) as home:
        kept = home.store.write(unit)
        if erases:
            _forget_erased(home)
        if ends:
            _tidy_docker(home, checked)
    return kept


def _forget_erased(home: Home) -> None:
    """Erased keys may still stand in the write-ahead log; leave none there."""
    if not home.store.truncate_write_ahead_log():
        say("a reader keeps the write-ahead log from being emptied; the erased keys leave it with the next write")


def _tidy_docker(home: Home, name: SecretName) -> None:
    """Remove Docker's own secrets of versions that ended; a home whose services use none asks no engine."""
    from swarmsec.docker.engine import EngineApi
    from swarmsec.docker.service_engine import DockerServices
    from swarmsec.errors import SwarmsecError
    from swarmsec.wiring.secrets.nativesecrets import NativeSecrets, ended_natively
    from swarmsec.wiring.swarm.opening import find_home_endpoint

    if name not in home.store.read(ended_natively):
        return
    try:
        carrier = DockerServices(EngineApi(find_home_endpoint(home, None)))
        NativeSecrets(name=name, carrier=carrier, report=say).remove_ended(home.store)
    except SwarmsecError as error:
        say(f"Docker's own secrets of versions that ended stay until serve or the next rotation removes them: {error}")


def _report(context: click.Context, kept: KeptSecret, text: str) -> None:
    from swarmsec.services.secrets.kept_secrets import describe_secret

    if options_of(context).json:
        document: dict[str, Any] = describe_secret(kept)
        print_json(document)
    else:
        click.echo(text)
