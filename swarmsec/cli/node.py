"""``swarmsec node``: the commands that run on a node, and those that let one in."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from swarmsec.cli.approval import approve, deny, pending
from swarmsec.cli.durations import DURATION
from swarmsec.cli.frame import options_of, print_json, say
from swarmsec.cli.noderecover import recover
from swarmsec.cli.renewals import authority_options, renew_or_keep_renewed, renewal_options, report_renewal


@click.group()
def node() -> None:
    """Join a node to the authority, renew its certificate, bring it back; on the authority, let it in."""


node.add_command(pending)
node.add_command(approve)
node.add_command(deny)


@node.command()
@authority_options("Where the node's key, certificate and root go.")
@click.option("--token", required=True, metavar="TOKEN", help="A join token, from: swarmsec ca token worker.")
@click.option("--name", metavar="NAME", help="The node's id; the authority picks one where none is given.")
@click.option("--wait", type=DURATION, default="1h", show_default=True, help="How long to wait for approval.")
@click.pass_context
def join(context: click.Context, server: str, token: str, directory: Path, name: str | None, wait: timedelta) -> None:
    """Get this node's first certificate with a join token.

    The root bundle is checked against the token before anything is believed; the private key is made here and never
    leaves this machine. Writes swarm-node.key (0600), swarm-root-ca.crt and swarm-node.crt.

    Where the authority holds managers, this waits until somebody approves the node there. It may be stopped meanwhile:
    the same command goes on with the same key.

    \b
    Example:
      swarmsec node join --server https://ca.example.internal:8443 --token SWMTKN-1-... --dir ./node
    """
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.wiring.nodes.enrolment import Held, Patience
    from swarmsec.wiring.nodes.enrolment import join as join_authority

    def tell(held: Held) -> None:
        say(f"{held.node_id} waits for approval; its key has the fingerprint {held.spki_sha256}")
        say(f"on the authority: swarmsec node approve {held.node_id}")

    joined = join_authority(server, token, directory, name, Patience(limit=wait, tell=tell))
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


@node.command()
@authority_options("The node's files, as 'swarmsec node join' wrote them.")
@renewal_options
@click.pass_context
def renew(context: click.Context, server: str, directory: Path, if_due: bool, daemon: bool, every: timedelta) -> None:
    """Renew this node's certificate, with a new key.

    The present certificate proves who asks; node id and role stay. --if-due keeps to a moment between 50 and 80 percent
    of the certificate's life, drawn once and kept in DIR. --daemon keeps to it too, and renews at once when the
    authority has other roots. A certificate that has expired cannot renew itself.

    \b
    Examples:
      swarmsec node renew --server https://ca.example.internal:8443 --dir ./node --if-due
      swarmsec node renew --server https://ca.example.internal:8443 --dir ./node --daemon
    """
    from swarmsec.wiring.nodes.filekinds import NODE_FILES

    renewal = renew_or_keep_renewed(server, directory, NODE_FILES, if_due=if_due, daemon=daemon, every=every)
    if renewal is not None:
        whose = {"node_id": renewal.identity.node_id, "role": renewal.identity.role.word}
        report_renewal(context, renewal, whose)


node.add_command(recover)
