"""What a named file may turn out to be: nobody is waited for, and everything else is the system's own error."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from swarmsec.openedfile import open_to_read


def content(path: Path) -> bytes:
    with open_to_read(path) as file:
        return file.read(1000)


def test_a_file_and_a_link_to_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"a\0b")
    (tmp_path / "link").symlink_to("file")
    assert content(tmp_path / "file") == content(tmp_path / "link") == b"a\0b"
    with open_to_read(tmp_path / "file") as file:
        assert (file.name, os.get_inheritable(file.fileno())) == (str(tmp_path / "file"), False)


def test_a_pipe_that_nobody_writes_to_is_empty(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert content(tmp_path / "pipe") == b""


def test_a_pipe_with_a_writer_is_read_to_its_end() -> None:
    reading, writing = os.pipe()

    def write() -> None:
        for part in (b"first ", b"second"):
            os.write(writing, part)
        os.close(writing)

    writer = threading.Timer(0.05, write)
    writer.start()
    assert content(Path(f"/dev/fd/{reading}")) == b"first second"
    writer.join()
    os.close(reading)


def test_a_device_is_read_as_far_as_wanted() -> None:
    assert content(Path("/dev/zero")) == bytes(1000)
    assert content(Path("/dev/null")) == b""


def test_what_cannot_be_read_is_named_and_nothing_stays_open(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        for name, error in (("missing", FileNotFoundError), (".", IsADirectoryError), ("socket", OSError)):
            with pytest.raises(error) as raised:
                open_to_read(tmp_path / name)
            assert raised.value.filename == str(tmp_path / name)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
