"""``swarmsec trust``: who may sign which image, and the repository that says so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import local_requester, options_of, print_json, say, warn
from swarmsec.cli.newhome import opened_or_new_home
from swarmsec.cli.trustdelegate import delegate
from swarmsec.cli.trustexport import export
from swarmsec.cli.trusthome import opened_trust
from swarmsec.cli.trustinput import FILE, report_outcome, root_keys_of
from swarmsec.cli.trustkeys import key, root
from swarmsec.cli.trustpin import pin
from swarmsec.cli.trustsigning import pending, sign
from swarmsec.cli.trusttokens import token
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.services.trust.trust_status import TrustStatus


@click.group()
def trust() -> None:
    """Image trust: the root, who signs for which repository, and what waits for signatures.

    \b
    Examples:
      swarmsec --home ./authority trust init --yes
      swarmsec --home ./authority trust status
    """


trust.add_command(delegate)
trust.add_command(export)
trust.add_command(key)
trust.add_command(pending)
trust.add_command(root)
trust.add_command(sign)
trust.add_command(token)
trust.add_command(pin)


@trust.command()
@click.option("--yes", "is_embedded", is_flag=True, help="Keep every key in this home, marked as embedded.")
@click.option("--key", "key_files", multiple=True, type=FILE, help="A root signer's public key (PEM); once for each.")
@click.option("--threshold", type=click.IntRange(1, 64), metavar="N", help="How many must sign. Default: 2.")
@click.option(
    "--recovery-out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Of a home that is made now: write its recovery key to FILE (mode 0600).",
)
@click.pass_context
def init(
    context: click.Context,
    is_embedded: bool,
    key_files: tuple[Path, ...],
    threshold: int | None,
    recovery_out: Path | None,
) -> None:
    """Begin to sign images: make the root, and say who must sign it.

    With --yes all keys lie in this home, and images can be signed at once. With --key, given once for each signer, the
    root waits until enough of them have signed: swarmsec trust pending shows what they need. Install the default trust
    policy where none is in force.

    \b
    Examples:
      swarmsec --home ./authority trust init --yes
    """
    from swarmsec.errors import UsageProblem
    from swarmsec.services.trust.init_trust import init_trust

    if is_embedded == bool(key_files):
        raise UsageProblem(
            "expected --yes, or --key once for each root signer",
            hint="--yes keeps the threshold on one machine; trust root rotate moves the keys out later",
        )
    root_keys = root_keys_of(key_files)
    with opened_or_new_home(context, recovery_out) as home:
        keys = keys_of(context, home)
        outcome = home.store.write(
            lambda transaction: init_trust(
                transaction, keys, local_requester(), root_keys=root_keys, threshold=threshold
            )
        )
    report_outcome(context, outcome, done="this home signs images now")
    if is_embedded:
        say("every key lies in this home: its threshold guards against mistakes, not against whoever takes the home")


@trust.command()
@click.pass_context
def status(context: click.Context) -> None:
    """Show who may sign what, until when it holds, and what waits for signatures."""
    from swarmsec.services.trust.trust_status import pending_members, trust_status

    with opened_trust(context) as home, home.store.reading() as transaction:
        found = trust_status(transaction)
        pending = [pending_members(transaction, change) for change in found.pending]
    if options_of(context).json:
        roles = [item.members() for item in found.roles]
        print_json({"custody": "embedded" if found.is_embedded else "external", "roles": roles, "pending": pending})
        return
    _print_status(found)


def _print_status(found: TrustStatus) -> None:
    from swarmsec.cli.tables import print_table
    from swarmsec.clock import rfc3339_seconds

    print_table(
        ("ROLE", "VERSION", "EXPIRES", "DUE", "SIGNERS", "CUSTODY"),
        [
            (
                item.row.role,
                str(item.row.version),
                rfc3339_seconds(item.row.expires)[:10] if item.row.version else "",
                item.due,
                f"{item.row.threshold} of {len(item.row.keyids)}",
                item.custody,
            )
            for item in found.roles
        ],
    )
    for change in found.pending:
        say(f"waits for signatures: {change.summary} ({change.change_id})")
    if found.is_embedded:
        warn("one machine holds every root key; move them out with: swarmsec trust root rotate --key FILE")
