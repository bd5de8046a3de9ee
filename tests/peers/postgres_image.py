"""An image of this machine's PostgreSQL that starts as the official one does, as far as the example needs it."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

from tests.peers.images import ROOT_ALONE, build_busybox_layer

PROGRAMS = ("postgres", "initdb", "psql")
MODULES = ("dict_snowball.so", "plpgsql.so")
ZONES = ("UTC", "Etc/UTC")
USER = 70
ENTRY = b"""#!/bin/sh
set -e
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --pgdata="$PGDATA" --username=postgres --pwfile="$POSTGRES_PASSWORD_FILE" --auth=scram-sha-256 \\
        --locale=C --encoding=UTF8 --no-sync
fi
exec "$@" -D "$PGDATA" -k /tmp -c fsync=off
"""
CHANGES = (
    "USER postgres",
    "ENV PGDATA=/tmp/data PATH=/usr/lib/postgresql/bin:/bin TZ=UTC",
    'ENTRYPOINT ["/entry.sh"]',
    'CMD ["postgres"]',
)
_LIBRARY = re.compile(r"(/\S+)(?: \(0x[0-9a-f]+\))?$")


def build_postgres_layer(busybox: str) -> bytes:
    """Build what ``docker import`` reads, with ``CHANGES``."""
    home = newest_installation()
    share = Path("/usr/share/postgresql") / home.name
    users = ROOT_ALONE + f"postgres:x:{USER}:{USER}::/tmp:/bin/sh\n".encode()
    buffer = io.BytesIO(build_busybox_layer(busybox, users))
    with tarfile.open(fileobj=buffer, mode="a") as archive:
        programs = [home / "bin" / name for name in PROGRAMS]
        modules = [home / "lib" / name for name in MODULES]
        for path in {*programs, *modules, *_libraries([*programs, *modules])}:
            archive.add(path.resolve(), arcname=str(path).lstrip("/"))
        archive.add(share, arcname=str(share).lstrip("/"), filter=_without_manuals)
        for zone in ZONES:
            archive.add(Path("/usr/share/zoneinfo", zone).resolve(), arcname=f"usr/share/zoneinfo/{zone}")
        _add_link(archive, "usr/lib/postgresql/bin", f"{home.name}/bin")
        _add_text(archive, "entry.sh", ENTRY, mode=0o755)
    return buffer.getvalue()


def newest_installation() -> Path:
    """Where Debian keeps its newest PostgreSQL."""
    return max(Path("/usr/lib/postgresql").iterdir(), key=lambda path: int(path.name))


def _libraries(files: Iterable[Path]) -> set[Path]:
    """The shared libraries that files need, and the loader."""
    listed = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True, check=True, timeout=30).stdout
    found = (_LIBRARY.search(line) for line in listed.splitlines() if not line.endswith(":"))
    return {Path(match[1]) for match in found if match}


def _without_manuals(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if "/man" in entry.name else entry


def _add_link(archive: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = tarfile.SYMTYPE, target
    archive.addfile(entry)


def _add_text(archive: tarfile.TarFile, name: str, content: bytes, *, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))
