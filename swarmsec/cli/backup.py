"""``swarmsec backup`` and ``swarmsec restore``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import (
    ask_passphrase,
    home_path,
    local_requester,
    opened_home,
    options_of,
    print_json,
    say,
    warn,
)
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.keys.recovery import RecoveryKey
    from swarmsec.wiring.homes.backups import BackedUp, Watcher


def _watcher(stack: ExitStack, label: str) -> Watcher:
    from swarmsec.cli.progress import Advance, progress
    from swarmsec.wiring.homes.backups import Watcher

    advance: list[Advance] = []

    def begins(rows: int) -> None:
        advance.append(stack.enter_context(progress(label, rows)))

    return Watcher(begins=begins, moved=lambda count: advance[-1](count))


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def backup(context: click.Context, file: Path) -> None:
    """Write an encrypted backup of this home to a new FILE.

    It is an age file for the home's recovery key; nothing else opens it. The home may be in use meanwhile.

    \b
    Example:
      swarmsec --home ./authority backup /mnt/offsite/authority.age
    """
    from swarmsec.errors import Unavailable
    from swarmsec.services.ca.show_authority import keys_in_tokens
    from swarmsec.wiring.homes.backups import back_up, backup_turn
    from swarmsec.wiring.homes.intents import resolve_backups

    with opened_home(context) as home, backup_turn(home.path) as ours, ExitStack() as stack:
        if not ours:
            raise Unavailable("another backup of this home is running", hint="wait for it, then repeat the command")
        for item in resolve_backups(home):
            warn(f"an earlier backup to {item.path} was interrupted; found out: {item.outcome.value}")
        done = back_up(home, keys_of(context, home), file, local_requester(), _watcher(stack, "backing up"))
        outside = home.store.read(keys_in_tokens)
    _report_backup(context, done, outside)


def _report_backup(context: click.Context, done: BackedUp, outside: Sequence[str]) -> None:
    if options_of(context).json:
        print_json(
            {
                "file": str(done.path),
                "store_id": done.store_id,
                "created": done.created,
                "entries": done.entries,
                "bytes": done.bytes,
                "sha256": done.sha256,
                "keys_in_tokens": list(outside),
            }
        )
        return
    for key_name in outside:
        warn(f"the root's private key is in a token and not in this backup: {key_name}")
    click.echo(f"{done.path} sha256:{done.sha256}")
    say(f"{done.entries} log entries, {done.bytes} bytes; restore needs the recovery key")


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--accept", is_flag=True, help="Accept the restored home: join tokens change, the anchor begins anew.")
@click.option(
    "--recovery-key",
    "recovery_file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The file with the recovery key (mode 0600); asked for on a terminal without it.",
)
@click.option("--database", metavar="URL", help="Restore into PostgreSQL: postgresql://USER@HOST/NAME.")
@click.option("--seal", type=click.Choice(["file", "passphrase"]), default="file", show_default=True)
@click.pass_context
def restore(
    context: click.Context,
    file: Path | None,
    accept: bool,
    recovery_file: Path | None,
    database: str | None,
    seal: str,
) -> None:
    """Restore a home from the backup FILE, where there is none.

    It serves nothing until it is accepted, because it knows nothing of what happened after the backup.

    \b
    Examples:
      swarmsec --home ./authority restore authority.age --recovery-key recovery.key
      swarmsec --home ./authority restore --accept
    """
    from swarmsec.errors import UsageProblem

    if file is None and not accept:
        raise UsageProblem("expected FILE or --accept", hint="see: swarmsec restore --help")
    document: dict[str, object] = {"home": str(home_path(options_of(context)))}
    if file is not None:
        document |= _restore(context, file, recovery_file, database, seal)
    if accept:
        document |= _accept(context)
    document["accepted"] = accept
    if options_of(context).json:
        print_json(document)


def _restore(
    context: click.Context, file: Path, recovery_file: Path | None, database: str | None, seal: str
) -> dict[str, object]:
    from swarmsec.wiring.homes.restoring import Wanted, restore_home

    wanted = Wanted(home=home_path(options_of(context)), backup=file, database_url=database, seal=seal)
    with ExitStack() as stack:
        restored = restore_home(
            wanted,
            _recovery_key(recovery_file),
            lambda prompt: ask_passphrase(context, prompt),
            local_requester(),
            _watcher(stack, "restoring"),
        )
    say(f"restored {restored.entries} log entries to {wanted.home}, as they were at {restored.created}")
    if restored.database_url != restored.former_database_url:
        say("the database is another than the backup's settings named; look at [storage] url in swarmsec.toml")
    if not options_of(context).json:
        click.echo(f"store {restored.store_id}")
    say(
        f"not accepted yet; look at it, stop whatever else runs as this authority, then: "
        f"swarmsec --home {wanted.home} restore --accept"
    )
    return {"store_id": restored.store_id, "created": restored.created, "entries": restored.entries}


def _recovery_key(file: Path | None) -> RecoveryKey:
    from swarmsec.cli.secretinput import read_private_file
    from swarmsec.keys.errors import KeysLocked
    from swarmsec.keys.recovery import MAX_FILE_BYTES, parse_recovery_key

    if file is not None:
        return parse_recovery_key(read_private_file(file, limit=MAX_FILE_BYTES))
    if not sys.stdin.isatty():
        raise KeysLocked(
            "expected the recovery key, but there is no terminal to ask on", hint="give --recovery-key FILE (mode 0600)"
        )
    text: str = click.prompt("recovery key", hide_input=True, err=True)
    return parse_recovery_key(text.encode())


def _accept(context: click.Context) -> dict[str, object]:
    from swarmsec.services.ca.list_certificates import list_certificates
    from swarmsec.services.ca.show_authority import keys_in_tokens
    from swarmsec.wiring.homes.restoring import accept_home

    with opened_home(context, allow_restored=True) as home:
        accepted = accept_home(home, keys_of(context, home), local_requester())
        known = home.store.read(lambda transaction: list(list_certificates(transaction)))
        outside = home.store.read(keys_in_tokens)
    missing = accepted.missing.entries
    if missing is None:
        warn("no anchor tells how many log entries the backup lacks")
    elif missing:
        warn(f"{missing} log entries after the backup are missing: what they record is unknown to this home")
    for key_name in outside:
        warn(f"the root's private key was in no backup; [pkcs11] in swarmsec.toml must reach its token: {key_name}")
    valid = [item.record for item in known if item.status == "valid"]
    if not options_of(context).json:
        click.echo(f"accepted {accepted.store_id}")
        for record in valid:
            click.echo(f"{record.serial} {record.subject_id}")
    say(
        "both join tokens are new; certificates that nodes hold and that are not listed above were issued after the "
        "backup: let those nodes join again"
    )
    return {
        "store_id": accepted.store_id,
        "entries": accepted.entries,
        "missing_entries": missing,
        "certificates": [{"serial": record.serial, "node_id": record.subject_id} for record in valid],
    }
