"""``swarmsec ca crl``: the revocation list for programs that read one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.services.ports import Transaction
    from swarmsec.services.publish_revocations import PublishedList
    from swarmsec.wiring.home import Home


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it to FILE, in the place of what is there, instead of printing it.",
)
@click.pass_context
def crl(context: click.Context, out: Path | None) -> None:
    """Print the revocation list, PEM.

    It is valid for 7 days. A new one is made when certificates were revoked, or half of that time is over; a server
    gives it out as DER at /api/v1/ca/crl.

    \b
    Example:
      swarmsec ca crl --out ./revoked.pem
    """
    from ca.pem import write_block
    from swarmsec.clock import rfc3339_seconds

    with opened_home(context) as home:
        published = _publish(context, home)
    pem = write_block(published.der, "X509 CRL")
    if out is not None:
        _write(out, pem)
        say(f"wrote list {published.state.number} to {out}")
    if options_of(context).json:
        document: dict[str, object] = {
            "number": published.state.number,
            "this_update": rfc3339_seconds(published.state.this_update),
            "next_update": rfc3339_seconds(published.state.next_update),
            "revoked": published.count,
        }
        print_json(document | ({"file": str(out)} if out is not None else {"crl": pem.decode("ascii")}))
    elif out is None:
        click.echo(pem, nl=False)


def _publish(context: click.Context, home: Home) -> PublishedList:
    from swarmsec.services.authority import load_authority
    from swarmsec.services.publish_revocations import current_list, publish_list
    from swarmsec.wiring.authority import lifetime_of

    keys, lifetime = keys_of(context, home), lifetime_of(home.config)

    def read(transaction: Transaction) -> PublishedList | None:
        return current_list(transaction, load_authority(transaction, keys, lifetime))

    def publish(transaction: Transaction) -> PublishedList:
        return publish_list(transaction, load_authority(transaction, keys, lifetime), local_requester())

    return home.store.read(read) or home.store.write(publish)


def _write(out: Path, pem: bytes) -> None:
    from swarmsec.atomicfile import write_atomically
    from swarmsec.errors import Unavailable

    try:
        write_atomically(out, pem, mode=0o644)
    except OSError as error:
        raise Unavailable(
            f"{out} could not be written: {error.strerror}", hint="check its directory and free space"
        ) from None
