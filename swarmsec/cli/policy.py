"""``swarmsec policy``: put documents in force, list and show them, check files without a home."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say, verify_local
from swarmsec.cli.policyfiles import FILES, read_documents, source_of, yaml_of
from swarmsec.cli.policyquestions import explain, test
from swarmsec.cli.tables import print_table

if TYPE_CHECKING:
    from policies.documents import Document
    from swarmsec.services.access.apply_policy import PlannedChange
    from swarmsec.services.records import PolicyRecord

KINDS = ["RotationPolicy", "SecretAccessPolicy", "TrustPolicy"]


@click.group()
def policy() -> None:
    """Policy documents: who gets which secret, when it is rotated, and what an image must show.

    What no document allows is denied. Every applied version is kept.
    """


policy.add_command(test)
policy.add_command(explain)


@policy.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILES)
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.pass_context
def apply(context: click.Context, files: Sequence[Path], dry_run: bool) -> None:
    """Put the documents of files in force, all of them or none; - is standard input.

    A document replaces the one of the same kind and name. One that is in force already makes no new version.

    \b
    Examples:
      swarmsec policy apply --dry-run policies.yaml
      swarmsec policy apply policies.yaml
    """
    from swarmsec.services.access.apply_policy import apply_policies, plan_policies

    documents = read_documents(files)
    with opened_home(context) as home:
        if dry_run:
            planned = home.store.read(lambda transaction: plan_policies(transaction, documents))
        else:
            planned = home.store.write(lambda transaction: apply_policies(transaction, documents, local_requester()))
    if options_of(context).json:
        print_json([_change(item) for item in planned])
    else:
        print_table(
            ("KIND", "NAME", "VERSION", "CHANGE", "DIGEST"),
            [(i.document.kind, i.document.name, str(i.version), i.change, i.document.digest) for i in planned],
        )
    if dry_run:
        say("nothing was changed: --dry-run")


def _change(item: PlannedChange) -> dict[str, object]:
    return {
        "kind": item.document.kind.value,
        "name": item.document.name,
        "version": item.version,
        "change": item.change.value,
        "digest": item.document.digest,
    }


@policy.command("list")
@click.pass_context
def list_command(context: click.Context) -> None:
    """List the documents in force.

    \b
    Example:
      swarmsec policy list --json
    """
    with opened_home(context) as home:
        records = home.store.read(lambda transaction: list(transaction.policies.active()))
    rows = [_listed(record) for record in records]
    if options_of(context).json:
        print_json(rows)
        return
    print_table(
        ("KIND", "NAME", "VERSION", "APPLIED", "DIGEST"),
        [[str(row[name]) for name in ("kind", "name", "version", "applied", "digest")] for row in rows],
    )


def _listed(record: PolicyRecord) -> dict[str, object]:
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.services.access.apply_policy import digest_text

    return {
        "kind": record.kind,
        "name": record.name,
        "version": record.version,
        "applied": rfc3339_seconds(record.applied),
        "digest": digest_text(record),
    }


@policy.command()
@click.argument("kind", metavar="KIND", type=click.Choice(KINDS, case_sensitive=False))
@click.argument("name")
@click.option("--version", "version", type=click.IntRange(min=1), metavar="N", help="An earlier version.")
@click.option("--canonical", is_flag=True, help="Print exactly the bytes that the digest covers.")
@click.pass_context
def show(context: click.Context, kind: str, name: str, version: int | None, canonical: bool) -> None:
    """Print a document as YAML: the version in force, or an earlier one.

    KIND is RotationPolicy, SecretAccessPolicy or TrustPolicy.

    \b
    Examples:
      swarmsec policy show TrustPolicy default
      swarmsec policy show TrustPolicy default --canonical | sha256sum
    """
    from swarmsec.services.access.apply_policy import find_policy, read_document

    with opened_home(context) as home:
        record = home.store.read(lambda transaction: find_policy(transaction, kind, name, version))
    document = read_document(record)
    if options_of(context).json:
        print_json({**_listed(record), "state": record.state, "document": json.loads(document.canonical)})
    elif canonical:
        click.echo(document.canonical, nl=False)
    else:
        click.echo(yaml_of(document), nl=False)


@policy.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=FILES)
@click.pass_context
def check(context: click.Context, files: Sequence[Path]) -> None:
    """Check files without a home: that each document is exactly one, and that all go together.

    \b
    Example:
      swarmsec policy check policies.yaml
    """
    verify_local(options_of(context))
    documents = read_documents(files)
    if options_of(context).json:
        print_json([_checked(document) for document in documents])
        return
    for document in documents:
        click.echo(f"{document.kind} {document.name} {document.digest}")
    say(f"{len(documents)} document{'s' if len(documents) != 1 else ''} in {', '.join(map(source_of, files))}: good")


def _checked(document: Document) -> dict[str, object]:
    return {"kind": document.kind.value, "name": document.name, "digest": document.digest}
