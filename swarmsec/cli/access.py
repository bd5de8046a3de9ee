"""``swarmsec access``: the identities of people and programs on the server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.accessenrol import enrol, renew
from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say
from swarmsec.cli.tables import print_table
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.http import Role
    from swarmsec.services.access.manage_access import Identity
    from swarmsec.services.ca.authority import Authority
    from swarmsec.services.records import CertificateRecord
    from swarmsec.wiring.homes.home import Home


@click.group()
def access() -> None:
    """Identities of people and programs on the server, each with one role.

    Whoever can open the home needs none: they are admin. docs/roles.md says what each role may. A secret driver and a
    node's agent enrol on their own machine, with a token.
    """


access.add_command(enrol)
access.add_command(renew)


@access.command()
@click.argument("name")
@click.option(
    "--role",
    "role_text",
    required=True,
    metavar="ROLE",
    help="admin, operator, auditor, driver, signer:REPOSITORY or agent:NODE.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The directory to make and write swarmsec.crt, swarmsec.key (mode 0600) and root-ca.crt to.",
)
@click.pass_context
def add(context: click.Context, name: str, role_text: str, out: Path) -> None:
    """Make an identity: a new key, and a client certificate that carries a role.

    The key is written to DIR and nowhere else; give the directory to its owner over a safe way.

    \b
    Examples:
      swarmsec access add alice --role operator --out ./alice
      swarmsec access add shop-ci --role signer:registry.example/shop/api --out ./shop-ci
    """
    from swarmsec.services.access.manage_access import (
        parse_identity_name,
        parse_identity_role,
        revoke_identity,
        verify_name_free,
    )
    from swarmsec.wiring.nodes.identityfiles import IDENTITY, NewKey, kept_room, prepare_directory, write_or_withdraw

    parse_identity_name(name)
    role = parse_identity_role(role_text)
    with opened_home(context) as home:
        home.store.read(lambda transaction: verify_name_free(transaction, name))
        prepare_directory(out)
        key = NewKey()
        with kept_room(out):
            record, authority = _issue(context, home, name, role, key.spki_der)
        write_or_withdraw(
            out,
            key.files(authority.chain_pem(record), authority.trusted_pem),
            IDENTITY,
            what=f"the identity {name}",
            withdraw=lambda reason: home.store.write(
                lambda transaction: revoke_identity(transaction, name, local_requester(), reason=reason)
            ),
        )
    if options_of(context).json:
        print_json({"name": name, "role": str(role), "serial": record.serial, "directory": str(out)})
    else:
        click.echo(record.serial)
    say(f"{name} is {role}; show this to the server: --server https://HOST:8443 --identity {out}")


def _issue(
    context: click.Context, home: Home, name: str, role: Role, spki_der: bytes
) -> tuple[CertificateRecord, Authority]:
    from swarmsec.services.access.manage_access import add_identity
    from swarmsec.services.ca.authority import load_authority
    from swarmsec.services.ports import Transaction
    from swarmsec.wiring.ca.authority import lifetime_of

    keys = keys_of(context, home)

    def issue(transaction: Transaction) -> tuple[CertificateRecord, Authority]:
        authority = load_authority(transaction, keys, lifetime_of(home.config))
        record = add_identity(
            transaction, authority, name=name, role=role, spki_der=spki_der, requester=local_requester()
        )
        return record, authority

    return home.store.write(issue)


@access.command("list")
@click.pass_context
def list_command(context: click.Context) -> None:
    """List every identity with its role and state.

    \b
    Example:
      swarmsec access list
    """
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.services.access.manage_access import list_identities

    with opened_home(context) as home:
        found = home.store.read(list_identities)
    if options_of(context).json:
        print_json([_listed(item) for item in found])
        return
    print_table(
        ("NAME", "ROLE", "STATUS", "NOT AFTER", "SERIAL"),
        [(i.name, i.role, i.status, rfc3339_seconds(i.not_after)[:10], i.serial[:12]) for i in found],
    )


def _listed(item: Identity) -> dict[str, object]:
    from swarmsec.clock import rfc3339_seconds

    return {
        "name": item.name,
        "role": item.role,
        "status": item.status,
        "serial": item.serial,
        "not_before": rfc3339_seconds(item.not_before),
        "not_after": rfc3339_seconds(item.not_after),
    }


@access.command()
@click.argument("name")
@click.option("--reason", default="", help="Why, for the log.")
@click.pass_context
def revoke(context: click.Context, name: str, reason: str) -> None:
    """Revoke an identity; a running server refuses it within a second.

    \b
    Example:
      swarmsec access revoke alice --reason "left the team"
    """
    from swarmsec.services.access.manage_access import revoke_identity

    with opened_home(context) as home:
        revoked = home.store.write(
            lambda transaction: revoke_identity(transaction, name, local_requester(), reason=reason)
        )
    if options_of(context).json:
        print_json({"revoked": [record.serial for record in revoked]})
        return
    for record in revoked:
        click.echo(record.serial)
    say(f"revoked {name}" if revoked else f"{name} was revoked before")
