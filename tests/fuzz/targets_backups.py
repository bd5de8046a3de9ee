"""Targets of backups and of the recovery key that opens them."""

from __future__ import annotations

import io

from swarmsec.errors import IntegrityFailure, UsageProblem
from swarmsec.keys.backupfile import read_backup, write_backup
from swarmsec.keys.errors import WrongUnlock
from swarmsec.keys.recovery import RecoveryKey, parse_recovery_key
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.homes.back_up import parse_plan
from swarmsec.services.homes.backup_archive import (
    BackupDamaged,
    ColumnKind,
    Header,
    TableShape,
    encode_header,
    encode_row,
    parse_header,
    parse_row,
)
from swarmsec.services.records import Intent
from tests.fuzz.engine import CheckFailed, Target
from tests.fuzz.material import SECRET_HEX, text_of
from tests.fuzz.targets_store import JSON_WORDS, STORE_ID

_IDENTITY = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
_SECRET = bytes.fromhex(SECRET_HEX)


def _recovery_key(data: bytes) -> None:
    key = parse_recovery_key(data)
    again = parse_recovery_key(key.identity.reveal())
    if again.recipient != key.recipient or again.backup_mac_key != key.backup_mac_key or len(data) > 4096:
        raise CheckFailed("expected the identity to read as the same key")


def _recovery() -> RecoveryKey:
    return parse_recovery_key(_IDENTITY.encode())


def _backup(data: bytes) -> None:
    lines: list[bytes] = []
    read_backup(io.BytesIO(data), _recovery(), lines.append)
    if lines != _BACKUP_LINES:
        raise CheckFailed("expected no altered backup to verify")


def _backup_payload(data: bytes) -> None:
    """What is inside the encryption, by somebody who knows the public recipient but not the MAC key."""
    file = io.BytesIO()
    write_backup(file, data.split(b"\n"), recipient=_recovery().recipient, mac_key=SecretBytes(bytes(32)))
    read_backup(io.BytesIO(file.getvalue()), _recovery(), lambda line: None)
    raise CheckFailed("expected no backup of somebody without the MAC key to verify")


def _header(data: bytes) -> None:
    header = parse_header(data)
    if parse_header(encode_header(header)) != header or SECRET_HEX in repr(header):
        raise CheckFailed("expected a header that writes and reads alike, and hides its key")


def _plan(data: bytes) -> None:
    plan = parse_plan(Intent(request_id=STORE_ID, action="backup.create", started=1, data=text_of(data)))
    if not all(isinstance(text, str) for text in (plan.host, plan.path, plan.temporary, plan.sha256)):
        raise CheckFailed("expected texts in a plan")


def _row(data: bytes) -> None:
    name, row = parse_row(data, _TABLES)
    if parse_row(encode_row(name, list(row.values())), _TABLES) != (name, row):
        raise CheckFailed("expected a row that writes and reads alike")


_TABLES = {
    "values": TableShape(
        columns={"name": ColumnKind.TEXT, "size": ColumnKind.INTEGER, "data": ColumnKind.BYTES}, rows=1
    )
}
_HEADER = Header(
    store_id=STORE_ID,
    created="2026-05-04T10:20:30.000Z",
    request_id=STORE_ID,
    size=7,
    leaf_hash=bytes(32),
    schema=frozenset({"core_0001"}),
    root_key=SecretBytes(_SECRET),
    config="format = 1\n",
    tables=_TABLES,
)
_BACKUP_LINES = [encode_header(_HEADER), encode_row("values", ["a", 1, b"\x00\xff"])]


def _backup_file() -> bytes:
    file = io.BytesIO()
    recovery = _recovery()
    write_backup(file, _BACKUP_LINES, recipient=recovery.recipient, mac_key=recovery.backup_mac_key)
    return file.getvalue()


_PLAN = b'{"bytes":1,"host":"a","path":"a.age","sha256":"","temporary":".a"}'

TARGETS = (
    Target(
        name="recovery-key",
        run=_recovery_key,
        seeds=(_IDENTITY.encode(), b"# comment\n" + _IDENTITY.encode() + b"\n"),
        allowed=(UsageProblem,),
        covers=("swarmsec.keys.recovery.parse_recovery_key",),
        words=(b"AGE-SECRET-KEY-1", b"AGE-PLUGIN-YUBIKEY-1", b"#", b"\n"),
        secrets=(_IDENTITY[20:],),
    ),
    Target(
        name="backup-file",
        run=_backup,
        seeds=(_backup_file(),),
        allowed=(WrongUnlock, BackupDamaged),
        covers=("swarmsec.keys.backupfile.read_backup",),
        words=(
            b"age-encryption.org/v1\n",
            b"-> X25519 ",
            b"-> scrypt ",
            b"--- ",
            b"-----BEGIN AGE ENCRYPTED FILE-----\n",
        ),
        secrets=(_IDENTITY[20:],),
    ),
    Target(
        name="backup-payload",
        run=_backup_payload,
        seeds=(b"\n".join(_BACKUP_LINES), b'{"mac": "%b"}' % (b"00" * 32)),
        allowed=(BackupDamaged,),
        covers=("swarmsec.keys.backupfile.read_backup",),
        words=(b'{"mac": "', b"\n"),
        secrets=(_IDENTITY[20:],),
    ),
    Target(
        name="backup-header",
        run=_header,
        seeds=(_BACKUP_LINES[0],),
        allowed=(BackupDamaged,),
        covers=("swarmsec.services.homes.backup_archive.parse_header",),
        words=(*JSON_WORDS, b'["a","text"]', b'"rows":0'),
        secrets=(SECRET_HEX,),
    ),
    Target(
        name="backup-plan",
        run=_plan,
        seeds=(
            _PLAN,
            _PLAN.replace(b'"a.age"', b"1"),
            b"[" * 100_000,
        ),
        allowed=(IntegrityFailure,),
        covers=("swarmsec.services.homes.back_up.parse_plan",),
        words=JSON_WORDS,
    ),
    Target(
        name="backup-row",
        run=_row,
        seeds=(
            _BACKUP_LINES[1],
            # Base64 that is not even ASCII.
            '["values",["a",1,"é"]]'.encode(),
        ),
        allowed=(BackupDamaged,),
        covers=("swarmsec.services.homes.backup_archive.parse_row",),
        words=JSON_WORDS,
    ),
)
