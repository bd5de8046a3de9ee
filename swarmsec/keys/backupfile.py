"""The backup file: one age v1 file (age-encryption.org/v1) for one recipient, in it lines, the last a MAC over them.

age shows any change of its payload but not who wrote it; the MAC does. Its key comes from the recovery key
(``keys.recovery``), the home keeps it sealed. Both directions stream: no more than one line and one chunk of age is in
memory. The last line is ``{"mac": "…"}``, HMAC-SHA-256 in hex over every byte before it.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

from swarmsec.keys.errors import WrongUnlock
from swarmsec.keys.recovery import RecoveryKey
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.homes.backup_archive import BackupDamaged

MAGIC: Final = b"age-encryption.org/v1\n"
MAX_LINE_BYTES: Final = 4 << 20
"""A row's longest line: a sealed record of 1 MiB in base64, with room to spare."""
_READ_BYTES: Final = 65_536


class Readable(Protocol):
    """A file to read from."""

    def read(self, count: int, /) -> bytes: ...


class Writable(Protocol):
    """A file to write to."""

    def write(self, data: bytes, /) -> object: ...


Take = Callable[[bytes], None]
"""Gets the lines of a backup one by one, without their ends."""


def write_backup(file: Writable, lines: Iterable[bytes], *, recipient: str, mac_key: SecretBytes) -> None:
    """Write a backup.

    Args:
        file: where the age file goes; flushing and syncing it is the caller's.
        lines: without their ends, each at most ``MAX_LINE_BYTES`` long.
        recipient: the public recovery key, ``age1…``.
        mac_key: from the recovery key.

    Raises:
        whatever reading ``lines`` or writing ``file`` raises.
    """
    import pyrage
    from pyrage import x25519

    source = _Source(_with_mac(lines, mac_key))
    sink = _Sink(file.write)
    try:
        pyrage.encrypt_io(source, sink, [x25519.Recipient.from_str(recipient)])
    except (pyrage.EncryptError, OSError):
        raise source.failure or sink.failure or BackupDamaged("the backup could not be encrypted") from None


def read_backup(file: Readable, recovery: RecoveryKey, take: Take) -> None:
    """Read a backup to its end and verify it.

    Args:
        file: the age file, at its beginning.
        recovery: the recovery key it was made for.
        take: gets every line but the MAC's. NOTE: nothing of them is proven before this returns.

    Raises:
        WrongUnlock: the recovery key does not open it.
        BackupDamaged: changed, cut off, too long, or written by somebody without the MAC key.
        whatever ``take`` or reading the file raises.
    """
    import pyrage
    from pyrage import x25519

    source = _Source(_parts(file))
    lines = _Lines(recovery.backup_mac_key, take)
    sink = _Sink(lines.feed)
    try:
        pyrage.decrypt_io(source, sink, [x25519.Identity.from_str(recovery.identity.reveal().decode())])
    except (pyrage.DecryptError, OSError) as error:
        raise source.failure or sink.failure or _refusal(error) from None
    lines.verify_end()


def _refusal(error: Exception) -> Exception:
    if "no matching keys" in str(error).lower():
        return WrongUnlock(
            "the recovery key does not open this backup",
            hint="give the recovery key that the home had when it was made",
        )
    return BackupDamaged("the backup is damaged, cut off or not an age file")


def _with_mac(lines: Iterable[bytes], mac_key: SecretBytes) -> Iterator[bytes]:
    mac = hmac.new(mac_key.reveal(), digestmod="sha256")
    for line in lines:
        if len(line) > MAX_LINE_BYTES:
            raise BackupDamaged(f"expected a row of at most {MAX_LINE_BYTES} bytes for the backup, got {len(line)}")
        mac.update(line + b"\n")
        yield line + b"\n"
    yield json.dumps({"mac": mac.hexdigest()}).encode() + b"\n"


def _parts(file: Readable) -> Iterator[bytes]:
    while part := file.read(_READ_BYTES):
        yield part


class _Source:
    """What pyrage reads from. It words our errors anew, so the first one is kept to be raised again."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = b""
        self.failure: BaseException | None = None

    def read(self, count: int = -1) -> bytes:
        try:
            while not self._rest:
                self._rest = next(self._parts)
        except StopIteration:
            return b""
        except BaseException as error:
            self.failure = error
            raise
        size = count if count >= 0 else len(self._rest)
        part, self._rest = self._rest[:size], self._rest[size:]
        return part


class _Sink:
    """What pyrage writes to; it keeps an error like ``_Source``."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self.failure: BaseException | None = None

    def write(self, data: bytes) -> int:
        try:
            self._write(data)
        except BaseException as error:
            self.failure = error
            raise
        return len(data)

    def flush(self) -> None:
        """pyrage asks for it; the file's owner flushes."""


class _Lines:
    """Splits what is decrypted into lines, holding the newest back because it may be the MAC."""

    def __init__(self, mac_key: SecretBytes, take: Take) -> None:
        self._mac = hmac.new(mac_key.reveal(), digestmod="sha256")
        self._take = take
        self._parts: list[bytes] = []
        self._length = 0
        self._newest: bytes | None = None

    def feed(self, data: bytes) -> None:
        *ended, rest = data.split(b"\n")
        for part in ended:
            self._add(part)
            self._end_line()
        self._add(rest)

    def verify_end(self) -> None:
        """Hold the last line against everything before it.

        Raises:
            BackupDamaged: it is no MAC, or another.
        """
        expected = json.dumps({"mac": self._mac.hexdigest()}).encode()
        if self._length or self._newest is None or not hmac.compare_digest(self._newest, expected):
            raise BackupDamaged("the backup was cut off, or not written by its home: its MAC does not fit")

    def _add(self, part: bytes) -> None:
        self._length += len(part)
        if self._length > MAX_LINE_BYTES:
            raise BackupDamaged(f"expected lines of at most {MAX_LINE_BYTES} bytes in the backup")
        self._parts.append(part)

    def _end_line(self) -> None:
        line, self._parts, self._length = b"".join(self._parts), [], 0
        if self._newest is not None:
            self._mac.update(self._newest + b"\n")
            self._take(self._newest)
        self._newest = line
