"""``swarmsec ca``: the group, its root bundle, and the Swarm roots it accepts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import LazyGroup, local_requester, opened_home, options_of, print_json
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.wiring.homes.home import Home

MAX_PEM = 65_536


_COMMANDS = {
    "crl": ("swarmsec.cli.crl:crl", "Print the revocation list"),
    "export": ("swarmsec.cli.ca:export", "Print the root bundle exactly as join tokens digest it"),
    "init": ("swarmsec.cli.init:init", "Make this home the authority of one Swarm"),
    "issue": ("swarmsec.cli.issue:issue", "Issue a certificate for a program of the cluster"),
    "list": ("swarmsec.cli.certificates:list_command", "List every certificate, and when it is due"),
    "revoke": ("swarmsec.cli.revoke:revoke", "Revoke a certificate, or all of a node's"),
    "rotate": ("swarmsec.cli.rotate:rotate", "Move to a new root, or follow the rotation that runs"),
    "show": ("swarmsec.cli.certificates:show", "Show the authority: cluster, roots, Swarm roots"),
    "status": ("swarmsec.cli.castatus:status", "Show how the authority stands, and what is due"),
    "token": ("swarmsec.cli.tokens:token", "Join tokens: standing ones, and those with limits"),
    "trust-swarm": ("swarmsec.cli.ca:trust_swarm_command", "Accept a Swarm's managers while it moves to our root"),
}


@click.group(cls=LazyGroup, lazy=_COMMANDS)
def ca() -> None:
    """The certificate authority: root, tokens, certificates."""


@click.command()
@click.pass_context
def export(context: click.Context) -> None:
    """Print the root bundle, PEM, exactly as join tokens digest it."""
    from swarmsec.services.ca.show_authority import root_bundle

    with opened_home(context, allow_restored=True) as home:
        click.echo(home.store.read(root_bundle), nl=False)


@click.command("trust-swarm")
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
