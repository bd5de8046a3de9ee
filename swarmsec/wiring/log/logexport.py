"""Writing a log to a directory for somebody outside, and verifying such a directory or file without a home.

Files that are there already and are the same are left; the checkpoint comes last, so a directory that has it has
everything that it speaks of. Interrupted anywhere, the same export finishes it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path

from swarmsec.atomicfile import make_private_directory, sync_directory, write_atomically
from swarmsec.audit.checkpoints import Checkpoint, open_checkpoint
from swarmsec.audit.entry import leaf_hash
from swarmsec.audit.errors import CheckpointInvalid, EntryInvalid, LogFormatInvalid
from swarmsec.audit.merkle import RightEdge
from swarmsec.audit.notes import MAX_NOTE_BYTES, SignedNote, VerifierKey
from swarmsec.audit.proofs import root_of
from swarmsec.audit.tiles import Tile, bundles_of, tiles_of
from swarmsec.errors import IntegrityFailure, Unavailable, UsageProblem
from swarmsec.openedfile import open_to_read
from swarmsec.services.log.log_source import LogSource, entries_of, read_hashes, tree_of, verify_lines, verify_source
from swarmsec.wiring.log.logsources import (
    CHECKPOINT,
    ENTRIES,
    KEY,
    PRUNED,
    TILES,
    ExportedLog,
    read_exported,
    verify_plain,
)

MODE = 0o600
MAX_LINE = 65_536
HASH_LINE = 65
_KEY_HINT = "give it with --log-key"
_FILES_HINT = "keep these files as they are, and have the log exported anew where its home is"


class ExportFormat(StrEnum):
    """How a log is written."""

    JSONL = "jsonl"
    TILES = "tiles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written, or found whole."""

    checkpoint: Checkpoint | None
    note: SignedNote | None
    entries: int
    pruned: int
    root: bytes
    steps: tuple[int, ...] = ()
    forms: tuple[ExportFormat, ...] = ()
    """In which it was found."""


def export_log(
    source: LogSource, key: VerifierKey, directory: Path, wanted: ExportFormat, moved: Callable[[int], None]
) -> Exported:
    """Write a log to a directory.

    Args:
        source: the log.
        key: of the log; the files are verified with it before the checkpoint is written.
        directory: a new one, or one with an earlier export.
        moved: told how many entries were written.

    Raises:
        UsageProblem: the directory holds something else.
        Unavailable: it cannot be written.
        IntegrityFailure: the log is not whole.
    """
    note = source.checkpoint()
    checkpoint, parsed = open_checkpoint(note, key)
    try:
        _prepare(directory, wanted)
        _put(directory / KEY, f"{key}\n".encode())
        if wanted is ExportFormat.TILES:
            pruned = _write_tiles(source, checkpoint.size, directory, moved)
            verify_source(_Written(directory, note), key)
        else:
            pruned = _write_lines(source, checkpoint.size, directory, moved)
            _verify_lines_of(directory / ENTRIES, checkpoint)
        _put(directory / CHECKPOINT, note)
    except OSError as error:
        raise Unavailable(
            f"{error.filename or directory} could not be written: {error.strerror}",
            hint="free space or name another directory, then repeat: what is there already is kept",
        ) from None
    return Exported(checkpoint=checkpoint, note=parsed, entries=checkpoint.size, pruned=pruned, root=checkpoint.root)


def verify_exported(path: Path, key: VerifierKey | None, held: Sequence[bytes] = ()) -> Exported:
    """Verify exported files with nothing else at hand.

    Where a directory holds both forms, both are verified.

    Args:
        path: a directory that was exported, or a file of entries, a line each.
        key: of the log; None only for a file of entries alone, of which then nothing is signed.
        held: checkpoints that somebody else kept, to hold the files against.

    Raises:
        NotFound: no such files, or an export that was not finished.
        IntegrityFailure: something in them is wrong.
    """
    forms = forms_at(path)
    if key is None and held:
        raise UsageProblem("expected the log's key", hint=_KEY_HINT)
    kept = [open_checkpoint(note, key)[0] for note in held] if key is not None else []
    verify = {ExportFormat.JSONL: _verify_jsonl, ExportFormat.TILES: _verify_tiles}
    try:
        # More than one is held against the one checkpoint beside them, so they hold the same log.
        *_, found = [verify[form](path, key, kept) for form in forms]
    except LogFormatInvalid as error:
        raise CheckpointInvalid(f"{path} is not what was exported: {error}", hint=_FILES_HINT) from None
    except IntegrityFailure as error:
        # What is wrong with somebody's copy says nothing of the home that it came from.
        error.hint = _FILES_HINT
        raise
    return replace(found, forms=tuple(forms))


def forms_at(path: Path) -> list[ExportFormat]:
    """In which forms a log lies there; a directory without any is looked at as one whose tiles are missing.

    Args:
        path: a directory that was exported, or a file of entries.

    Raises:
        NotFound, Unavailable: it is neither.
    """
    if not path.is_dir():
        verify_plain(path)
        return [ExportFormat.JSONL]
    names = {ExportFormat.JSONL: ENTRIES, ExportFormat.TILES: TILES}
    return [form for form, name in names.items() if (path / name).exists()] or [ExportFormat.TILES]


def _verify_tiles(path: Path, key: VerifierKey | None, kept: Sequence[Checkpoint]) -> Exported:
    if key is None:
        raise UsageProblem("expected the log's key", hint=_KEY_HINT)
    found = verify_source(ExportedLog(path), key)
    size = found.checkpoint.size
    tree = tree_of(ExportedLog(path), size)
    for one in kept:
        _verify_held(one, size, root_of(one.size, tree) if one.size <= size else b"")
    return Exported(
        checkpoint=found.checkpoint,
        note=found.note,
        entries=size,
        pruned=found.pruned,
        root=found.checkpoint.root,
        steps=found.steps,
    )


def _verify_jsonl(path: Path, key: VerifierKey | None, kept: Sequence[Checkpoint]) -> Exported:
    lines = path / ENTRIES if path.is_dir() else path
    if key is None:
        return _verify_lines_of(lines, None)
    checkpoint, note = open_checkpoint(read_exported(lines.with_name(CHECKPOINT), limit=MAX_NOTE_BYTES), key)
    counted = _verify_lines_of(lines, checkpoint)
    for one in kept:
        _verify_held(one, counted.entries, counted.root if one.size == counted.entries else _root_at(lines, one.size))
    return replace(counted, note=note)


def _verify_held(held: Checkpoint, entries: int, root: bytes) -> None:
    if held.size > entries:
        raise CheckpointInvalid(
            f"there are {entries} entries, but {held.size} were signed: entries were cut off the log's end"
        )
    if held.root != root:
        raise CheckpointInvalid(f"the first {held.size} entries are not those that were signed: the log was rewritten")


def _root_at(lines: Path, size: int) -> bytes:
    """The root over the first entries of a file of lines that was verified."""
    edge = RightEdge()
    leaves = chain(_hashes(lines.with_name(PRUNED)), map(leaf_hash, _lines(lines)))
    for leaf in islice(leaves, size):
        edge.append(leaf)
    return edge.root()


class _Written(ExportedLog):
    """What was just written, under a checkpoint that is not yet there."""

    def __init__(self, directory: Path, note: bytes) -> None:
        super().__init__(directory)
        self._note = note

    def checkpoint(self) -> bytes:
        return self._note


def _prepare(directory: Path, wanted: ExportFormat) -> None:
    make_private_directory(directory)
    names = {path.name for path in directory.iterdir() if not path.name.startswith(".")}
    if names and KEY not in names:
        raise UsageProblem(f"expected an empty directory at {directory}", hint="name another with -o")
    if (ENTRIES if wanted is ExportFormat.TILES else TILES) in names:
        # The checkpoint speaks of one state of the log, and would leave the other form behind.
        raise UsageProblem(f"expected an earlier export as {wanted} in {directory}", hint="name another with -o")
    # An earlier export may be of fewer entries: until this one is whole, nothing claims that it is.
    (directory / CHECKPOINT).unlink(missing_ok=True)


def _put(path: Path, data: bytes) -> None:
    try:
        if path.read_bytes() == data:
            return
    except FileNotFoundError:
        make_private_directory(path.parent)
    write_atomically(path, data, mode=MODE)


def _write_tiles(source: LogSource, size: int, directory: Path, moved: Callable[[int], None]) -> int:
    for tile in tiles_of(size):
        _put(directory / tile.path, b"".join(read_hashes(source, tile)))
    pruned = 0
    for bundle in bundles_of(size):
        data = source.read(bundle)
        if data is None:
            pruned = bundle.first + bundle.width
        else:
            _put(directory / bundle.path, data)
        moved(bundle.width)
    return pruned


def _write_lines(source: LogSource, size: int, directory: Path, moved: Callable[[int], None]) -> int:
    """Entries as lines; a file that is not whole has another name."""
    pruned = 0
    hashes: list[str] = []
    temporary = directory / f".{ENTRIES}.partial"
    with temporary.open("wb") as file:
        temporary.chmod(MODE)
        for bundle, entries in entries_of(source, size):
            if entries is None:
                tile = Tile(level=0, index=bundle.index, width=bundle.width)
                hashes += [value.hex() for value in read_hashes(source, tile)]
                pruned = bundle.first + bundle.width
            else:
                file.writelines(entry + b"\n" for entry in entries)
            moved(bundle.width)
        file.flush()
        os.fsync(file.fileno())
    if hashes:
        _put(directory / PRUNED, "".join(f"{value}\n" for value in hashes).encode())
    temporary.replace(directory / ENTRIES)
    sync_directory(directory)
    return pruned


def _verify_lines_of(path: Path, checkpoint: Checkpoint | None) -> Exported:
    hashes = list(_hashes(path.with_name(PRUNED)))
    found = verify_lines(_lines(path), hashes)
    if not found.entries:
        # A home's first entry is that it was made: nobody exports a log without one.
        raise EntryInvalid(f"{path}: expected entries, got none", seq=0)
    root = found.tree.root()
    if checkpoint is not None and (checkpoint.size, checkpoint.root) != (found.entries, root):
        if found.entries < checkpoint.size:
            raise CheckpointInvalid(
                f"{path} has {found.entries} entries, but {checkpoint.size} were signed: entries were cut off its end"
            )
        raise CheckpointInvalid(f"the entries of {path} are not those of the checkpoint: the log was rewritten")
    return Exported(
        checkpoint=checkpoint, note=None, entries=found.entries, pruned=len(hashes), root=root, steps=tuple(found.steps)
    )


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with verify_plain(path).open("rb") as file:
            while line := file.readline(MAX_LINE + 1):
                if not line.endswith(b"\n"):
                    raise EntryInvalid(f"{path}: expected lines of at most {MAX_LINE} bytes, each ended")
                yield line[:-1]
    except OSError as error:
        raise Unavailable(f"{path} could not be read: {error.strerror}") from None


def _hashes(path: Path) -> Iterator[bytes]:
    if not path.exists():
        return
    with open_to_read(path) as file:
        while line := file.readline(HASH_LINE + 1):
            try:
                value = bytes.fromhex(line.decode("ascii"))
            except ValueError:
                value = b""
            if len(line) != HASH_LINE or len(value) != HASH_LINE // 2:
                raise LogFormatInvalid(f"{path}: expected a hash in hex in each line")
            yield value
