"""``swarmsec ca issue``: certificates for Docker daemons on TCP, their clients, and any other program with TLS."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.services.ca.authority import Authority
    from swarmsec.services.ca.issue_certificate import CertificateRequest
    from swarmsec.services.records import CertificateRecord
    from swarmsec.wiring.homes.home import Home

MAX_CSR = 16_384


@click.command()
@click.option("--profile", type=click.Choice(["server", "client"]), required=True)
@click.option(
    "--san", "sans", multiple=True, required=True, metavar="NAME", help="A DNS name or IP address; repeat it."
)
@click.option("--name", metavar="CN", help="The common name. Default: the first --san that can be one.")
@click.option("--hours", type=int, metavar="N", help="How long it lives. Default and most: certificate_hours.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Make a key, and write cert.pem, key.pem (mode 0600) and ca.pem to DIR.",
)
@click.option(
    "--csr",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Issue for the key of this signing request, and print the certificate.",
)
@click.pass_context
def issue(
    context: click.Context,
    profile: str,
    sans: tuple[str, ...],
    name: str | None,
    hours: int | None,
    out: Path | None,
    csr: Path | None,
) -> None:
    """Issue a certificate for a program of the cluster.

    It means nothing on swarmsec's own server: identities for that come from: swarmsec access add. Of a signing
    request only the key is taken.

    \b
    Examples:
      swarmsec ca issue --profile server --san docker-1 --san 10.0.0.5 --out ./docker-1
      swarmsec ca issue --profile client --san deployer --hours 12 --out ./deployer
      swarmsec ca issue --profile server --san web.example.internal --csr web.csr > web.pem
    """
    from ca.profiles import Profile
    from swarmsec.errors import UsageProblem
    from swarmsec.services.ca.issue_certificate import parse_certificate_request

    if (out is None) == (csr is None):
        raise UsageProblem("expected --out DIR or --csr FILE", hint="see: swarmsec ca issue --help")
    request = parse_certificate_request(Profile(profile), name=name, hosts=sans, hours=hours)
    if out is not None:
        with opened_home(context) as home:
            record = _issue_files(context, home, request, out)
        _report_files(context, record, out)
    elif csr is not None:
        spki_der = _key_of_request(csr)
        with opened_home(context) as home:
            record, authority = _issue(context, home, request, spki_der)
        _report_certificate(context, record, authority.chain_pem(record).decode("ascii"))


def _issue_files(context: click.Context, home: Home, request: CertificateRequest, out: Path) -> CertificateRecord:
    from swarmsec.services.ca.issue_certificate import verify_name
    from swarmsec.services.ca.revoke_certificates import revoke_certificates
    from swarmsec.wiring.nodes.identityfiles import DOCKER, NewKey, kept_room, prepare_directory, write_or_withdraw

    home.store.read(lambda transaction: verify_name(transaction, request.name))
    prepare_directory(out, DOCKER)
    key = NewKey()
    with kept_room(out):
        record, authority = _issue(context, home, request, key.spki_der)
    write_or_withdraw(
        out,
        key.files(authority.chain_pem(record), authority.trusted_pem),
        DOCKER,
        what=f"the certificate {record.serial}",
        withdraw=lambda reason: home.store.write(
            lambda transaction: revoke_certificates(transaction, record.serial, local_requester(), reason=reason)
        ),
    )
    return record


def _issue(
    context: click.Context, home: Home, request: CertificateRequest, spki_der: bytes
) -> tuple[CertificateRecord, Authority]:
    from swarmsec.services.ca.authority import load_authority
    from swarmsec.services.ca.issue_certificate import issue_certificate
    from swarmsec.services.ports import Transaction
    from swarmsec.wiring.ca.authority import lifetime_of

    keys = keys_of(context, home)

    def unit(transaction: Transaction) -> tuple[CertificateRecord, Authority]:
        authority = load_authority(transaction, keys, lifetime_of(home.config))
        return issue_certificate(transaction, authority, request, spki_der, local_requester()), authority

    return home.store.write(unit)


def _key_of_request(file: Path) -> bytes:
    from ca.requests import parse_signing_request
    from swarmsec.cli.secretinput import read_bounded

    return parse_signing_request(read_bounded(file, limit=MAX_CSR)).spki_der


def _report_files(context: click.Context, record: CertificateRecord, out: Path) -> None:
    if options_of(context).json:
        print_json({**_members(record), "directory": str(out)})
    else:
        click.echo(record.serial)
    say(f"{record.subject_id} has its files in {out}; revoke it with: swarmsec ca revoke {record.serial}")


def _report_certificate(context: click.Context, record: CertificateRecord, pem: str) -> None:
    if options_of(context).json:
        print_json({**_members(record), "certificate": pem})
    else:
        click.echo(pem, nl=False)


def _members(record: CertificateRecord) -> dict[str, str]:
    from swarmsec.clock import rfc3339_seconds

    return {
        "name": record.subject_id,
        "profile": record.profile,
        "serial": record.serial,
        "not_after": rfc3339_seconds(record.not_after),
    }
