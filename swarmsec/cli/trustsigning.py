"""``swarmsec trust pending`` and ``trust sign``: what waits for signatures, and signing it, with or without a home."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from swarmsec.cli.frame import ask_passphrase, local_requester, options_of, print_json, say
from swarmsec.cli.trusthome import opened_trust
from swarmsec.cli.trustinput import FILE, report_outcome, write_file
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from notary.changefiles import ChangeFile, SignaturesFile
    from swarmsec.wiring.trust.outsidesigners import OutsideSigner


@click.command()
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Write the change to FILE, for its signers.")
@click.option("--change", "change_id", metavar="ID", help="Which change; not needed where one alone waits.")
@click.option("--drop", metavar="ID", help="Give up a change.")
@click.pass_context
def pending(context: click.Context, output: Path | None, change_id: str | None, drop: str | None) -> None:
    """Show what waits for signatures, and write it to a file for its signers.

    \b
    Examples:
      swarmsec trust pending
      swarmsec trust pending -o change.json
    """
    from swarmsec.errors import UsageProblem
    from swarmsec.services.trust.pending_changes import change_file, drop_change
    from swarmsec.services.trust.trust_status import pending_members

    if drop is not None and (output is not None or change_id is not None):
        raise UsageProblem("expected --drop alone")
    if options_of(context).server is not None and drop is None:
        _show_pending(context, *_remote_pending(context, change_id), output)
        return
    with opened_trust(context) as home:
        if drop is not None:
            home.store.write(lambda transaction: drop_change(transaction, local_requester(), drop))
            click.echo(f"dropped {drop}")
            return
        with home.store.reading() as transaction:
            found = [item for item in transaction.trust.changes.all() if change_id in {None, item.change_id}]
            members = [pending_members(transaction, item) for item in found]
            files = [change_file(transaction, item) for item in found] if output else []
    _show_pending(context, members, files, output)


def _show_pending(
    context: click.Context, members: list[dict[str, Any]], files: list[ChangeFile], output: Path | None
) -> None:
    if output is not None:
        write_file(output, _one(files).encode())
        say(f"each signer: swarmsec trust sign {output.name} --key KEY -o SIGNATURES")
    _print_pending(context, members)


def _remote_pending(context: click.Context, change_id: str | None) -> tuple[list[dict[str, Any]], list[ChangeFile]]:
    from swarmsec.cli.trustserver import peer_of
    from swarmsec.wiring.trust.trustclient import pending_remotely

    listed, files = pending_remotely(peer_of(context, None))
    chosen = [(item, file) for item, file in zip(listed, files, strict=True) if change_id in {None, file.change_id}]
    return [item for item, _ in chosen], [file for _, file in chosen]


@click.command()
@click.argument("file", type=FILE, required=False)
@click.option("--key", metavar="FILE|URI", help="A private key: a file (PEM, mode 0600), or pkcs11:…")
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Write the signatures to FILE instead of to a home.")
@click.option("--yes", is_flag=True, help="Sign without asking.")
@click.pass_context
def sign(context: click.Context, file: Path | None, key: str | None, output: Path | None, yes: bool) -> None:
    """Sign a pending change, or take signatures that were made elsewhere.

    FILE is a change from trust pending: then --key signs it, on whatever machine has the key, and -o gets the
    signatures. Or FILE has such signatures: then this home takes them. Without FILE, --key signs what waits in this
    home. The last signature that is needed publishes the change.

    \b
    Examples:
      swarmsec trust sign change.json --key alice.key -o alice.sig --yes
      swarmsec trust sign alice.sig
    """
    from notary.changefiles import ChangeFile
    from swarmsec.errors import UsageProblem

    brought = None if file is None else _read(file)
    if isinstance(brought, ChangeFile):
        if key is None:
            raise UsageProblem("expected --key to sign the change with")
        signatures = _signed(context, brought, key, yes)
        if output is not None:
            write_file(output, signatures.encode())
            click.echo(f"signed {signatures.change_id}")
            return
    elif brought is not None:
        if key is not None:
            raise UsageProblem("expected no --key: the file has signatures already")
        signatures = brought
    else:
        if key is None:
            raise UsageProblem("expected FILE, or --key to sign what waits in this home")
        signatures = _signed(context, _waiting(context), key, yes)
    _bring(context, signatures)


def _read(file: Path) -> ChangeFile | SignaturesFile:
    """The change, or the signatures, that a file holds.

    Raises:
        UsageProblem: neither; nothing was decided about anything, so it is no answer of ``trust sign``.
    """
    from notary.changefiles import CHANGE_FORMAT, MAX_CHANGE_BYTES, format_of, parse_change, parse_signatures
    from notary.errors import InvalidMetadata
    from swarmsec.cli.secretinput import read_bounded
    from swarmsec.errors import UsageProblem

    data = read_bounded(file, limit=MAX_CHANGE_BYTES)
    try:
        return parse_change(data) if format_of(data) == CHANGE_FORMAT else parse_signatures(data)
    except InvalidMetadata as error:
        raise UsageProblem(f"{file}: {error}", hint="swarmsec trust pending -o FILE writes a change") from None


def _bring(context: click.Context, signatures: SignaturesFile) -> None:
    from swarmsec.cli.trustserver import peer_of
    from swarmsec.services.trust.pending_changes import add_signatures
    from swarmsec.wiring.trust.trustclient import bring_remotely

    if options_of(context).server is not None:
        is_done = bring_remotely(peer_of(context, None), signatures)
        click.echo(f"{'published' if is_done else 'pending'} {signatures.change_id}")
        return
    with opened_trust(context) as home:
        keys = keys_of(context, home)
        outcome = home.store.write(
            lambda transaction: add_signatures(
                transaction, keys, local_requester(), signatures.change_id, signatures.signatures
            )
        )
    report_outcome(context, outcome, done=f"published {signatures.change_id}")


def _waiting(context: click.Context) -> ChangeFile:
    from swarmsec.services.trust.pending_changes import change_file

    if options_of(context).server is not None:
        return _one(_remote_pending(context, None)[1])
    with opened_trust(context) as home, home.store.reading() as transaction:
        return _one([change_file(transaction, item) for item in transaction.trust.changes.all()])


def _one(files: list[ChangeFile]) -> ChangeFile:
    from swarmsec.errors import NotFound, UsageProblem

    if not files:
        raise NotFound("nothing waits for signatures")
    if len(files) > 1:
        raise UsageProblem(f"expected one pending change, got {len(files)}", hint="choose one with --change ID")
    return files[0]


def _signed(context: click.Context, change: ChangeFile, key: str, yes: bool) -> SignaturesFile:
    from swarmsec.wiring.trust.outsidesigners import sign_change

    for line in describe(change):
        say(line)
    if not yes:
        click.confirm("sign this", abort=True, err=True)
    with _opened_key(context, key) as signer:
        return sign_change(change, signer)


def describe(change: ChangeFile) -> Iterator[str]:
    """What a signer must see before signing, from the documents themselves and not from what the file says of them."""
    from swarmsec.plaintext import plain_text

    yield f"change {plain_text(change.change_id)} says of itself: {plain_text(change.summary)}"
    for item in change.documents:
        document = item.document
        yield plain_text(f"{document.role} version {document.version}, until {document.expires}")
        yield from (f"  {plain_text(line)}" for line in _contents(document.body))


def _contents(body: Any) -> Iterator[str]:
    if body.get("_type") == "root":
        for name, role in sorted(body["roles"].items()):
            yield f"{name}: {role['threshold']} of {', '.join(keyid[:16] for keyid in role['keyids'])}"
        return
    for role in body.get("delegations", {}).get("roles", []):
        keyids = ", ".join(keyid[:16] for keyid in role["keyids"])
        yield f"{role['name']}: {role['threshold']} of {keyids}"
    for path, members in sorted(body.get("targets", {}).items()):
        yield f"{path} is sha256:{members['hashes']['sha256']}"


@contextmanager
def _opened_key(context: click.Context, key: str) -> Iterator[OutsideSigner]:
    from swarmsec.cli.secretinput import read_private_file
    from swarmsec.wiring.trust.outsidesigners import MAX_KEY_FILE, signer_of_file, signer_of_token

    if key.startswith("pkcs11:"):
        with signer_of_token(key) as signer:
            yield signer
    else:
        data = read_private_file(Path(key), limit=MAX_KEY_FILE)
        yield signer_of_file(data, lambda prompt: ask_passphrase(context, prompt))


def _print_pending(context: click.Context, members: list[dict[str, Any]]) -> None:
    if options_of(context).json:
        print_json(members)
        return
    from swarmsec.plaintext import plain_text

    for item in members:
        click.echo(plain_text(f"{item['id']}  {item['summary']}"))
        for role, quorums in item["missing"].items():
            for quorum in quorums:
                keys = ", ".join(keyid[:16] for keyid in quorum["keys"])
                click.echo(plain_text(f"  {role}: {quorum['missing']} more of {keys}"))
    if not members:
        say("nothing waits for signatures")
