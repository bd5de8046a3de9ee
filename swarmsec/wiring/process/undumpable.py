"""Keep what a process knows out of core dumps and away from other processes of its user, and say what cannot be kept.

A process that is not dumpable writes no core (prctl(2), PR_SET_DUMPABLE; core(5)), and only root may read its memory or
attach to it (ptrace(2)). The limit on cores says the same to children. Memory may still be swapped, and a machine that
sleeps writes all of it to its disk.
"""

from __future__ import annotations

import ctypes
import os
import resource
from contextlib import suppress
from pathlib import Path
from typing import Final

_PR_SET_DUMPABLE: Final = 4
_SWAPS: Final = Path("/proc/swaps")
_MAX_SWAPS: Final = 65_536


def forbid_dumps() -> None:
    """Let no core be written of this process, and nobody but root look into it.

    Raises:
        OSError: the kernel refuses; the program then must not go on.
    """
    with suppress(OSError, ValueError):
        # A unit that forbids changes of limits has set this one; what counts is below.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def swap_finding(swaps: Path = _SWAPS, groups: Path = Path("/sys/fs/cgroup")) -> str:
    """What to tell the operator of swap; empty where this process cannot be swapped.

    Args:
        swaps: as proc(5) describes ``/proc/swaps``.
        groups: where the control groups are mounted.
    """
    try:
        areas = [line.split()[0] for line in swaps.read_text()[:_MAX_SWAPS].splitlines()[1:] if line.strip()]
    except OSError:
        return ""
    if not areas or _may_not_swap(groups):
        return ""
    named = f"{areas[0]} and {len(areas) - 1} more" if len(areas) > 1 else areas[0]
    return f"memory of this process may be swapped to {named}; run it under its unit (MemorySwapMax=0), or encrypt swap"


def _may_not_swap(groups: Path) -> bool:
    """Whether a control group above this process keeps it from swap (cgroup v2, ``memory.swap.max``)."""
    try:
        (line,) = [line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")]
        own = groups / line.removeprefix("0::").lstrip("/")
        chain = [own, *own.parents]
        return any((place / "memory.swap.max").read_text().strip() == "0" for place in chain if _has_limit(place))
    except (OSError, ValueError):
        return False


def _has_limit(place: Path) -> bool:
    return (place / "memory.swap.max").is_file()
