"""``swarmsec audit prove``, ``check`` and ``consistency``: evidence for somebody who does not trust us."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import opened_home, options_of, print_json, say, verify_local
from swarmsec.plaintext import plain_text

if TYPE_CHECKING:
    from swarmsec.audit.checkpoints import Checkpoint
    from swarmsec.audit.notes import VerifierKey
    from swarmsec.services.log.log_ports import LogTransaction

log_key_option = click.option("--log-key", metavar="VKEY", help="The public key of the log: NAME+ID+BASE64, or a file.")
witness_option = click.option(
    "--witness", "witnesses", multiple=True, metavar="VKEY", help="The public key of a witness that counts."
)


def parse_key(text: str) -> VerifierKey:
    """Read a verifier key from an argument, or from the file that it names.

    Raises:
        LogFormatInvalid: it is none.
        NotFound: it names no file.
    """
    from swarmsec.audit.notes import VerifierKey
    from swarmsec.errors import NotFound
    from swarmsec.wiring.log.logsources import read_file

    is_file = False
    with suppress(OSError):
        # What is longer than a name can be is no file's.
        is_file = Path(text).exists()
    if is_file:
        text = read_file(Path(text), limit=8192).decode("utf-8", "replace").removesuffix("\n")
    elif "+" not in text:
        raise NotFound(
            f"no file {text:.80}", hint="give the key as it was noted, NAME+ID+BASE64, or a file that holds it"
        )
    return VerifierKey.parse(text)


@click.command()
@click.argument("seq", type=click.IntRange(0))
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Default: SEQ.tlog-proof"
)
@click.pass_context
def prove(context: click.Context, seq: int, out: Path | None) -> None:
    """Write a file that proves one entry: the entry, the hashes up to the root, and the signed checkpoint.

    \b
    Example:
      swarmsec audit prove 3
    """
    from swarmsec.atomicfile import write_atomically
    from swarmsec.audit.tlogproof import SUFFIX
    from swarmsec.errors import Unavailable
    from swarmsec.services.log.prove_entries import present_key, prove_entry

    path = out or Path(f"{seq}{SUFFIX}")
    with opened_home(context) as home, home.store.reading() as transaction:
        proof, key = prove_entry(transaction, seq), present_key(transaction)
    try:
        write_atomically(path, bytes(proof), mode=0o644)
    except OSError as error:
        raise Unavailable(f"{path} could not be written: {error.strerror}") from None
    size = int(proof.checkpoint.text.split("\n")[1])
    if options_of(context).json:
        print_json({"index": seq, "size": size, "path": str(path), "log_key": str(key)})
        return
    click.echo(path)
    say(f"entry {seq} of {size}; check it anywhere with: swarmsec audit check {path} --log-key '{key}'")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@log_key_option
@witness_option
@click.option("--require-witness", type=click.IntRange(0), default=0, metavar="N", help="So many must have cosigned.")
@click.option("--entry", type=click.Path(path_type=Path, dir_okay=False), help="The entry, if the file has it not.")
@click.pass_context
def check(
    context: click.Context,
    file: Path,
    log_key: str | None,
    witnesses: tuple[str, ...],
    require_witness: int,
    entry: Path | None,
) -> None:
    """Check a proof file, without a home when the log's key is given; prints the entry that it proves.

    \b
    Examples:
      swarmsec audit check 3.tlog-proof
      swarmsec audit check 3.tlog-proof --log-key log.vkey
    """
    from swarmsec.audit.errors import CheckpointInvalid
    from swarmsec.audit.tlogproof import MAX_BYTES, LogProof
    from swarmsec.services.log.prove_entries import check_proof
    from swarmsec.wiring.log.logsources import read_file

    verify_local(options_of(context))
    proof = LogProof.parse(read_file(file, limit=MAX_BYTES))
    key = parse_key(log_key) if log_key else _own_key(context)
    keys = [parse_key(text) for text in witnesses]
    data = read_file(entry, limit=65_535) if entry else None
    proven = check_proof(proof, key, witnesses=keys, entry=data)
    if len(proven.witnesses) < require_witness:
        raise CheckpointInvalid(
            f"expected the checkpoint to be cosigned by {require_witness} of {len(keys)} known witnesses,"
            f" got {len(proven.witnesses)}"
        )
    if options_of(context).json:
        document: dict[str, object] = {"ok": True, "index": proven.index, "size": proven.checkpoint.size}
        document |= {"origin": proven.checkpoint.origin, "witnesses": list(proven.witnesses)}
        print_json(document | {"entry": json.loads(proven.entry)})
        return
    click.echo(plain_text(proven.entry.decode("utf-8", "replace")))
    cosigned = f", cosigned by {', '.join(proven.witnesses)}" if proven.witnesses else ""
    say(f"entry {proven.index} of {proven.checkpoint.size} in the log {proven.checkpoint.origin}{cosigned}")


def _own_key(context: click.Context) -> VerifierKey:
    from swarmsec.services.log.prove_entries import present_key

    with opened_home(context) as home, home.store.reading() as transaction:
        return present_key(transaction)


@click.command()
@click.argument("old")
@click.argument("new", required=False)
@click.pass_context
def consistency(context: click.Context, old: str, new: str | None) -> None:
    """Prove that the log of NEW continues that of OLD: nothing before was changed, removed or put in between.

    OLD and NEW are each a number of entries, or a file with a checkpoint that somebody kept; NEW is the log as it is
    now where it is left out.

    \b
    Example:
      swarmsec audit consistency 3
    """
    from base64 import b64encode

    from swarmsec.services.log.prove_entries import prove_continuation

    with opened_home(context) as home, home.store.reading() as transaction:
        wanted = _state_of(transaction, new) if new is not None else transaction.tree.size()
        found = prove_continuation(transaction, _state_of(transaction, old), wanted)
    if options_of(context).json:
        sides = {
            name: {"size": state.size, "root": state.root.hex()}
            for name, state in (("old", found.old), ("new", found.new))
        }
        print_json({"ok": True, **sides, "proof": [b64encode(value).decode() for value in found.hashes]})
        return
    click.echo(f"the log of {found.new.size} entries continues that of {found.old.size}")
    say(f"root {found.old.root.hex()}, then {found.new.root.hex()}; {len(found.hashes)} hashes prove it")


def _state_of(transaction: LogTransaction, text: str) -> Checkpoint | int:
    from swarmsec.audit.checkpoints import open_checkpoint, parse_size
    from swarmsec.audit.notes import MAX_NOTE_BYTES
    from swarmsec.services.log.prove_entries import present_key
    from swarmsec.wiring.log.logsources import read_file

    if text.isascii() and text.isdigit():
        return parse_size(text)
    return open_checkpoint(read_file(Path(text), limit=MAX_NOTE_BYTES), present_key(transaction))[0]
