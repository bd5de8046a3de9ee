"""``swarmsec ca``: make the authority, show its root, hand out tokens, list and revoke certificates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.castatus import status
from swarmsec.cli.crl import crl
from swarmsec.cli.frame import (
    local_requester,
    opened_home,
    options_of,
    print_json,
    say,
)
from swarmsec.cli.init import init
from swarmsec.cli.issue import issue
from swarmsec.cli.rotate import rotate
from swarmsec.cli.tokens import token
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.services.ports import Transaction
    from swarmsec.services.records import CertificateRecord
    from swarmsec.wiring.home import Home

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
    from swarmsec.services.show_authority import root_bundle

    with opened_home(context, allow_restored=True) as home:
        click.echo(home.store.read(root_bundle), nl=False)


ca.add_command(token)


@ca.command("list")
@click.pass_context
def list_command(context: click.Context) -> None:
    """List every certificate with its state and when it is due."""
    from swarmsec.cli.tables import print_table
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.services.list_certificates import list_certificates

    with opened_home(context) as home:
        found = home.store.read(lambda transaction: list(list_certificates(transaction)))
    if options_of(context).json:
        print_json([item.members() for item in found])
        return
    print_table(
        ("NODE", "ROLE", "STATUS", "NOT AFTER", "DUE", "SERIAL"),
        [
            (
                item.record.subject_id,
                item.record.profile.removeprefix("swarm-"),
                item.status,
                rfc3339_seconds(item.record.not_after)[:10],
                "overdue" if item.overdue else rfc3339_seconds(item.renew_after)[:10],
                item.record.serial[:12],
            )
            for item in found
        ],
    )


@ca.command()
@click.argument("target", metavar="NODE|SERIAL")
@click.option("--reason", default="", help="Why, for the log.")
@click.pass_context
def revoke(context: click.Context, target: str, reason: str) -> None:
    """Revoke a certificate by serial, or every certificate of a node.

    A running server refuses them within a second and closes their connections.
    """
    from swarmsec.services.follow_rotation import note_revoked
    from swarmsec.services.revoke_certificates import revoke_certificates

    def unit(transaction: Transaction) -> Sequence[CertificateRecord]:
        found = revoke_certificates(transaction, target, local_requester(), reason=reason)
        for name in sorted({record.subject_id for record in found}):
            note_revoked(transaction, name, local_requester())
        return found

    with opened_home(context) as home:
        revoked = home.store.write(unit)
    if options_of(context).json:
        print_json({"revoked": [record.serial for record in revoked]})
        return
    for record in revoked:
        click.echo(record.serial)
    say(f"revoked {len(revoked)} certificate{'s' if len(revoked) != 1 else ''} of {target}")


@ca.command()
@click.pass_context
def show(context: click.Context) -> None:
    """Show the authority: cluster, roots, and the Swarm roots it accepts."""
    from swarmsec.services.show_authority import describe_authority

    with opened_home(context) as home:
        document = home.store.read(describe_authority)
    if options_of(context).json:
        print_json(document)
        return
    _print_authority(document)


def _print_authority(document: dict[str, object]) -> None:
    click.echo(f"cluster    {document['cluster_id']}")
    for root in _dictionaries(document["roots"]):
        click.echo(f"root {root['generation']:<5} {root['state']}, until {str(root['not_after'])[:10]}")
        click.echo(f"  sha256   {root['sha256']}")
        click.echo(f"  key      {root['key']}")
    for root in _dictionaries(document["swarm_roots"]):
        nodes = root["nodes"]
        seen = len(nodes) if isinstance(nodes, list) else 0
        click.echo(f"swarm root accepted since {root['added']}, {seen} managers seen")
        click.echo(f"  sha256   {root['sha256']}")


def _dictionaries(value: object) -> list[dict[str, object]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


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
    from swarmsec.services.authority import load_authority
    from swarmsec.services.trust_swarm import trust_swarm
    from swarmsec.wiring.authority import lifetime_of

    pem = read_bounded(file, limit=MAX_PEM)
    keys = keys_of(context, home)
    root = home.store.write(
        lambda transaction: trust_swarm(
            transaction, load_authority(transaction, keys, lifetime_of(home.config)), pem, local_requester()
        )
    )
    return root.sha256


def _drop_root(home: Home, sha256: str) -> str:
    from swarmsec.services.trust_swarm import distrust_swarm

    home.store.write(
        lambda transaction: distrust_swarm(transaction, sha256, local_requester(), reason="dropped by the operator")
    )
    return sha256
