"""``swarmsec ca``: make the authority, show its root, hand out tokens, list and revoke certificates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.castatus import status
from swarmsec.cli.crl import crl
from swarmsec.cli.frame import (
    ask_passphrase,
    close_home,
    home_path,
    local_requester,
    opened_home,
    options_of,
    print_json,
    say,
)
from swarmsec.cli.issue import issue
from swarmsec.cli.tokens import token
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.services.ports import Transaction
    from swarmsec.wiring.home import Home

MAX_PEM = 65_536


@click.group()
def ca() -> None:
    """The certificate authority: root, tokens, certificates."""


ca.add_command(issue)
ca.add_command(crl)
ca.add_command(status)


@ca.command()
@click.option("--cluster-id", metavar="ID", help="The Swarm's id (docker info); one is made where none is given.")
@click.option("--key-type", type=click.Choice(["p256", "p384"]), default="p256", show_default=True)
@click.option("--seal", type=click.Choice(["file", "passphrase"]), default="file", show_default=True)
@click.option("--database", metavar="URL", help="Keep state in PostgreSQL: postgresql://USER@HOST/NAME.")
@click.option(
    "--recovery-out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the recovery key to FILE (mode 0600) instead of showing it once.",
)
@click.pass_context
def init(
    context: click.Context,
    cluster_id: str | None,
    key_type: str,
    seal: str,
    database: str | None,
    recovery_out: Path | None,
) -> None:
    """Make this home the authority of one Swarm.

    \b
    Examples:
      swarmsec --home ./authority ca init --recovery-out ./recovery.key
      swarmsec --home ./authority ca init --cluster-id "$(docker info -f '{{.Swarm.Cluster.ID}}')"
    """
    from swarmsec.services.init_authority import init_authority
    from swarmsec.services.records import KeyKind
    from swarmsec.wiring.creating import (
        DEFAULT_URL,
        NewHome,
        create_home,
        home_exists,
        keep_recovery_key,
        recovery_to_finish,
    )
    from swarmsec.wiring.home import open_home

    path = home_path(options_of(context))
    made = None
    interrupted = home_exists(path)
    if interrupted:
        home = open_home(path, requester=local_requester())
    else:
        wanted = NewHome(path=path, database_url=database or DEFAULT_URL, seal=seal, recovery_out=recovery_out)
        created = create_home(wanted, lambda prompt: ask_passphrase(context, prompt), local_requester())
        home, made = created.home, created.recovery
        say(f"made a new home at {path}")
    try:
        keys = keys_of(context, home)
        recovery = recovery_to_finish(home, recovery_out) if interrupted else made

        def finish(transaction: Transaction) -> str:
            if interrupted and recovery is not None:
                keep_recovery_key(transaction, keys, recovery, local_requester())
            return init_authority(
                transaction, keys, local_requester(), cluster_id=cluster_id, key_kind=KeyKind(key_type)
            )

        chosen = home.store.write(finish)
    finally:
        close_home(home)
    shown = recovery.identity.reveal().decode() if recovery and recovery_out is None else None
    _report_init(context, path, chosen, recovery_out, shown)


def _report_init(
    context: click.Context, path: Path, cluster_id: str, recovery_out: Path | None, recovery_key: str | None
) -> None:
    if options_of(context).json:
        document = {"home": str(path), "cluster_id": cluster_id}
        if recovery_out is not None:
            document["recovery_file"] = str(recovery_out)
        if recovery_key is not None:
            document["recovery_key"] = recovery_key
        print_json(document)
        return
    click.echo(f"cluster {cluster_id}")
    if recovery_key is not None:
        say("the recovery key opens every backup of this home; it is shown this once, keep it elsewhere:")
        click.echo(recovery_key)
    say(f"next: swarmsec --home {path} serve")


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
    from swarmsec.services.revoke_certificates import revoke_certificates

    with opened_home(context) as home:
        revoked = home.store.write(
            lambda transaction: revoke_certificates(transaction, target, local_requester(), reason=reason)
        )
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
