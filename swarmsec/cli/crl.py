"""``swarmsec ca crl``: the revocation list for programs that read one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.services.ca.publish_revocations import PublishedList
    from swarmsec.services.ports import Transaction
    from swarmsec.services.records import AuthorityRecord
    from swarmsec.wiring.homes.home import Home


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it to FILE, in the place of what is there, instead of printing it.",
)
@click.option(
    "--root",
    metavar="SHA256",
    help="The list of this root: the other one during a rotation, or the last list of one that was given up.",
)
@click.option("--all", "every", is_flag=True, help="The lists of all roots that count now, one after the other.")
@click.pass_context
def crl(context: click.Context, out: Path | None, root: str | None, every: bool) -> None:
    """Print the revocation list, PEM.

    It is that of the root that 'ca export' prints, and is valid for 7 days. A new one is made when certificates were
    revoked, or half of that time is over; a server gives it out as DER at /api/v1/ca/crl, and each root's at
    /api/v1/ca/crl/SHA256.

    \b
    Examples:
      swarmsec ca crl --out ./revoked.pem
      swarmsec ca crl --all --out ./revoked.pem
    """
    from ca.pem import write_block
    from swarmsec.errors import UsageProblem

    if root is not None and every:
        raise UsageProblem("expected --root or --all, not both")
    with opened_home(context) as home:
        published = _publish(context, home, root, every=every)
    pem = b"".join(write_block(each.der, "X509 CRL") for each in published)
    if out is not None:
        _write(out, pem)
        say(f"wrote {_numbers(published)} to {out}")
    if options_of(context).json:
        lists = [_members(each) for each in published]
        document: dict[str, object] = {"lists": lists} if every else lists[0]
        print_json(document | ({"file": str(out)} if out is not None else {"crl": pem.decode("ascii")}))
    elif out is None:
        click.echo(pem, nl=False)


def _numbers(published: Sequence[PublishedList]) -> str:
    return f"list{'s' if len(published) > 1 else ''} {', '.join(str(each.number) for each in published)}"


def _members(published: PublishedList) -> dict[str, object]:
    from swarmsec.clock import rfc3339_seconds

    return {
        "root_sha256": published.root_sha256,
        "number": published.number,
        "this_update": rfc3339_seconds(published.this_update),
        "next_update": rfc3339_seconds(published.next_update),
        "revoked": published.count,
        "last": published.state is None,
    }


def _publish(context: click.Context, home: Home, root: str | None, *, every: bool) -> Sequence[PublishedList]:
    from swarmsec.services.ca.publish_revocations import (
        current_list,
        find_root,
        listed_roots,
        public_root,
        publish_list,
    )

    keys = keys_of(context, home)

    def wanted(transaction: Transaction) -> Sequence[AuthorityRecord]:
        if every:
            return listed_roots(transaction)
        chosen = public_root(transaction)
        return [chosen if root is None else find_root(transaction, root.lower().replace(":", ""))]

    def read(transaction: Transaction) -> Sequence[PublishedList] | None:
        found = [current_list(transaction, keys, each) for each in wanted(transaction)]
        present = [each for each in found if each is not None]
        return present if len(present) == len(found) else None

    def publish(transaction: Transaction) -> Sequence[PublishedList]:
        return [publish_list(transaction, keys, each, local_requester()) for each in wanted(transaction)]

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
