"""The server of this call and how to show oneself to it, for commands that also work over ``--server``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from swarmsec.cli.frame import options_of

if TYPE_CHECKING:
    from swarmsec.secretbytes import SecretBytes
    from swarmsec.wiring.trust.trustclient import Peer

TOKEN_VARIABLE: Final = "SWARMSEC_TOKEN"  # noqa: S105  # the name of a variable
_MAX_FILE: Final = 65_536


def peer_of(context: click.Context, authority: Path | None) -> Peer:
    """The server that ``--server`` names, verified under ``--ca`` or the identity's own roots.

    Raises:
        UsageProblem: neither is given.
    """
    from swarmsec.cli.secretinput import read_bounded
    from swarmsec.errors import UsageProblem
    from swarmsec.wiring.log.logclient import LogClient
    from swarmsec.wiring.nodes.authorityclient import parse_server
    from swarmsec.wiring.trust.trustclient import Peer

    options = options_of(context)
    base = parse_server(options.server or "")
    pair, roots = None, None
    if options.identity is not None:
        client = LogClient.of(options.server, options.identity)
        pair, roots = client.pair, client.roots
    if authority is not None:
        roots = read_bounded(authority, limit=_MAX_FILE)
    if roots is None:
        raise UsageProblem("expected --ca FILE with the server's root", hint="get it with: swarmsec ca export")
    return Peer(base=base, roots=roots, pair=pair)


def token_of_environment() -> SecretBytes | None:
    """The token of a CI job, or None."""
    from swarmsec.secretbytes import SecretBytes

    text = os.environ.get(TOKEN_VARIABLE)
    return SecretBytes(text.strip().encode()) if text else None
