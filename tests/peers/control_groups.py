"""Remove the control groups that an engine's containers leave behind when they are killed with it.

A control group is a directory that goes away by ``rmdir`` once no process is in it (cgroups(7)). Version 1 has one
hierarchy per controller below ``/sys/fs/cgroup``, version 2 has one in all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.peers import run_names
from tests.peers.errors import PeerProblem
from tests.peers.processes import END_SECONDS, wait_for

CONTROL_GROUPS = Path("/sys/fs/cgroup")


def find(name: str) -> list[Path]:
    """The directories of the top-level control group ``name``, one for each hierarchy."""
    return [path for path in (CONTROL_GROUPS / name, *CONTROL_GROUPS.glob(f"*/{name}")) if path.is_dir()]


def remove(name: str) -> None:
    """Remove the top-level control group ``name`` and all below it.

    Raises:
        PeerProblem: a process is still in one of them.
    """
    try:
        wait_for(lambda: _try_remove(name), timeout=END_SECONDS, what=f"control group {name} to be empty")
    except PeerProblem as error:
        raise PeerProblem(f"{error}: {', '.join(map(str, find(name)))}") from None


def remove_abandoned() -> None:
    """Remove control groups of test runs that were killed before they could.

    One whose processes the kernel has not yet ended is left to the next run.
    """
    for name in {name for name in _names() if run_names.is_abandoned(name)}:
        _try_remove(name)


def _names() -> Iterator[str]:
    """The names of all top-level control groups; other runs make and remove theirs meanwhile."""
    for path in (CONTROL_GROUPS, *CONTROL_GROUPS.iterdir()):
        with suppress(OSError):
            yield from (below.name for below in path.iterdir())


def _try_remove(name: str) -> bool:
    for top in find(name):
        # Busy for some milliseconds after its last process ended, or just gone; the caller asks again.
        with suppress(OSError):
            below = sorted((path for path in top.rglob("*") if path.is_dir()), reverse=True)
            for directory in (*below, top):
                directory.rmdir()
    return not find(name)
