"""``swarmsec audit verify``: the whole log, and whatever else there is to hold against it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR
from typing import TYPE_CHECKING

import click

from swarmsec.cli.auditproofs import log_key_option, parse_key, witness_option
from swarmsec.cli.frame import local_requester, opened_home, options_of, print_json, say, verify_local, warn
from swarmsec.plaintext import plain_text

if TYPE_CHECKING:
    from swarmsec.audit.notes import VerifierKey
    from swarmsec.services.log.check_checkpoints import CheckedCheckpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verified:
    """What was found whole, as it is shown."""

    entries: int
    root: bytes
    pruned: int
    checkpoint: CheckedCheckpoint | None
    rows: int | None = None
    witnessed: CheckedCheckpoint | None = None
    witnesses: Sequence[str] = ()
    steps: Sequence[int] = ()
    forms: Sequence[str] = ()

    def members(self) -> dict[str, object]:
        """As JSON."""
        signed, seen = self.checkpoint, self.witnessed
        document: dict[str, object] = {
            "entries": self.entries,
            "root": self.root.hex(),
            "checkpoint": bytes(signed.note).decode() if signed else None,
            "ok": True,
            "first_bad_seq": None,
            "signed": signed.checkpoint.size if signed else 0,
            "pruned": self.pruned,
            "clock_steps": list(self.steps),
        }
        if self.forms:
            document["formats"] = list(self.forms)
        if seen is not None:
            document["witnessed"] = seen.checkpoint.size
            document["witnesses"] = list(self.witnesses)
        return document


@click.command()
@click.option(
    "--from", "source", type=click.Path(path_type=Path), metavar="PATH", help="Exported files instead of the home."
)
@log_key_option
@click.option("--require-witness", type=click.IntRange(0), default=0, metavar="N", help="So many must have cosigned.")
@witness_option
@click.option(
    "--against",
    "held",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A checkpoint that somebody else kept, such as a witness.",
)
@click.pass_context
def verify(
    context: click.Context,
    source: Path | None,
    log_key: str | None,
    require_witness: int,
    witnesses: tuple[str, ...],
    held: tuple[Path, ...],
) -> None:
    """Verify the whole log and everything in the store against it; ends with 4 if anything is wrong.

    Checked are the database file, the hash and the place of every entry, the tree, every checkpoint that the log
    signed, every row against its own digest and against the entry that says it was written, and the log against the
    anchor outside the home. That it was verified is an entry of its own, after those that were. With --from, exported
    files are verified alone, without this home.

    \b
    Examples:
      swarmsec audit verify
      swarmsec audit verify --json
    """
    from swarmsec.errors import IntegrityFailure

    keys = [parse_key(text) for text in witnesses]
    try:
        if source is None:
            found = _verify_home(context, log_key, require_witness, keys, held)
        else:
            found = _verify_files(context, source, log_key, require_witness, keys, held)
    except IntegrityFailure as error:
        if not options_of(context).json:
            raise
        print_json(_broken(error))
        click.echo(f"error: {plain_text(str(error))}", err=True)
        context.exit(error.kind.exit_code)
    if options_of(context).json:
        print_json(found.members())
        return
    click.echo(f"{found.entries} entries, root {found.root.hex()}")
    _say(found)


def _say(found: _Verified) -> None:
    if found.rows is not None:
        say(f"every entry and {found.rows} rows are as they were written")
    if len(found.forms) > 1:
        say(f"verified in each form that it lies there in: {', '.join(found.forms)}")
    if found.pruned:
        say(f"entries before {found.pruned} are there by their hashes alone")
    signed = found.checkpoint.checkpoint.size if found.checkpoint else 0
    if signed < found.entries:
        say(f"the newest signed checkpoint covers {signed} entries")
    for seq in found.steps:
        warn(f"the clock stood behind that of the entry before when entry {seq} was written")
    if found.witnessed is not None:
        say(f"{', '.join(found.witnesses)} cosigned the first {found.witnessed.checkpoint.size} entries")


def _verify_home(
    context: click.Context, log_key: str | None, count: int, given: Sequence[VerifierKey], held: Sequence[Path]
) -> _Verified:
    from swarmsec.audit.errors import CheckpointInvalid
    from swarmsec.errors import Unavailable
    from swarmsec.services.log.check_checkpoints import verify_witnessed
    from swarmsec.services.log.sign_log import log_key as log_key_of
    from swarmsec.services.log.witness_log import witness_keys
    from swarmsec.storage.anchor import AnchorFile
    from swarmsec.storage.checking import verify_store
    from swarmsec.wiring.log.verifying import record_verification

    with opened_home(context, allow_restored=True) as home:
        if log_key is not None and home.store.read(log_key_of) != parse_key(log_key):
            raise CheckpointInvalid("the log of this home has another key than --log-key: it is another log")
        anchored = AnchorFile(home.anchor_path, home.store_id).read_checkpoint()
        further = [anchored, *map(_read_held, held)]
        report = verify_store(home.store, further=further)
        keys = given or home.store.read(witness_keys)
        seen = verify_witnessed(report.checkpoints, keys, count) if count else None
        try:
            record_verification(home, report, local_requester())
        except Unavailable as error:
            # A copy on a medium that nobody writes can be verified, too.
            warn(f"that the log was verified is not on record: {error}")
    return _Verified(
        entries=report.entries,
        root=report.root,
        pruned=report.pruned,
        steps=report.steps,
        rows=report.rows,
        checkpoint=report.checkpoints[-1] if report.checkpoints else None,
        witnessed=seen,
        witnesses=seen.witnesses(keys) if seen else (),
    )


def _verify_files(
    context: click.Context,
    source: Path,
    log_key: str | None,
    count: int,
    keys: Sequence[VerifierKey],
    held: Sequence[Path],
) -> _Verified:
    from swarmsec.services.log.check_checkpoints import CheckedCheckpoint, verify_witnessed
    from swarmsec.wiring.log.logexport import verify_exported
    from swarmsec.wiring.log.logsources import mode_of, read_key

    verify_local(options_of(context))
    key = parse_key(log_key) if log_key else None
    directory = source if S_ISDIR(mode_of(source)) else source.parent
    if key is None and (directory / "log.vkey").exists():
        key = read_key(directory)
        warn("the log's key is the one that lies beside the files; give --log-key, as you noted it before")
    found = verify_exported(source, key, [*map(_read_held, held)])
    checked = None
    if found.checkpoint is not None and found.note is not None:
        checked = CheckedCheckpoint(checkpoint=found.checkpoint, note=found.note)
    seen = verify_witnessed([checked] if checked else [], keys, count) if count else None
    return _Verified(
        entries=found.entries,
        root=found.root,
        pruned=found.pruned,
        steps=found.steps,
        forms=found.forms,
        checkpoint=checked,
        witnessed=seen,
        witnesses=seen.witnesses(keys) if seen else (),
    )


def _read_held(path: Path) -> bytes:
    """A checkpoint that somebody kept; a file that is none is a wrong argument, and nothing about this log."""
    from swarmsec.audit.errors import LogFormatInvalid
    from swarmsec.audit.notes import MAX_NOTE_BYTES, parse_note
    from swarmsec.wiring.log.logsources import read_file

    data = read_file(path, limit=MAX_NOTE_BYTES)
    try:
        parse_note(data)
    except LogFormatInvalid as error:
        raise LogFormatInvalid(f"expected a checkpoint in {path}: {error}") from None
    return data


def _broken(error: Exception) -> dict[str, object]:
    """What is known of a log that is not whole: entries before the first bad one, and no root to rely on."""
    from swarmsec.audit.errors import EntryInvalid

    seq = error.seq if isinstance(error, EntryInvalid) else None
    return {
        "entries": seq,
        "root": None,
        "checkpoint": None,
        "ok": False,
        "first_bad_seq": seq,
        "error": str(error),
    }
