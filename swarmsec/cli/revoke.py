"""``swarmsec ca revoke``: take a certificate back, or all of a node's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say

if TYPE_CHECKING:
    from swarmsec.services.ports import Transaction
    from swarmsec.services.records import CertificateRecord

REASONS: Final = (
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "privilegeWithdrawn",
)
"""The words of ``ca.revocation.Reason``, written out: help must not wait for what reads certificates."""


@click.command()
@click.argument("target", metavar="NODE|SERIAL")
@click.option(
    "--reason",
    type=click.Choice(REASONS),
    default="unspecified",
    metavar="WORD",
    help=f"Why, for the revocation list: {', '.join(REASONS)}.",
)
@click.option("--comment", default="", metavar="TEXT", help="Why in your own words, for the log.")
@click.pass_context
def revoke(context: click.Context, target: str, reason: str, comment: str) -> None:
    """Revoke a certificate by serial, or every certificate of a node.

    A running server refuses them within a second and closes their connections. The first eight digits of a serial
    will do where only one certificate begins with them. What was revoked before keeps the reason that it has.

    \b
    Examples:
      swarmsec ca revoke w3 --reason keyCompromise --comment "laptop lost"
      swarmsec ca revoke registry-1 --reason superseded
    """
    from ca.revocation_entries import parse_reason
    from swarmsec.services.ca.revoke_certificates import revoke_certificates
    from swarmsec.services.rotation.follow_rotation import note_revoked

    why = parse_reason(reason)

    def unit(transaction: Transaction) -> Sequence[CertificateRecord]:
        found = revoke_certificates(transaction, target, local_requester(), why=why, reason=comment)
        for name in sorted({record.subject_id for record in found}):
            note_revoked(transaction, name, local_requester())
        return found

    with opened_home(context) as home:
        revoked = home.store.write(unit)
    if options_of(context).json:
        print_json({"revoked": [record.serial for record in revoked], "reason": why.word})
        return
    for record in revoked:
        click.echo(record.serial)
    say(f"revoked {len(revoked)} certificate{'s' if len(revoked) != 1 else ''} of {target}")
