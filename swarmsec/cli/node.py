"""``swarmsec node``: the commands that run on a node."""

from __future__ import annotations

from pathlib import Path

import click

from swarmsec.cli.frame import options_of, print_json, say


@click.group()
def node() -> None:
    """Join a node to the authority."""


@node.command()
@click.option("--server", required=True, metavar="URL", help="The authority: https://HOST:PORT.")
@click.option("--token", required=True, metavar="TOKEN", help="A join token, from: swarmsec ca token worker.")
@click.option(
    "--dir",
    "directory",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Where the node's key, certificate and root go.",
)
@click.option("--name", metavar="NAME", help="The node's id; the authority picks one where none is given.")
@click.pass_context
def join(context: click.Context, server: str, token: str, directory: Path, name: str | None) -> None:
    """Get this node's first certificate with a join token.

    The root bundle is checked against the token before anything is believed; the private key is made here and never
    leaves this machine. Writes swarm-node.key (0600), swarm-root-ca.crt and swarm-node.crt.

    \b
    Example:
      swarmsec node join --server https://ca.example.internal:8443 --token SWMTKN-1-... --dir ./node
    """
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.wiring.enrolment import join as join_authority

    joined = join_authority(server, token, directory, name)
    not_after = rfc3339_seconds(int(joined.certificate.not_valid_after_utc.timestamp()))
    document = {
        "node_id": joined.identity.node_id,
        "role": joined.identity.role.word,
        "cluster_id": joined.identity.cluster_id,
        "serial": f"{joined.certificate.serial_number:x}",
        "not_after": not_after,
        "dir": str(directory),
    }
    if options_of(context).json:
        print_json(document)
        return
    click.echo(joined.identity.node_id)
    say(f"joined cluster {joined.identity.cluster_id} as a {joined.identity.role.word}, until {not_after[:10]}")
