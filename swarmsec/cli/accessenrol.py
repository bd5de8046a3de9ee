"""``swarmsec access enrol|renew``: the secret driver and a node's agent enrol with a token and stay enrolled."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import click

from swarmsec.cli.frame import options_of, print_json, say, verify_local
from swarmsec.cli.renewals import authority_options, renew_or_keep_renewed, renewal_options, report_renewal


@click.command()
@authority_options("Where swarmsec.crt, swarmsec.key (mode 0600) and root-ca.crt go.")
@click.option(
    "--token", required=True, metavar="TOKEN", help="From: swarmsec ca token create --role driver, or --role agent."
)
@click.option("--name", metavar="NAME", help="Of the driver, or the agent's node; needless where the token names it.")
@click.pass_context
def enrol(context: click.Context, server: str, token: str, directory: Path, name: str | None) -> None:
    """Enrol a secret driver or a node's agent on its machine, with a token.

    The root bundle is checked against the token before anything is believed; the private key is made here and never
    leaves this machine. What the token's role is, driver or agent of one node, is what the identity may. DIR is then
    what --identity takes. A command that was interrupted goes on with the same key when it is repeated.

    \b
    Examples:
      swarmsec access enrol --server https://ca.example.internal:8443 --token SWMTKN-1-... --dir ./m1
      swarmsec access enrol --server https://ca:8443 --token SWMTKN-1-... --dir ./agent --name n1
    """
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.wiring.nodes.identityenrolment import enrol as enrol_identity

    verify_local(options_of(context))
    enrolled = enrol_identity(server, token, directory, name)
    not_after = rfc3339_seconds(int(enrolled.certificate.not_valid_after_utc.timestamp()))
    serial = f"{enrolled.certificate.serial_number:x}"
    if options_of(context).json:
        document = {"name": enrolled.name, "role": enrolled.role, "serial": serial}
        print_json({**document, "not_after": not_after, "dir": str(directory)})
        return
    click.echo(enrolled.name)
    say(f"enrolled as {enrolled.role}, until {not_after[:10]}")
    if enrolled.role == "driver":
        say(f"next: swarmsec --server {server} --identity {directory} driver")
    else:
        say(f"next: swarmsec --server {server} --identity {directory} agent")


@click.command()
@authority_options("The identity's files, as 'swarmsec access enrol' wrote them.")
@renewal_options
@click.pass_context
def renew(context: click.Context, server: str, directory: Path, if_due: bool, daemon: bool, every: timedelta) -> None:
    """Renew the certificate of a driver or agent, with a new key.

    'swarmsec driver' and 'swarmsec agent' do this by themselves while they run. The present certificate proves who
    asks; name and role stay. A certificate that has expired cannot renew itself.

    \b
    Examples:
      swarmsec access renew --server https://ca.example.internal:8443 --dir ./driver --if-due
      swarmsec access renew --server https://ca.example.internal:8443 --dir ./driver --daemon
    """
    from swarmsec.wiring.nodes.filekinds import IDENTITY_FILES

    verify_local(options_of(context))
    renewal = renew_or_keep_renewed(server, directory, IDENTITY_FILES, if_due=if_due, daemon=daemon, every=every)
    if renewal is not None:
        report_renewal(context, renewal, {"name": renewal.name})
