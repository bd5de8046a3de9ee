"""A home with its backup, and the machines it is restored on."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from swarmsec.keys.backupfile import read_backup, write_backup
from swarmsec.keys.recovery import RecoveryKey
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.homes.backup_archive import Header, encode_header, parse_header
from swarmsec.wiring.homes.backups import Watcher
from swarmsec.wiring.homes.home import open_home
from swarmsec.wiring.homes.restoring import Accepted, Wanted, accept_home, restore_home
from tests.unit.swarmsec.homes import OPERATOR, private_files

WATCHER = Watcher(begins=lambda rows: None, moved=lambda rows: None)
VALUES = {f"test/value/{number}": bytes([number]) * 40 for number in range(30)}
ON_ANOTHER_MACHINE = "another-state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A home with its backup, both as they were when it was made."""

    root: Path
    recovery: RecoveryKey
    store_id: str
    entries: int

    @property
    def backup(self) -> Path:
        return self.root / "home.age"

    @property
    def original(self) -> Path:
        return self.root / "original"

    @property
    def restored(self) -> Path:
        return self.root / "restored"


def restore(
    saved: Saved, recovery: RecoveryKey | None = None, *, seal: str = "file", backup: Path | None = None
) -> None:
    with private_files():
        restore_home(
            Wanted(home=saved.restored, backup=backup or saved.backup, seal=seal),
            recovery or saved.recovery,
            lambda prompt: SecretBytes(b"correct horse battery"),
            OPERATOR,
            WATCHER,
        )


def accept(saved: Saved) -> Accepted:
    home = open_home(saved.restored, allow_restored=True)
    try:
        return accept_home(home, home.keys(), OPERATOR)
    finally:
        home.close()


def lines_of(saved: Saved) -> list[bytes]:
    lines: list[bytes] = []
    read_backup(io.BytesIO(saved.backup.read_bytes()), saved.recovery, lines.append)
    return lines


def rewritten(saved: Saved, lines: list[bytes]) -> None:
    """Put another backup in the place of the real one, as only a holder of the recovery key can."""
    file = io.BytesIO()
    write_backup(file, lines, recipient=saved.recovery.recipient, mac_key=saved.recovery.backup_mac_key)
    saved.backup.write_bytes(file.getvalue())


def with_header(saved: Saved, change: Callable[[Header], Header]) -> None:
    first, *rows = lines_of(saved)
    rewritten(saved, [encode_header(change(parse_header(first))), *rows])


def nothing_of_a_home(saved: Saved) -> bool:
    seals = list((saved.root / ON_ANOTHER_MACHINE).rglob("*.key"))
    return not saved.restored.exists() and not seals
