"""How the C library hands out memory to a process with thousands of connections.

uvloop takes 256 KiB to read into for each TLS connection, of which a page is ever written. glibc maps blocks of this
size by themselves, and the pages that nobody wrote take no memory. But once it has freed one, it takes blocks of that
size from the heap (mallopt(3), M_MMAP_THRESHOLD, "dynamic"), where pages were written before by others.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
LARGE_BLOCK: Final = 128 * 1024
"""glibc's own threshold before it moves, in bytes."""


def map_large_blocks() -> None:
    """Let each block of at least ``LARGE_BLOCK`` be mapped by itself for as long as the process runs.

    It is about memory alone, so a C library without this setting (musl) is left as it is.
    """
    with suppress(AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE_BLOCK)
