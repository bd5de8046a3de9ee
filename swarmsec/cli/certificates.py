"""``swarmsec ca list`` and ``ca show``: every certificate, when it is due, and all about one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from swarmsec.cli.frame import opened_home, options_of, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from swarmsec.services.ca.list_certificates import ListedCertificate

_SHORT_SERIAL: Final = 8
_SHORT_WORD: Final = 10
_LABELS: Final = (
    ("serial", "serial"),
    ("role", "role"),
    ("status", "status"),
    ("reason", "reason"),
    ("revoked", "revoked"),
    ("not before", "not_before"),
    ("not after", "not_after"),
    ("due", "renew_after"),
    ("subject", "subject"),
    ("issuer", "issuer"),
    ("sha256", "sha256"),
    ("key sha256", "spki_sha256"),
)


@click.command("list")
@click.pass_context
def list_command(context: click.Context) -> None:
    """List every certificate with its state and when it is due, or why it was revoked."""
    from swarmsec.cli.tables import is_terminal, print_table
    from swarmsec.services.ca.list_certificates import list_certificates

    with opened_home(context) as home:
        found = home.store.read(lambda transaction: list(list_certificates(transaction)))
    if options_of(context).json:
        print_json([item.members() for item in found])
        return
    short = is_terminal()
    print_table(
        ("NODE", "ROLE", "STATUS", "NOT AFTER", "DUE", "SERIAL"), [_row(item, is_short=short) for item in found]
    )


def _row(item: ListedCertificate, *, is_short: bool) -> tuple[str, ...]:
    """A line of the table; on a terminal cut so that six columns fit 80 characters."""
    from swarmsec.clock import rfc3339_seconds

    serial, due = item.record.serial, _due(item)
    if is_short:
        serial = serial[:_SHORT_SERIAL]
        due = due if len(due) <= _SHORT_WORD else f"{due[: _SHORT_WORD - 1]}…"
    return (
        item.record.subject_id,
        item.record.profile.removeprefix("swarm-"),
        item.status,
        rfc3339_seconds(item.record.not_after)[:10],
        due,
        serial,
    )


def _due(item: ListedCertificate) -> str:
    from swarmsec.clock import rfc3339_seconds

    match item.status:
        case "valid":
            return "overdue" if item.overdue else rfc3339_seconds(item.renew_after)[:10]
        case "revoked":
            return item.reason
        case _:
            return "-"


@click.command()
@click.argument("target", metavar="[NODE|SERIAL]", default="")
@click.pass_context
def show(context: click.Context, target: str) -> None:
    """Show the authority: cluster, roots, and the Swarm roots it accepts; or all about certificates.

    \b
    Examples:
      swarmsec ca show
      swarmsec ca show registry-1
    """
    from swarmsec.services.ca.show_authority import describe_authority
    from swarmsec.services.ca.show_certificates import describe_certificates

    with opened_home(context) as home:
        if target:
            found = home.store.read(lambda transaction: describe_certificates(transaction, target))
        else:
            document = home.store.read(describe_authority)
    if target:
        _show_certificates(context, found)
    elif options_of(context).json:
        print_json(document)
    else:
        _print_authority(document)


def _show_certificates(context: click.Context, found: Sequence[Mapping[str, object]]) -> None:
    from swarmsec.plaintext import plain_text

    if options_of(context).json:
        print_json(found)
        return
    for each in found:
        lines = [("node", each["node_id"]), *((label, each[member]) for label, member in _LABELS)]
        for label, value in [*lines, *(("host", host) for host in _list(each["hosts"]))]:
            if value:
                click.echo(f"{label:<12}{plain_text(str(value))}")
        click.echo()


def _print_authority(document: dict[str, object]) -> None:
    click.echo(f"cluster    {document['cluster_id']}")
    for root in _dictionaries(document["roots"]):
        click.echo(f"root {root['generation']:<5} {root['state']}, until {str(root['not_after'])[:10]}")
        click.echo(f"  sha256   {root['sha256']}")
        click.echo(f"  key      {root['key']}")
        last = root["last_crl"]
        if isinstance(last, dict):
            click.echo(f"  crl      the last one, number {last['number']}, until {last['next_update']}")
    for root in _dictionaries(document["swarm_roots"]):
        click.echo(f"swarm root accepted since {root['added']}, {len(_list(root['nodes']))} managers seen")
        click.echo(f"  sha256   {root['sha256']}")


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _dictionaries(value: object) -> list[dict[str, object]]:
    return [item for item in _list(value) if isinstance(item, dict)]
