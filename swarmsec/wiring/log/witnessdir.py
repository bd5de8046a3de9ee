"""A witness: a directory with its key, the logs that it watches, and the newest checkpoint it cosigned of each.

It belongs on another machine than the logs'. Looking at what is remembered, deciding, and remembering the new
checkpoint on disk are one step under a lock; only then is the cosignature handed out.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from swarmsec.atomicfile import make_private_directory, write_atomically
from swarmsec.audit.checkpoints import Checkpoint, cosign_checkpoint, open_checkpoint
from swarmsec.audit.errors import CheckpointInvalid, LogFormatInvalid
from swarmsec.audit.notes import MAX_NOTE_BYTES, KeyKind, VerifierKey, verify_name
from swarmsec.audit.signing import SEED_BYTES, SeedSigner
from swarmsec.audit.witnessing import AddCheckpoint, OriginUnknown, origin_of, verify_continuation
from swarmsec.clock import Clock, unix_seconds
from swarmsec.errors import AlreadyExists, IntegrityFailure, Unavailable, UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.wiring.log.logsources import read_file

KEY_FILE: Final = "witness.key"
PUBLIC_FILE: Final = "witness.vkey"
LOGS: Final = "logs"
_PREFIX: Final = "SWARMSEC-WITNESS-1"
_KEY: Final = re.compile(_PREFIX + r" ([^+\s]{1,255}) ([0-9a-f]{64})\n")
_MAX_KEY: Final = 1024


class Witness:
    """An open witness.

    Args:
        directory: where it keeps everything.
        signer: its key.
    """

    def __init__(self, directory: Path, signer: SeedSigner) -> None:
        self._directory = directory
        self._signer = signer

    @property
    def key(self) -> VerifierKey:
        """Its public key, for those who rely on it."""
        return self._signer.key

    @classmethod
    def create(cls, directory: Path, name: str, clock: Clock) -> Self:
        """Make a witness in a new directory.

        Raises:
            AlreadyExists: there is one.
            LogFormatInvalid: the name is no key's name.
            Unavailable: the directory cannot be written.
        """
        seed = SecretBytes(clock.random(SEED_BYTES))
        signer = SeedSigner(verify_name(name), KeyKind.COSIGNER, seed)
        text = f"{_PREFIX} {name} {seed.reveal().hex()}\n".encode()
        try:
            make_private_directory(directory / LOGS)
            write_atomically(directory / KEY_FILE, text, mode=0o600, exclusive=True)
            write_atomically(directory / PUBLIC_FILE, f"{signer.key}\n".encode(), mode=0o644)
        except FileExistsError:
            raise AlreadyExists(f"there is a witness at {directory} already") from None
        except OSError as error:
            raise _unwritable(directory, error) from None
        return cls(directory, signer)

    @classmethod
    def load(cls, directory: Path) -> Self:
        """Open a witness.

        Raises:
            NotFound: there is none.
            UsageProblem: its key file is none, or others may read it.
        """
        path = directory / KEY_FILE
        found = _KEY.fullmatch(read_file(path, limit=_MAX_KEY).decode("utf-8", "replace"))
        if found is None:
            raise UsageProblem(f"expected the key file of a witness at {path}, got something else")
        if path.stat().st_mode & 0o077:
            raise UsageProblem(f"expected {path} to be readable by its owner alone", hint=f"chmod 600 {path}")
        return cls(directory, SeedSigner(verify_name(found[1]), KeyKind.COSIGNER, SecretBytes(bytes.fromhex(found[2]))))

    def watch(self, log: VerifierKey) -> None:
        """Watch a log from now on.

        Raises:
            UsageProblem: the key is no log's.
            AlreadyExists: it watches a log of this name under another key.
        """
        if log.kind is not KeyKind.LOG:
            raise UsageProblem(f"expected the key of a log, got one of a witness: {log.name}")
        path = self._path(log.name, "vkey")
        try:
            make_private_directory(path.parent)
            if path.exists() and path.read_text() != f"{log}\n":
                raise AlreadyExists(f"{log.name} is watched under another key already")
            write_atomically(path, f"{log}\n".encode(), mode=0o644)
        except OSError as error:
            raise _unwritable(self._directory, error) from None

    def watched(self) -> list[VerifierKey]:
        """The logs it watches."""
        paths = sorted((self._directory / LOGS).glob("*.vkey"))
        return [VerifierKey.parse(path.read_text().removesuffix("\n")) for path in paths]

    def remembered(self, origin_hash: str) -> bytes | None:
        """The newest checkpoint that it cosigned of a log, with its own signature alone below the log's."""
        path = self._directory / LOGS / f"{origin_hash}.checkpoint"
        return read_file(path, limit=MAX_NOTE_BYTES) if path.exists() else None

    def checkpoint_of(self, log: VerifierKey) -> Checkpoint | None:
        """What it remembers of a log.

        Raises:
            IntegrityFailure: its own file is not what it wrote.
        """
        note = self.remembered(hash_of(log.name))
        if note is None:
            return None
        try:
            return open_checkpoint(note, log)[0]
        except (LogFormatInvalid, CheckpointInvalid) as error:
            raise IntegrityFailure(f"what this witness remembers of {log.name} is damaged: {error}") from None

    def add_checkpoint(self, request: AddCheckpoint, clock: Clock) -> str:
        """Cosign a checkpoint that continues what is remembered.

        Returns:
            the signature lines; the checkpoint is on disk.

        Raises:
            OriginUnknown, LogFormatInvalid, CheckpointInvalid, SizeConflict, ProofInvalid: as ``verify_continuation``.
            Unavailable: it cannot be remembered.
        """
        origin = origin_of(request)
        log = next((key for key in self.watched() if key.name == origin), None)
        if log is None:
            raise OriginUnknown(
                f"this witness watches no log {origin!r:.100}",
                hint=f"watch it: swarmsec audit witness watch VKEY --dir {self._directory}",
            )
        try:
            with self._locked():
                checkpoint = verify_continuation(request, log, self.checkpoint_of(log))
                line = cosign_checkpoint(checkpoint, self._signer, time=unix_seconds(clock))
                own = replace(request.note, signatures=(*request.note.signatures_of(log), line))
                write_atomically(self._path(origin, "checkpoint"), bytes(own), mode=0o644)
        except OSError as error:
            raise _unwritable(self._directory, error) from None
        return str(line)

    def _path(self, origin: str, kind: str) -> Path:
        return self._directory / LOGS / f"{hash_of(origin)}.{kind}"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def hash_of(origin: str) -> str:
    """The name that a witness serves a log's checkpoint under."""
    return hashlib.sha256(origin.encode()).hexdigest()


def _unwritable(directory: Path, error: OSError) -> Unavailable:
    return Unavailable(f"{error.filename or directory} could not be written: {error.strerror}")
