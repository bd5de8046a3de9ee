"""``swarmsec node recover``: a node whose certificate has expired comes back, by the home itself or by a token."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say

if TYPE_CHECKING:
    from ca.identity import NodeIdentity


@click.command()
@click.option("--server", metavar="URL", help="The authority: https://HOST:PORT; needs --token.")
@click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The node's files, as 'swarmsec node join' wrote them.",
)
@click.option(
    "--data-root",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The data directory of a stopped Docker Engine, /var/lib/docker where nobody moved it.",
)
@click.option("--token", metavar="TOKEN", help="From: swarmsec ca token create --role recover.")
@click.option(
    "--home",
    "home",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The authority's home, where it is on this machine; in place of --server.",
)
@click.pass_context
def recover(
    context: click.Context,
    server: str | None,
    directory: Path | None,
    data_root: Path | None,
    token: str | None,
    home: Path | None,
) -> None:
    """Bring back a node whose certificate has expired.

    The key stays, and nothing but certificate and root bundle is written. A node of a Swarm keeps its id, role and
    services: stop its engine, name its data directory, and start it again. For a whole Swarm begin with the managers.
    With --server the token must be for exactly this node; where the authority's home can be opened none is needed. A
    locked manager's key stays locked.

    \b
    Examples:
      swarmsec node recover --data-root /var/lib/docker --home ./authority
      swarmsec node recover --data-root /var/lib/docker --server https://ca:8443 --token SWMTKN-1-...
      swarmsec node recover --dir ./node --server https://ca:8443 --token SWMTKN-1-...
    """
    from swarmsec.errors import UsageProblem

    if (directory is None) == (data_root is None):
        raise UsageProblem("expected either --data-root or --dir", hint="see: swarmsec node recover --help")
    if server is not None or token is not None:
        if server is None or token is None or home is not None:
            hint = "the token comes from: swarmsec ca token create --role recover --node-name ID"
            raise UsageProblem("expected --server together with --token, and no --home", hint=hint)
        identity, serial, until = _by_token(server, token, directory, data_root)
    elif data_root is None:
        raise UsageProblem("expected --server and --token with --dir", hint="see: swarmsec node recover --help")
    else:
        identity, serial, until = _by_home(context, home, data_root)
    _tell(context, identity, serial, until, is_engine=data_root is not None)


def _by_token(server: str, token: str, directory: Path | None, data_root: Path | None) -> tuple[NodeIdentity, str, int]:
    from swarmsec.wiring.nodes.recovering import recover as recover_by_token
    from swarmsec.wiring.swarm.reviving import certificates_of

    place = certificates_of(data_root) if data_root is not None else directory
    if place is None:
        raise TypeError("one of both is given")
    issued = recover_by_token(server, token, place)
    certificate = issued.certificate
    return issued.identity, f"{certificate.serial_number:x}", int(certificate.not_valid_after_utc.timestamp())


def _by_home(context: click.Context, home: Path | None, data_root: Path) -> tuple[NodeIdentity, str, int]:
    from swarmsec.cli.unlock import keys_of
    from swarmsec.wiring.swarm.reviving import revive

    root = context.find_root()
    if home is not None:
        root.obj = replace(options_of(context), home=home)
    with opened_home(context) as opened:
        revived = revive(opened, keys_of(context, opened), data_root, local_requester())
    return revived.identity, revived.record.serial, revived.record.not_after


def _tell(context: click.Context, identity: NodeIdentity, serial: str, not_after: int, *, is_engine: bool) -> None:
    from swarmsec.clock import rfc3339_seconds

    until = rfc3339_seconds(not_after)
    if options_of(context).json:
        document = {"node_id": identity.node_id, "role": identity.role.word, "serial": serial}
        print_json({**document, "not_after": until})
        return
    click.echo(serial)
    say(f"{identity.node_id} is back as a {identity.role.word}, until {until[:10]}")
    if is_engine:
        say("start its engine; a locked manager then needs: swarmsec swarm autolock unlock")
