"""A backup file opens with its recovery key alone, shows every change, and says whether its home wrote it."""

from __future__ import annotations

import errno
import io
import json
from collections.abc import Iterator

import pyrage
import pytest
from pyrage import x25519

from swarmsec.keys.backupfile import MAGIC, MAX_LINE_BYTES, read_backup, write_backup
from swarmsec.keys.errors import WrongUnlock
from swarmsec.keys.recovery import RecoveryKey, new_recovery_key
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.homes.backup_archive import BackupDamaged

LINES = [b'{"header":1}', *(b'["row",%d]' % number for number in range(3000)), b"x" * 200_000, b"last"]
CHUNK = 65_552


@pytest.fixture(scope="module")
def recovery() -> RecoveryKey:
    return new_recovery_key()


@pytest.fixture(scope="module")
def written(recovery: RecoveryKey) -> bytes:
    return write(recovery, LINES)


def write(recovery: RecoveryKey, lines: list[bytes]) -> bytes:
    file = io.BytesIO()
    write_backup(file, lines, recipient=recovery.recipient, mac_key=recovery.backup_mac_key)
    return file.getvalue()


def read(data: bytes, recovery: RecoveryKey) -> list[bytes]:
    taken: list[bytes] = []
    read_backup(io.BytesIO(data), recovery, taken.append)
    return taken


def encrypt(recovery: RecoveryKey, payload: bytes) -> bytes:
    """What anybody can make who knows the public key."""
    made = pyrage.encrypt(payload, [x25519.Recipient.from_str(recovery.recipient)])
    assert isinstance(made, bytes)
    return made


def decrypt(data: bytes, recovery: RecoveryKey) -> bytes:
    opened = pyrage.decrypt(data, [x25519.Identity.from_str(recovery.identity.reveal().decode())])
    assert isinstance(opened, bytes)
    return opened


def test_what_is_written_is_read(recovery: RecoveryKey, written: bytes) -> None:
    assert written.startswith(MAGIC)
    assert read(written, recovery) == LINES


def test_an_empty_backup_has_no_lines(recovery: RecoveryKey) -> None:
    assert read(write(recovery, []), recovery) == []


def test_the_last_line_is_the_mac_of_all_before(recovery: RecoveryKey, written: bytes) -> None:
    *lines, last, end = decrypt(written, recovery).split(b"\n")
    assert (lines, end) == (LINES, b"")
    assert list(json.loads(last)) == ["mac"]


def test_another_recovery_key_is_refused_as_a_decision(written: bytes) -> None:
    with pytest.raises(WrongUnlock, match="does not open this backup"):
        read(written, new_recovery_key())


@pytest.mark.parametrize("length", [0, 1, 20, 100, 199, 230, 1000, CHUNK, 214 + CHUNK, 214 + 2 * CHUNK, -1])
def test_a_file_that_was_cut_off_is_refused(recovery: RecoveryKey, written: bytes, length: int) -> None:
    with pytest.raises(BackupDamaged):
        read(written[:length], recovery)


@pytest.mark.parametrize("place", [300, 1000, CHUNK, 100_000, -1])
def test_a_changed_byte_is_found(recovery: RecoveryKey, written: bytes, place: int) -> None:
    changed = bytearray(written)
    changed[place] ^= 1
    with pytest.raises(BackupDamaged):
        read(bytes(changed), recovery)


@pytest.mark.parametrize("place", range(0, 200, 7))
def test_a_change_of_the_age_header_never_opens(recovery: RecoveryKey, written: bytes, place: int) -> None:
    changed = bytearray(written)
    changed[place] ^= 1
    with pytest.raises((BackupDamaged, WrongUnlock)):
        read(bytes(changed), recovery)


@pytest.mark.parametrize("data", [b"hello", b"\0" * 5000, b"PK\x03\x04", MAGIC, MAGIC + b"-> scrypt " + b"A" * 90_000])
def test_a_foreign_file_is_refused(recovery: RecoveryKey, data: bytes) -> None:
    with pytest.raises((BackupDamaged, WrongUnlock)):
        read(data, recovery)


def test_data_after_the_end_is_refused(recovery: RecoveryKey, written: bytes) -> None:
    with pytest.raises(BackupDamaged):
        read(written + b"x", recovery)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\n",
        b"not a line",
        b"a line\n",
        b'a line\n{"mac": ""}\n',
        b'a line\n{"mac": "' + b"0" * 64 + b'"}\n',
    ],
)
def test_one_who_knows_only_the_public_key_cannot_write_a_backup(recovery: RecoveryKey, payload: bytes) -> None:
    with pytest.raises(BackupDamaged, match="MAC"):
        read(encrypt(recovery, payload), recovery)


def test_lines_cannot_be_dropped_moved_or_added_by_whoever_can_decrypt_for_a_moment(
    recovery: RecoveryKey, written: bytes
) -> None:
    payload = decrypt(written, recovery)
    first, second, rest = payload.split(b"\n", 2)
    for forged in (
        second + b"\n" + rest,
        second + b"\n" + first + b"\n" + rest,
        b"more\n" + payload,
        payload[:-1],
        payload + b"\n",
        payload + payload,
        payload.replace(b"\n", b"\r\n"),
    ):
        with pytest.raises(BackupDamaged):
            read(encrypt(recovery, forged), recovery)


def test_a_mac_under_another_key_is_refused(recovery: RecoveryKey) -> None:
    file = io.BytesIO()
    write_backup(file, LINES, recipient=recovery.recipient, mac_key=SecretBytes(bytes(32)))
    with pytest.raises(BackupDamaged, match="MAC"):
        read(file.getvalue(), recovery)


def test_a_line_without_end_does_not_fill_memory(recovery: RecoveryKey) -> None:
    with pytest.raises(BackupDamaged, match=str(MAX_LINE_BYTES)):
        read(encrypt(recovery, b"x" * (MAX_LINE_BYTES + 1)), recovery)


def test_a_line_that_restore_would_refuse_is_not_written(recovery: RecoveryKey) -> None:
    assert len(read(write(recovery, [b"x" * MAX_LINE_BYTES]), recovery)[0]) == MAX_LINE_BYTES
    with pytest.raises(BackupDamaged):
        write(recovery, [b"x" * (MAX_LINE_BYTES + 1)])


class Full:
    """A file on a full disk."""

    def write(self, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


class Unreadable:
    """A file whose disk fails after a while."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, count: int) -> bytes:
        if self._file.tell() > CHUNK:
            raise OSError(errno.EIO, "Input/output error")
        return self._file.read(count)


def test_the_disks_own_error_reaches_the_caller(recovery: RecoveryKey, written: bytes) -> None:
    with pytest.raises(OSError, match="No space") as full:
        write_backup(Full(), LINES, recipient=recovery.recipient, mac_key=recovery.backup_mac_key)
    assert full.value.errno == errno.ENOSPC
    with pytest.raises(OSError, match="Input/output") as failing:
        read_backup(Unreadable(written), recovery, lambda line: None)
    assert failing.value.errno == errno.EIO


def test_an_error_of_who_gives_or_takes_lines_reaches_the_caller(recovery: RecoveryKey, written: bytes) -> None:
    def lines() -> Iterator[bytes]:
        yield b"first"
        raise LookupError("given")

    def take(line: bytes) -> None:
        raise KeyboardInterrupt

    with pytest.raises(LookupError, match="given"):
        write_backup(io.BytesIO(), lines(), recipient=recovery.recipient, mac_key=recovery.backup_mac_key)
    with pytest.raises(KeyboardInterrupt):
        read_backup(io.BytesIO(written), recovery, take)


def test_a_backup_is_not_held_in_memory(recovery: RecoveryKey) -> None:
    import tracemalloc

    def lines() -> Iterator[bytes]:
        for number in range(20_000):
            yield b"%06d" % number + b"x" * 1000

    class Counted:
        size = 0

        def write(self, data: bytes) -> int:
            self.size += len(data)
            return len(data)

    counted = Counted()
    tracemalloc.start()
    try:
        write_backup(counted, lines(), recipient=recovery.recipient, mac_key=recovery.backup_mac_key)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert counted.size > 20_000_000
    assert peak < 2_000_000
