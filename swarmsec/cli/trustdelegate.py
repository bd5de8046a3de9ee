"""``swarmsec trust delegate``: who signs for which repository."""

from __future__ import annotations

from pathlib import Path

import click

from swarmsec.cli.frame import local_requester
from swarmsec.cli.trusthome import opened_trust
from swarmsec.cli.trustinput import FILE, report_outcome, root_keys_of
from swarmsec.cli.unlock import keys_of


@click.group()
def delegate() -> None:
    """Say who signs for which repository.

    \b
    Examples:
      swarmsec trust delegate add registry.example/shop/api
      swarmsec trust delegate remove registry.example/shop/api
    """


@delegate.command()
@click.argument("repository")
@click.option("--key", "key_files", multiple=True, type=FILE, help="A further signer's public key (PEM).")
@click.option(
    "--threshold", type=click.IntRange(1, 64), metavar="N", help="How many must sign. Default: 1, or 2 with --key."
)
@click.pass_context
def add(context: click.Context, repository: str, key_files: tuple[Path, ...], threshold: int | None) -> None:
    """Let a repository be signed, with a key of its own in this home.

    With --key a signature of the service is not enough: whoever steals this home signs nothing for the repository.

    \b
    Examples:
      swarmsec trust delegate add registry.example/shop/api
      swarmsec trust delegate add registry.example/shop/pay --key release.pub
    """
    from notary.roles import parse_repository
    from swarmsec.services.trust.delegate_repository import Delegation, add_delegation

    wanted = Delegation(
        repository=parse_repository(repository), outside_keys=root_keys_of(key_files), threshold=threshold
    )
    with opened_trust(context) as home:
        keys = keys_of(context, home)
        outcome = home.store.write(lambda transaction: add_delegation(transaction, keys, local_requester(), wanted))
    report_outcome(context, outcome, done=f"{wanted.repository} can be signed")


@delegate.command()
@click.argument("repository")
@click.pass_context
def remove(context: click.Context, repository: str) -> None:
    """Let a repository be signed no longer; what was signed for it counts no more."""
    from notary.roles import parse_repository
    from swarmsec.services.trust.delegate_repository import remove_delegation

    name = parse_repository(repository)
    with opened_trust(context) as home:
        keys = keys_of(context, home)
        outcome = home.store.write(lambda transaction: remove_delegation(transaction, keys, local_requester(), name))
    report_outcome(context, outcome, done=f"{name} is delegated no longer")
