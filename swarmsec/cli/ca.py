"""``swarmsec ca``: the group, its root bundle, and the Swarm roots it accepts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.castatus import status
from swarmsec.cli.certificates import list_command, show
from swarmsec.cli.crl import crl
from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json
from swarmsec.cli.init import init
from swarmsec.cli.issue import issue
from swarmsec.cli.revoke import revoke
from swarmsec.cli.rotate import rotate
from swarmsec.cli.tokens import token
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.wiring.homes.home import Home

MAX_PEM = 65_536


@click.group()
def ca() -> None:
    """The certificate authority: root, tokens, certificates."""


ca.add_command(init)
ca.add_command(issue)
ca.add_command(crl)
ca.add_command(status)
ca.add_command(rotate)


@ca.command()
@click.pass_context
def export(context: click.Context) -> None:
    """Print the root bundle, PEM, exactly as join tokens digest it."""
    from swarmsec.services.ca.show_authority import root_bundle

    with opened_home(context, allow_restored=True) as home:
        click.echo(home.store.read(root_bundle), nl=False)


ca.add_command(token)
ca.add_command(list_command)
ca.add_command(revoke)
ca.add_command(show)


@ca.command("trust-swarm")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--drop", metavar="SHA256", help="Accept this root no longer.")
@click.pass_context
def trust_swarm_command(context: click.Context, file: Path | None, drop: str | None) -> None:
    """Accept the managers of a Swarm under its present root while it rotates to ours.

    \b
    Example:
      docker swarm ca > swarm-root.pem
      swarmsec ca trust-swarm swarm-root.pem
      docker swarm ca --rotate --ca-cert root.pem \\
        --external-ca protocol=cfssl,url=https://HOST:8443/api/v1/cfssl/sign,cacert=root.pem

    It counts for managers of this home's cluster id alone, at the signing endpoint alone, and is dropped when the
    last node has left it.
    """
    from swarmsec.errors import UsageProblem

    if (file is None) == (drop is None):
        raise UsageProblem("expected FILE or --drop SHA256", hint="see: swarmsec ca trust-swarm --help")
    with opened_home(context) as home:
        if file is not None:
            sha256, word = _accept_root(context, home, file), "accepted"
        else:
            sha256, word = _drop_root(home, str(drop)), "dropped"
    if options_of(context).json:
        print_json({word: sha256})
    else:
        click.echo(f"{word} {sha256}")


def _accept_root(context: click.Context, home: Home, file: Path) -> str:
    from swarmsec.cli.secretinput import read_bounded
    from swarmsec.services.ca.authority import load_authority
    from swarmsec.services.swarm.trust_swarm import trust_swarm
    from swarmsec.wiring.ca.authority import lifetime_of

    pem = read_bounded(file, limit=MAX_PEM)
    keys = keys_of(context, home)
    root = home.store.write(
        lambda transaction: trust_swarm(
            transaction, load_authority(transaction, keys, lifetime_of(home.config)), pem, local_requester()
        )
    )
    return root.sha256


def _drop_root(home: Home, sha256: str) -> str:
    from swarmsec.services.swarm.trust_swarm import distrust_swarm

    home.store.write(
        lambda transaction: distrust_swarm(transaction, sha256, local_requester(), reason="dropped by the operator")
    )
    return sha256
