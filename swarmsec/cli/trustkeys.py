"""``swarmsec trust key`` and ``trust root``: signers' keys, and giving roles new ones."""

from __future__ import annotations

from pathlib import Path

import click

from swarmsec.cli.frame import ask_passphrase, local_requester, options_of, print_json, say
from swarmsec.cli.trusthome import opened_trust
from swarmsec.cli.trustinput import FILE, report_outcome, root_keys_of, write_file
from swarmsec.cli.unlock import keys_of


@click.group()
def key() -> None:
    """Signers' keys.

    \b
    Examples:
      swarmsec trust key create dave.key --plain
      swarmsec trust key show alice.pub
      swarmsec trust key rotate registry.example/shop/api
    """


@key.command()
@click.argument("file", type=FILE)
@click.option("--plain", is_flag=True, help="Do not encrypt the file with a passphrase.")
@click.pass_context
def create(context: click.Context, file: Path, plain: bool) -> None:
    """Make a signer's key in FILE (mode 0600), and its public half in FILE.pub; no home is needed."""
    from swarmsec.wiring.trust.outsidesigners import create_key_file, public_path

    passphrase = None if plain else ask_passphrase(context, "new passphrase for the key file")
    made = create_key_file(file, passphrase)
    if options_of(context).json:
        print_json({"keyid": made.keyid, "private": str(file), "public": str(public_path(file))})
        return
    click.echo(made.keyid)
    say(f"give {public_path(file)} to whoever makes the root; {file} stays with its signer")


@key.command()
@click.argument("source", metavar="FILE|URI")
@click.pass_context
def show(context: click.Context, source: str) -> None:
    """Print the id of a public key (PEM), or the public key of one in a PKCS#11 token."""
    from swarmsec.wiring.trust.outsidesigners import public_pem, signer_of_token

    if source.startswith("pkcs11:"):
        with signer_of_token(source) as signer:
            found = signer.key
        click.echo(public_pem(found).decode("ascii"), nl=False)
        say(f"key {found.keyid}")
        return
    (found_key,) = root_keys_of([Path(source)])
    if options_of(context).json:
        print_json({"keyid": found_key.keyid, "keytype": found_key.keytype, "scheme": found_key.scheme})
    else:
        click.echo(found_key.keyid)


@key.command()
@click.argument("role")
@click.option("--add", "added", multiple=True, type=FILE, help="An outside key (PEM) that is to sign from now on.")
@click.option("--remove", "removed", multiple=True, metavar="KEYID", help="An outside key that is not to any more.")
@click.pass_context
def rotate(context: click.Context, role: str, added: tuple[Path, ...], removed: tuple[str, ...]) -> None:
    """Give a role new keys: a repository, revocations, snapshot or timestamp.

    The service's own key is replaced, or with --add and --remove the outside ones. What was signed stays signed, by
    the new keys; the old ones count no more.
    """
    from notary.roles import REVOCATIONS, SNAPSHOT, TIMESTAMP, parse_repository
    from swarmsec.errors import UsageProblem
    from swarmsec.services.ports import Transaction
    from swarmsec.services.trust.delegate_repository import rotate_repository_keys, rotate_revocations_key
    from swarmsec.services.trust.publish_trust import Published
    from swarmsec.services.trust.rotate_root import rotate_online_key
    from swarmsec.services.trust.trust_records import PendingChange

    keys_added = root_keys_of(added)
    is_own = role in {REVOCATIONS, SNAPSHOT, TIMESTAMP}
    if is_own and (added or removed):
        raise UsageProblem(f"expected no --add and --remove: {role} is signed by the service alone")
    with opened_trust(context) as home:
        keys = keys_of(context, home)

        def unit(transaction: Transaction) -> Published | PendingChange:
            if role == REVOCATIONS:
                return rotate_revocations_key(transaction, keys, local_requester())
            if is_own:
                return rotate_online_key(transaction, keys, local_requester(), role)
            name = parse_repository(role)
            return rotate_repository_keys(transaction, keys, local_requester(), name, added=keys_added, removed=removed)

        outcome = home.store.write(unit)
    report_outcome(context, outcome, done=f"{role} has new keys")


@click.group()
def root() -> None:
    """The root of trust.

    \b
    Examples:
      swarmsec trust root rotate --key alice.pub --key bob.pub --key carol.pub
      swarmsec trust root export -o root.json
    """


@root.command()
@click.option("-o", "--output", type=FILE, required=True, metavar="FILE", help="Where to write the root.")
@click.pass_context
def export(context: click.Context, output: Path) -> None:
    """Write the root in force to FILE, for trust pin on other machines, and print its digest.

    \b
    Examples:
      swarmsec trust root export -o root.json
    """
    from notary.reference import Digest
    from notary.roles import ROOT
    from swarmsec.services.trust.trust_state import current_file, verify_initialised

    with opened_trust(context) as home, home.store.reading() as transaction:
        verify_initialised(transaction)
        data = current_file(transaction, ROOT)
    assert data is not None, "a repository has a root"
    digest = Digest.of(data)
    write_file(output, data)
    if options_of(context).json:
        print_json({"file": str(output), "digest": str(digest)})
    else:
        click.echo(str(digest))
        say(f"bring the file, or this digest, to each machine by hand: swarmsec trust pin {digest} --url URL")


@root.command("rotate")
@click.option(
    "--key", "key_files", multiple=True, type=FILE, help="A new root signer's public key (PEM); once for each."
)
@click.option("--threshold", type=click.IntRange(1, 64), metavar="N", help="How many must sign. Default: 2.")
@click.pass_context
def rotate_root_command(context: click.Context, key_files: tuple[Path, ...], threshold: int | None) -> None:
    """Give root and targets new signers, and so move their keys out of this home.

    Without --key new keys are made in this home. The present signers must sign the change as well as the new ones.
    """
    from swarmsec.services.trust.rotate_root import rotate_root

    root_keys = root_keys_of(key_files)
    with opened_trust(context) as home:
        keys = keys_of(context, home)
        outcome = home.store.write(
            lambda transaction: rotate_root(
                transaction, keys, local_requester(), root_keys=root_keys, threshold=threshold
            )
        )
    report_outcome(context, outcome, done="root has new signers")
