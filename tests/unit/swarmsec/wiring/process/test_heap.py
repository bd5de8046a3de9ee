"""Large blocks stay mapped by themselves, judged by glibc's own account of its heap."""

from __future__ import annotations

import subprocess
import sys

import pytest

_ACCOUNT = """
import ctypes, sys

class Account(ctypes.Structure):  # struct mallinfo2, mallinfo(3)
    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Account
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
if sys.argv[1] == "mapped":
    from swarmsec.wiring.process.heap import map_large_blocks
    map_large_blocks()
libc.free(libc.malloc(256 * 1024))
before = libc.mallinfo2().hblks
libc.malloc(256 * 1024)
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.parametrize(("how", "mapped"), [("as it is", 0), ("mapped", 1)])
def test_a_large_block_is_mapped_even_after_another_was_freed(how: str, mapped: int) -> None:
    counted = subprocess.run(
        [sys.executable, "-c", _ACCOUNT, how], capture_output=True, text=True, check=True, timeout=60
    )
    assert counted.stdout.strip() == str(mapped)
