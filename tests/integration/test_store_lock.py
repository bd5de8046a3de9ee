"""Writers of one home take turns, and one that waits too long is told who holds the store."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from swarmsec.storage.database import open_engine, parse_url
from swarmsec.storage.errors import StoreBusy, StoreUnwritable
from swarmsec.storage.store import Store
from swarmsec.storage.writerlock import WriterLock
from tests.integration.clocks import StandingClock
from tests.integration.storecontract import put

HOLDER = """
import sys
sys.argv[0] = "/usr/bin/swarmsec"
from pathlib import Path
from swarmsec.storage.writerlock import WriterLock
with WriterLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holding(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock."""
    environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_writer_that_waits_too_long_is_told_the_process_and_its_program(tmp_path: Path) -> None:
    path = tmp_path / "writer"
    store = Store(open_engine(parse_url("sqlite:///state.db", tmp_path)), StandingClock(), path, lock_wait=0.1)
    store.migrate()
    with holding(path) as holder:
        with pytest.raises(
            StoreBusy, match=rf"held by process {holder.pid} \(swarmsec\) for more than 0.1 s"
        ) as caught:
            store.write(put("name", "value"))
        assert caught.value.hint is not None
        assert store.read(lambda transaction: transaction.settings.get("name")) is None
    assert store.write(put("name", "value")) == 0
    store.close()


def test_the_turn_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    path = tmp_path / "writer"
    with holding(path) as holder:
        holder.kill()
        holder.wait()
        with WriterLock(path, wait=5):
            pass


@pytest.mark.parametrize("note", [b"", b"\xff\xfe", b"\x1b[31m", b"x" * 500])
def test_a_note_that_is_no_note_is_not_shown(tmp_path: Path, note: bytes) -> None:
    path = tmp_path / "writer"
    path.write_bytes(note)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(StoreBusy) as caught, WriterLock(path, wait=0):
            pass
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


def test_the_lock_file_is_its_owners_alone(tmp_path: Path) -> None:
    lock = WriterLock(tmp_path / "writer")
    with lock:
        assert (tmp_path / "writer").stat().st_mode & 0o777 == 0o600
    lock.close()
    lock.close()


def test_what_is_no_file_is_no_lock(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "directory").mkdir()
    for name, said in (("pipe", "pipe is not a file"), ("directory", "Is a directory")):
        with pytest.raises(StoreUnwritable, match=said), WriterLock(tmp_path / name):
            pass
