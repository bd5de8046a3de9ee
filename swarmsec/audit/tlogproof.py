"""One file that proves one entry to somebody who has nothing but a public key (C2SP ``tlog-proof``).

Our files carry the entry itself in the ``extra`` line, so that the file alone says what it proves. The line is not
signed; it need not be, for the proof begins with its hash.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Final, Self

from swarmsec.audit.checkpoints import parse_hash, parse_size
from swarmsec.audit.errors import LogFormatInvalid
from swarmsec.audit.notes import MAX_NOTE_BYTES, SignedNote, decode_base64, parse_note
from swarmsec.audit.proofs import MAX_HASHES

HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_EXTRA_BYTES: Final = 65_535
MAX_BYTES: Final = MAX_NOTE_BYTES + 4 * MAX_EXTRA_BYTES // 3 + 64 * MAX_HASHES + 256
SUFFIX: Final = ".tlog-proof"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogProof:
    """An entry's place in a log, with the hashes and the checkpoint that prove it; ``extra`` may be absent."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: SignedNote
    extra: bytes | None = None

    def __bytes__(self) -> bytes:
        extra = [] if self.extra is None else [f"extra {_encode(self.extra)}"]
        lines = [HEADER, *extra, f"index {self.index}", *map(_encode, self.hashes), "", ""]
        return "\n".join(lines).encode() + bytes(self.checkpoint)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read a proof; nothing in it is verified.

        Raises:
            LogFormatInvalid: it is none.
        """
        if len(data) > MAX_BYTES:
            raise LogFormatInvalid(f"expected a proof of at most {MAX_BYTES} bytes, got more")
        head, separator, note = data.partition(b"\n\n")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise _none() from None
        if not separator or lines[0] != HEADER:
            raise _none()
        extra = None
        if lines[1:] and lines[1].startswith("extra "):
            extra = decode_base64(lines.pop(1).removeprefix("extra "))
            if len(extra) > MAX_EXTRA_BYTES:
                raise LogFormatInvalid(f"expected at most {MAX_EXTRA_BYTES} extra bytes in a proof, got more")
        if not lines[1:] or not lines[1].startswith("index ") or len(lines) - 2 > MAX_HASHES:
            raise _none()
        return cls(
            index=parse_size(lines[1].removeprefix("index ")),
            hashes=tuple(map(parse_hash, lines[2:])),
            checkpoint=parse_note(note),
            extra=extra,
        )


def _encode(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _none() -> LogFormatInvalid:
    return LogFormatInvalid(f"expected a proof that begins with {HEADER}, an index and hashes")
