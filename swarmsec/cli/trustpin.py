"""``swarmsec trust pin``: which root this machine trusts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from swarmsec.cli.frame import options_of, print_json, say, warn


@click.command()
@click.argument("root", metavar="FILE|sha256:HEX")
@click.option("--url", metavar="URL", help="The server whose /tuf/ has the metadata.")
@click.option(
    "--ca",
    "authority",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Trust these authorities for TLS with that server.",
)
@click.option("--insecure-registry", "insecure", multiple=True, metavar="HOST", help="Speak plain HTTP with HOST.")
@click.pass_context
def pin(context: click.Context, /, root: str, **chosen: Any) -> None:
    """Trust a repository's root on this machine, once.

    FILE is a root of the repository, brought by a way that you trust. A digest names one of the roots that --url
    publishes; get it where the root was made, not from that server. What was pinned before is replaced.

    \b
    Examples:
      swarmsec trust pin root.json --url https://trust.example.internal:8443
      swarmsec trust pin sha256:... --url https://trust.example.internal:8443
    """
    from notary.reference import Digest
    from swarmsec.errors import UsageProblem
    from swarmsec.wiring.homes.places import trust_directory
    from swarmsec.wiring.trust.trustpins import Pin, read_root, save_pin
    from swarmsec.wiring.trust.trustsessions import TrustOptions, pin_by_digest, read_authorities

    url = chosen["url"] or options_of(context).server
    options = TrustOptions(url=url, authority=chosen["authority"], insecure=tuple(chosen["insecure"]))
    if root.startswith("sha256:"):
        if url is None:
            raise UsageProblem("expected --url URL with a digest", hint="or give the root's file")
        data = pin_by_digest(Digest.parse(root), options, warn=warn)
    else:
        data = read_root(Path(root))
    pinned = Pin(root=data, url=url, authorities=read_authorities(options.authority))
    save_pin(trust_directory(), pinned)
    if options_of(context).json:
        print_json({"root_sha256": pinned.sha256, "url": url})
        return
    click.echo(f"sha256:{pinned.sha256}")
    say("this root is trusted on this machine now; compare the digest with where the root was made")
