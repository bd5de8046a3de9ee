"""``swarmsec access``: the identities of people and programs on the server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say
from swarmsec.cli.tables import print_table
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from swarmsec.http import Role
    from swarmsec.services.manage_access import Identity
    from swarmsec.services.records import CertificateRecord
    from swarmsec.wiring.home import Home


@click.group()
def access() -> None:
    """Identities of people and programs on the server, each with one role.

    Whoever can open the home needs none: they are admin. docs/roles.md says what each role may.
    """


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
    from cryptography.hazmat.primitives.asymmetric import ec

    from swarmsec.services.manage_access import parse_identity_name, parse_identity_role, verify_name_free
    from swarmsec.wiring.identityfiles import prepare_directory

    parse_identity_name(name)
    role = parse_identity_role(role_text)
    with opened_home(context) as home:
        home.store.read(lambda transaction: verify_name_free(transaction, name))
        prepare_directory(out)
        key = ec.generate_private_key(ec.SECP256R1())
        record, root = _issue(context, home, name, role, key)
        _write_or_revoke(home, out, record, key, root)
    if options_of(context).json:
        print_json({"name": name, "role": str(role), "serial": record.serial, "directory": str(out)})
    else:
        click.echo(record.serial)
    say(f"{name} is {role}; use it with: swarmsec --server https://HOST:8443 --identity {out} …")


def _issue(
    context: click.Context, home: Home, name: str, role: Role, key: EllipticCurvePrivateKey
) -> tuple[CertificateRecord, bytes]:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from swarmsec.services.authority import load_authority
    from swarmsec.services.manage_access import add_identity
    from swarmsec.services.ports import Transaction
    from swarmsec.wiring.authority import lifetime_of

    keys = keys_of(context, home)
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def issue(transaction: Transaction) -> tuple[CertificateRecord, bytes]:
        authority = load_authority(transaction, keys, lifetime_of(home.config))
        record = add_identity(transaction, authority, name=name, role=role, spki_der=spki, requester=local_requester())
        return record, authority.bundle_pem

    return home.store.write(issue)


def _write_or_revoke(
    home: Home, out: Path, record: CertificateRecord, key: EllipticCurvePrivateKey, root: bytes
) -> None:
    """Write the files; an identity whose files are not there is worth nothing and is revoked again."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    from swarmsec.errors import SwarmsecError, Unavailable
    from swarmsec.services.authority import certificate_pem
    from swarmsec.wiring.identityfiles import IdentityFiles, write_identity

    files = IdentityFiles(
        certificate=certificate_pem(record),
        key=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        root=root,
    )
    try:
        write_identity(out, files)
    except BaseException as error:
        outcome = _withdraw(home, record.subject_id)
        if isinstance(error, SwarmsecError):
            raise Unavailable(f"{error}; {outcome}", hint=error.hint) from None
        raise


def _withdraw(home: Home, name: str) -> str:
    """Revoke an identity that nobody holds the key of, and say how that went."""
    from swarmsec.errors import SwarmsecError
    from swarmsec.services.manage_access import revoke_identity

    reason = "its files could not be written"
    try:
        home.store.write(lambda transaction: revoke_identity(transaction, name, local_requester(), reason=reason))
    except SwarmsecError as error:
        return f"the identity {name} stands without its files, and could not be revoked: {error}"
    return f"the identity {name} was revoked again"


@access.command("list")
@click.pass_context
def list_command(context: click.Context) -> None:
    """List every identity with its role and state.

    \b
    Example:
      swarmsec access list
    """
    from swarmsec.clock import rfc3339_seconds
    from swarmsec.services.manage_access import list_identities

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
    from swarmsec.services.manage_access import revoke_identity

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
