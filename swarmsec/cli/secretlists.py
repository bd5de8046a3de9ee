"""``swarmsec secrets list``, ``show`` and ``versions``: what is known of secrets, but for their values."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import opened_home, options_of, print_json, print_json_items

if TYPE_CHECKING:
    from swarmsec.services.secrets.secret_ages import SecretAge
    from swarmsec.wiring.homes.home import Home


@click.command("list")
@click.argument("prefix", default="")
@click.option("--overdue", is_flag=True, help="Only those whose value is older than a rotation policy allows.")
@click.pass_context
def list_command(context: click.Context, prefix: str, overdue: bool) -> None:
    """List secrets, or those whose names begin with PREFIX; values are not shown.

    ROTATION says what the rotation policy makes of a value's age: overdue, due (serve replaces it), ok, or none where
    no rule covers the secret; open, where a rotation was begun and is not over.

    \b
    Examples:
      swarmsec secrets list team/
      swarmsec secrets list --overdue --json
    """
    from swarmsec.cli.tables import print_table

    with opened_home(context) as home:
        listed = (item for item in _each(home, prefix, old_ones=overdue) if item.is_overdue or not overdue)
        if options_of(context).json:
            print_json_items(map(_document, listed))
        else:
            print_table(("NAME", "CURRENT", "STATE", "VERSIONS", "CHANGED", "ROTATION"), map(_row, listed))


def _each(home: Home, prefix: str, *, old_ones: bool) -> Iterator[SecretAge]:
    from swarmsec.services.secrets.secret_ages import page_of_ages

    after = ""
    while page := home.store.read(partial(page_of_ages, prefix=prefix, after=after, old_ones=old_ones)):
        yield from page
        after = page[-1].kept.record.name


def _row(item: SecretAge) -> tuple[str, ...]:
    from swarmsec.clock import rfc3339_seconds

    record = item.kept.record
    return (
        record.name,
        str(record.current or "none"),
        str(item.kept.state_of(record.current) or "none"),
        str(len(item.kept.versions)),
        rfc3339_seconds(record.changed),
        _word(item),
    )


@click.command()
@click.argument("name")
@click.pass_context
def show(context: click.Context, name: str) -> None:
    """Show what is known of a secret, but for its values."""
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.plaintext import plain_text
    from swarmsec.secretstore.labels import load_labels
    from swarmsec.secretstore.names import SecretName
    from swarmsec.services.secrets.kept_secrets import find_secret
    from swarmsec.services.secrets.secret_ages import age_of

    checked = SecretName.parse(name)
    with opened_home(context) as home:
        item = home.store.read(lambda transaction: age_of(transaction, find_secret(transaction, checked)))
    kept, record = item.kept, item.kept.record
    if options_of(context).json:
        print_json(_document(item))
        return
    labels = ", ".join(f"{key}={value}" for key, value in load_labels(record.labels).items())
    lines = (
        ("name", record.name),
        ("current", f"version {record.current}, {kept.state_of(record.current)}"),
        ("previous", f"version {record.previous}" if record.previous else "none"),
        ("versions", f"{len(kept.versions)}, of which {record.max_versions} are kept"),
        ("labels", labels or "none"),
        ("created", rfc3339_seconds(record.created)),
        ("changed", rfc3339_seconds(record.changed)),
        ("value", "drawn by chance" if item.is_generated else "given"),
        ("rotation", _sentence(item)),
    )
    for title, text in lines:
        click.echo(f"{title:<9} {plain_text(text)}")


@click.command()
@click.argument("name")
@click.pass_context
def versions(context: click.Context, name: str) -> None:
    """List the versions of a secret; equal fingerprints mean equal values."""
    from swarmsec.cli.tables import print_table
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.secretstore.names import SecretName
    from swarmsec.services.secrets.kept_secrets import describe_version, find_secret

    checked = SecretName.parse(name)
    with opened_home(context) as home:
        kept = home.store.read(lambda transaction: find_secret(transaction, checked))
    if options_of(context).json:
        print_json([describe_version(kept, version) for version in kept.versions])
        return
    print_table(
        ("VERSION", "STATE", "CURRENT", "CREATED", "FINGERPRINT"),
        [
            (
                str(version.version),
                version.state,
                "yes" if version.version == kept.record.current else "no",
                rfc3339_seconds(version.created),
                version.fingerprint or "none",
            )
            for version in kept.versions
        ],
    )


def _document(item: SecretAge) -> dict[str, object]:
    from swarmsec.services.secrets.kept_secrets import describe_secret
    from swarmsec.services.secrets.secret_ages import describe_age

    return {**describe_secret(item.kept), **describe_age(item)}


def _word(item: SecretAge) -> str:
    if item.rotation is not None:
        return "open"
    if item.age is None:
        return "none"
    if item.age.is_overdue:
        return "overdue"
    return "due" if item.is_scheduled and item.age.is_due else "ok"


def _sentence(item: SecretAge) -> str:
    from policies.explaining import rotation_text
    from swarmsec.clock import rfc3339_seconds

    under_way = "" if item.rotation is None else f"one is under way ({item.rotation.stage}); "
    if item.requirement is None or item.age is None:
        return f"{under_way}no policy covers it"
    parts = [f"{rotation_text(item.requirement.rule)}, by {item.rule}"]
    if item.is_scheduled and item.age.due is not None:
        parts.append(f"next {rfc3339_seconds(item.age.due)}")
    elif item.requirement.rule.every is not None:
        parts.append("not by itself, for the value was given")
    parts.append("overdue since " if item.age.is_overdue else "overdue from ")
    return under_way + "; ".join(parts[:-1]) + f"; {parts[-1]}{rfc3339_seconds(item.age.overdue)}"
