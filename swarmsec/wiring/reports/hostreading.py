"""Looking at a host as its agent does: metadata of files, and the few files whose content says something; read only.

Every path is walked from the root, a directory at a time. The last part is never followed where it is a link. One on
the way is followed only where root alone could have put it there (``/var/run``, a data root that was moved), so nobody
else can point the agent at a file that it was not to look at. What is not a regular file is never opened for reading.
"""

from __future__ import annotations

import errno
import grp
import os
import posixpath
import pwd
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from swarmsec.errors import Unavailable
from swarmsec.reports.host_report import HostFile, Kind, Purpose

MAX_LINKS: Final = 16
MAX_ENTRIES: Final = 4_096
_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR})
_NAME: Final = re.compile(r"[A-Za-z0-9_.$-]{1,64}", re.ASCII)
_OTHERS_WRITE: Final = 0o022


class HostTree:
    """The files of a host.

    Args:
        root: where its root directory is; another one than ``/`` in tests.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def look(self, purpose: Purpose, path: str) -> HostFile | None:
        """The metadata of a file, a link's own where it is one; None where there is nothing.

        Raises:
            Unavailable: it cannot be told.
        """
        found: os.stat_result | None = None
        with _told(path), self._parent(path) as place:
            if place is not None:
                found = os.stat(place[1], dir_fd=place[0], follow_symlinks=False)
        return None if found is None else _described(purpose, path, found)

    def read(self, path: str, *, limit: int) -> bytes | None:
        """The content of a regular file; None where there is none.

        Raises:
            Unavailable: it cannot be read, is no regular file, or is larger than ``limit`` bytes.
        """
        data: bytes | None = None
        with _told(path), self._parent(path) as place:
            if place is None:
                return None
            with os.fdopen(os.open(place[1], _READ, dir_fd=place[0]), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise Unavailable(f"expected {path} to be a regular file")
                data = file.read(limit + 1)
            if len(data) > limit:
                raise Unavailable(f"expected at most {limit} bytes in {path}")
        return data

    def names(self, path: str) -> Sequence[str]:
        """The names in a directory, sorted; none where it does not exist.

        Raises:
            Unavailable: it cannot be read, or holds more than anybody would put there.
        """
        found: list[str] = []
        with _told(path), self._parent(path) as place:
            if place is None:
                return []
            descriptor = os.open(place[1], _READ | os.O_DIRECTORY, dir_fd=place[0])
            try:
                with os.scandir(descriptor) as entries:
                    for entry in entries:
                        found.append(entry.name)
                        if len(found) > MAX_ENTRIES:
                            raise Unavailable(f"expected at most {MAX_ENTRIES} names in {path}")
            finally:
                os.close(descriptor)
        return sorted(found)

    @contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str] | None]:
        """The directory that a path ends in, open, and the last part of the path."""
        wanted: str = path
        for _ in range(MAX_LINKS):
            found = self._walk(wanted)
            if not isinstance(found, str):
                break
            wanted = found
        else:
            raise Unavailable(f"expected at most {MAX_LINKS} links on the way to {path}")
        try:
            yield found
        finally:
            if found is not None:
                os.close(found[0])

    def _walk(self, path: str) -> tuple[int, str] | str | None:
        """Go down to the last part; or say what the path means with its first link followed."""
        parts = posixpath.normpath("/" + path.lstrip("/")).split("/")[1:]
        descriptor = os.open(self._root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for index, name in enumerate(parts[:-1]):
                here = os.fstat(descriptor)
                entry = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                if stat.S_ISLNK(entry.st_mode):
                    _verify_placed_by_root(here, entry, path)
                    target = os.readlink(name, dir_fd=descriptor)
                    rest = "/".join(parts[index + 1 :])
                    return posixpath.join("/", *parts[:index], target, rest)
                inner = os.open(name, _DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            kept, descriptor = descriptor, -1
            return kept, parts[-1]
        finally:
            if descriptor >= 0:
                os.close(descriptor)


def _verify_placed_by_root(directory: os.stat_result, link: os.stat_result, path: str) -> None:
    trusted = {0, os.geteuid()} if os.geteuid() else {0}
    is_shared = directory.st_mode & _OTHERS_WRITE and not directory.st_mode & stat.S_ISVTX
    if link.st_uid not in trusted or directory.st_uid not in trusted or is_shared:
        raise Unavailable(f"a link on the way to {path} is not root's own; it is not followed")


@contextmanager
def _told(path: str) -> Iterator[None]:
    """What is not there is passed over; every other failure is said in our own words."""
    try:
        yield
    except OSError as error:
        if error.errno not in _ABSENT:
            raise Unavailable(f"{path} could not be read: {error.strerror}") from None


def _described(purpose: Purpose, path: str, found: os.stat_result) -> HostFile:
    return HostFile(
        purpose=purpose,
        path=path,
        kind=_kind(found.st_mode),
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        owner=_owner(found.st_uid),
        group=_group(found.st_gid),
    )


def _kind(mode: int) -> Kind:
    for test, kind in ((stat.S_ISREG, Kind.FILE), (stat.S_ISDIR, Kind.DIRECTORY), (stat.S_ISLNK, Kind.LINK)):
        if test(mode):
            return kind
    return Kind.SOCKET if stat.S_ISSOCK(mode) else Kind.OTHER


def _owner(uid: int) -> str:
    with suppress(KeyError):
        return _shown(pwd.getpwuid(uid).pw_name)
    return ""


def _group(gid: int) -> str:
    with suppress(KeyError):
        return _shown(grp.getgrgid(gid).gr_name)
    return ""


def _shown(name: str) -> str:
    return name if _NAME.fullmatch(name) else ""
