"""Files are the old ones or the new ones, private from the first byte, and nothing is left beside them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from swarmsec.atomicfile import make_private_directory, write_atomically


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def refuse_unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without unnamed files, as NFS is."""
    real = os.open

    def refusing(path: str, flags: int, mode: int = 0o777, **more: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "not supported")
        return real(path, flags, mode, **more)

    monkeypatch.setattr(os, "open", refusing)


@pytest.fixture(params=["unnamed files", "no unnamed files"])
def file_system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no unnamed files":
        refuse_unnamed(monkeypatch)


@pytest.mark.usefixtures("file_system")
@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_new_file_has_its_content_and_mode(tmp_path: Path, exclusive: bool, mode: int) -> None:
    write_atomically(tmp_path / "file", b"content", mode=mode, exclusive=exclusive)
    assert (tmp_path / "file").read_bytes() == b"content"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode
    assert names(tmp_path) == ["file"]


@pytest.mark.usefixtures("file_system")
def test_an_existing_file_is_replaced_or_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomically(path, b"first", mode=0o600)
    with pytest.raises(FileExistsError):
        write_atomically(path, b"second", mode=0o600, exclusive=True)
    assert path.read_bytes() == b"first"
    write_atomically(path, b"third", mode=0o600)
    assert path.read_bytes() == b"third"
    assert names(tmp_path) == ["file"]


@pytest.mark.usefixtures("file_system")
@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("call", ["fsync", "write", "fchmod"])
def test_a_failing_call_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exclusive: bool, call: str
) -> None:
    write_atomically(tmp_path / "other", b"old", mode=0o600)

    def fail(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="no space left"):
        write_atomically(tmp_path / ("file" if exclusive else "other"), b"new", mode=0o600, exclusive=exclusive)
    assert names(tmp_path) == ["other"]
    assert (tmp_path / "other").read_bytes() == b"old"


def test_a_call_that_writes_less_than_it_was_given_is_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[[int, bytes], int] = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:3]))
    write_atomically(tmp_path / "file", b"0123456789", mode=0o600, exclusive=True)
    assert (tmp_path / "file").read_bytes() == b"0123456789"


def test_a_file_that_is_its_owners_alone_never_was_anybody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[[int, bytes], int] = os.write
    seen: list[int] = []

    def watched(descriptor: int, data: bytes) -> int:
        seen.append(stat.S_IMODE(os.fstat(descriptor).st_mode))
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", watched)
    former = os.umask(0)
    try:
        write_atomically(tmp_path / "file", b"content", mode=0o600, exclusive=True)
        write_atomically(tmp_path / "file", b"content", mode=0o600)
    finally:
        os.umask(former)
    assert seen == [0o600, 0o600]


def test_missing_directories_are_made_private_and_present_ones_left_alone(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o755)
    make_private_directory(tmp_path / "open" / "a" / "b")
    make_private_directory(tmp_path / "open" / "a" / "b")
    modes = [stat.S_IMODE((tmp_path / "open" / name).stat().st_mode) for name in (".", "a", "a/b")]
    assert modes == [0o755, 0o700, 0o700]


def test_a_file_where_a_directory_should_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        make_private_directory(tmp_path / "file" / "deeper")


def test_a_device_or_pipe_is_not_replaced(tmp_path: Path) -> None:
    pipe, link, output = tmp_path / "pipe", tmp_path / "link", tmp_path / "output"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    output.symlink_to("/proc/self/fd/0")
    for path in (pipe, link, output):
        with pytest.raises(OSError, match="no plain file"):
            write_atomically(path, b"data", mode=0o600)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert (link.is_symlink(), output.is_symlink()) == (True, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "output", "pipe"]


def test_a_link_to_a_plain_file_or_to_nothing_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"former")
    for name, target in (("link", "file"), ("dangling", "nothing")):
        (tmp_path / name).symlink_to(target)
        write_atomically(tmp_path / name, b"data", mode=0o600)
        assert (tmp_path / name).read_bytes() == b"data"
    assert (tmp_path / "file").read_bytes() == b"former"
