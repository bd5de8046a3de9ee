"""Files that are either the old ones or the new ones, on disk when the call returns.

A new file has no name until it is complete (``O_TMPFILE``, open(2)), so that a process that is killed leaves no part
of a secret behind; where the file system cannot do that, it begins under a hidden name.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from pathlib import Path


def write_atomically(path: Path, data: bytes, *, mode: int, exclusive: bool = False) -> None:
    """Write a file whole or not at all.

    Args:
        path: the file.
        data: its whole content.
        mode: permission bits, set before any byte is written.
        exclusive: refuse to replace an existing file.

    Raises:
        FileExistsError: ``exclusive`` and the file exists.
        OSError (EINVAL): what would be replaced is no plain file, but a device, say.
        OSError: as the system says; nothing is left behind.
    """
    if not exclusive:
        _verify_plain(path)
    hidden = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not exclusive:
            _write_named(hidden, data, mode)
            _move(hidden, path)
        elif not _write_unnamed(directory, path, data, mode):
            _write_named(hidden, data, mode)
            _give_name(hidden, path)
        os.fsync(directory)
    finally:
        os.close(directory)


def _verify_plain(path: Path) -> None:
    """Refuse to put a file in the place of a device or pipe: the next one to write there would not meet it any more."""
    try:
        is_plain = stat.S_ISREG(path.stat().st_mode)
    except FileNotFoundError:
        return
    if path.is_symlink() and path.readlink().is_relative_to("/proc"):
        # /dev/stdout and its like, whatever they lead to now.
        is_plain = False
    if not is_plain:
        raise OSError(errno.EINVAL, "it is no plain file", str(path))


def _write_unnamed(directory: int, path: Path, data: bytes, mode: int) -> bool:
    """Write without a name and then give it one; False where the file system has no unnamed files."""
    try:
        descriptor = os.open(f"/proc/self/fd/{directory}", os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, mode)
    except OSError:
        # Whatever it is that cannot be done here, the named way says it in the words of the path that was asked for.
        return False
    with os.fdopen(descriptor, "wb") as file:
        _fill(file.fileno(), data, mode)
        # NOTE: only with a directory's descriptor does Python call linkat(2) and follow the link in /proc.
        os.link(f"/proc/self/fd/{file.fileno()}", path, src_dir_fd=directory)
    return True


def _write_named(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb"):
            _fill(descriptor, data, mode)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _fill(descriptor: int, data: bytes, mode: int) -> None:
    os.fchmod(descriptor, mode)
    written = 0
    while written < len(data):
        written += os.write(descriptor, data[written:])
    os.fsync(descriptor)


def _give_name(hidden: Path, path: Path) -> None:
    try:
        os.link(hidden, path)
    finally:
        hidden.unlink()


def _move(hidden: Path, path: Path) -> None:
    try:
        hidden.replace(path)
    except BaseException:
        hidden.unlink(missing_ok=True)
        raise


def make_private_directory(path: Path) -> None:
    """Make a directory, and those above it that are missing, for their owner alone and on disk.

    Raises:
        OSError: as the system says.
    """
    if path.is_dir():
        return
    make_private_directory(path.parent)
    try:
        path.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make a directory's entries durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
