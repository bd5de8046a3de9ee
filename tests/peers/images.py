"""The file system of a task's image: one static busybox under the names of all its commands."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

EXECUTABLE = 0o755
STICKY_DIRECTORY = 0o1777
ROOT_ALONE = b"root:x:0:0:root:/:/bin/sh\n"


def build_busybox_layer(busybox: str, users: bytes = ROOT_ALONE) -> bytes:
    """Build what ``docker import`` reads.

    Args:
        busybox: path of a statically linked busybox.
        users: what ``/etc/passwd`` says.

    Returns:
        a tar archive, the same for the same busybox.
    """
    listing = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True, timeout=60)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        _add_file(archive, "bin/busybox", Path(busybox).read_bytes(), mode=EXECUTABLE)
        for command in listing.stdout.split():
            if command != "busybox":
                _add_link(archive, f"bin/{command}", target="busybox")
        _add_file(archive, "etc/passwd", users, mode=0o644)
        _add_directory(archive, "tmp", mode=STICKY_DIRECTORY)
    return buffer.getvalue()


def _add_file(archive: tarfile.TarFile, name: str, content: bytes, *, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    entry.mode = mode
    archive.addfile(entry, io.BytesIO(content))


def _add_link(archive: tarfile.TarFile, name: str, *, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.SYMTYPE
    entry.linkname = target
    archive.addfile(entry)


def _add_directory(archive: tarfile.TarFile, name: str, *, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.type = tarfile.DIRTYPE
    entry.mode = mode
    archive.addfile(entry)
