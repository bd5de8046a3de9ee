"""``swarmsec ca init``: make this home the authority of one Swarm, with a new root or one made elsewhere."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import (
    ask_passphrase,
    close_home,
    home_path,
    local_requester,
    options_of,
    print_json,
    say,
)
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.config import Pkcs11Settings
    from swarmsec.keys.signers import SealedKeys
    from swarmsec.keys.tokenuri import TokenKeyUri
    from swarmsec.services.ca.token_roots import TokenRoot
    from swarmsec.services.ports import Transaction
    from swarmsec.wiring.homes.home import Home


@click.command()
@click.option("--cluster-id", metavar="ID", help="The Swarm's id (docker info); one is made where none is given.")
@click.option("--key-type", type=click.Choice(["p256", "p384"]), help="Of the root's key. Default: p256.")
@click.option(
    "--import-cert",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Go on with this root certificate (PEM) instead of making one.",
)
@click.option(
    "--import-key",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The private key of --import-cert (PEM, mode 0600); it is sealed in the home.",
)
@click.option(
    "--pkcs11",
    metavar="URI",
    help="Have the root's key in a PKCS#11 token: pkcs11:token=T;object=KEY?module-path=/LIB&pin-source=file:/PIN",
)
@click.option("--seal", type=click.Choice(["file", "passphrase"]), default="file", show_default=True)
@click.option("--database", metavar="URL", help="Keep state in PostgreSQL: postgresql://USER@HOST/NAME.")
@click.option(
    "--recovery-out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the recovery key to FILE (mode 0600) instead of showing it once.",
)
@click.pass_context
def init(
    context: click.Context,
    cluster_id: str | None,
    key_type: str | None,
    import_cert: Path | None,
    import_key: Path | None,
    pkcs11: str | None,
    seal: str,
    database: str | None,
    recovery_out: Path | None,
) -> None:
    """Make this home the authority of one Swarm.

    \b
    Examples:
      swarmsec --home ./authority ca init --recovery-out ./recovery.key
      swarmsec --home ./authority ca init --cluster-id "$(docker info -f '{{.Swarm.Cluster.ID}}')"
      swarmsec --home ./authority ca init --import-cert root.pem --import-key root.key
    """
    from swarmsec.cli.importedroot import read_imported_root
    from swarmsec.services.ca.init_authority import init_authority
    from swarmsec.services.records import KeyKind
    from swarmsec.wiring.ca.tokenroots import token_settings
    from swarmsec.wiring.homes.creating import (
        DEFAULT_URL,
        NewHome,
        create_home,
        home_exists,
        keep_recovery_key,
        recovery_to_finish,
    )
    from swarmsec.wiring.homes.home import open_home

    path = home_path(options_of(context))
    imported = read_imported_root(import_cert, import_key, has_type=key_type is not None)
    uri, settings = _token(path, pkcs11, is_imported=imported is not None)
    made = None
    interrupted = home_exists(path)
    if interrupted:
        home = open_home(path, requester=local_requester())
    else:
        wanted = NewHome(
            path=path,
            database_url=database or DEFAULT_URL,
            seal=seal,
            recovery_out=recovery_out,
            pkcs11=settings,
        )
        created = create_home(wanted, lambda prompt: ask_passphrase(context, prompt), local_requester())
        home, made = created.home, created.recovery
        say(f"made a new home at {path}")
    try:
        keys = keys_of(context, home)
        recovery = recovery_to_finish(home, recovery_out) if interrupted else made

        def finish(in_token: TokenRoot | None, transaction: Transaction) -> str:
            if interrupted and recovery is not None:
                keep_recovery_key(transaction, keys, recovery, local_requester())
            return init_authority(
                transaction,
                keys,
                local_requester(),
                cluster_id=cluster_id,
                key_kind=KeyKind(key_type or "p256"),
                imported=imported,
                in_token=in_token,
            )

        with token_settings(home, keys, settings) as keep:
            in_token = _key_in_token(home, keys, uri, key_type)
            if in_token is not None:
                keep()
            chosen = home.store.write(partial(finish, in_token))
    finally:
        close_home(home)
    shown = recovery.identity.reveal().decode() if recovery and recovery_out is None else None
    _report_init(context, path, chosen, recovery_out, shown)
    if in_token is not None:
        say(f"the root's private key is in the token, and in no backup of this home: {in_token.key_name}")
    if import_key is not None:
        say(f"the root's private key is sealed in this home; {import_key} still has it in the clear: remove that file")


def _token(
    path: Path, text: str | None, *, is_imported: bool
) -> tuple[TokenKeyUri, Pkcs11Settings] | tuple[None, None]:
    """The key that is meant, and the settings for its token, which was there just now."""
    from swarmsec.errors import UsageProblem
    from swarmsec.keys.tokenuri import parse_token_uri
    from swarmsec.wiring.ca.tokenroots import verify_token_at

    if text is None:
        return None, None
    if is_imported:
        raise UsageProblem("expected --pkcs11 or --import-cert, not both")
    uri = parse_token_uri(text)
    return uri, verify_token_at(path, uri)


def _key_in_token(home: Home, keys: SealedKeys, uri: TokenKeyUri | None, key_type: str | None) -> TokenRoot | None:
    """The root's key, found or made in its token; nothing is made there for a home that is an authority already."""
    from swarmsec.services.records import KeyKind
    from swarmsec.wiring.ca.tokenroots import find_or_make

    if uri is None or home.store.read(lambda transaction: transaction.authorities.active()) is not None:
        return None
    return find_or_make(home, keys, uri, KeyKind(key_type) if key_type else None, local_requester())


def _report_init(
    context: click.Context, path: Path, cluster_id: str, recovery_out: Path | None, recovery_key: str | None
) -> None:
    if options_of(context).json:
        document = {"home": str(path), "cluster_id": cluster_id}
        if recovery_out is not None:
            document["recovery_file"] = str(recovery_out)
        if recovery_key is not None:
            document["recovery_key"] = recovery_key
        print_json(document)
        return
    click.echo(f"cluster {cluster_id}")
    if recovery_key is not None:
        say("the recovery key opens every backup of this home; it is shown this once, keep it elsewhere:")
        click.echo(recovery_key)
    say(f"next: swarmsec --home {path} serve")
