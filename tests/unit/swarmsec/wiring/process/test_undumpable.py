"""No core when aborted, nobody who looks in, and a word about swap."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from swarmsec.wiring.process.undumpable import swap_finding

_ABORT = """
import ctypes, os
from swarmsec.wiring.process.undumpable import forbid_dumps
forbid_dumps()
PR_GET_DUMPABLE = 3
print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), open("/proc/self/limits").read(), flush=True)
os.abort()
"""


def test_an_abort_leaves_no_core(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _ABORT]
    child = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdout is not None
    said = child.stdout.read().decode()
    child.stdout.close()
    _, status = os.waitpid(child.pid, 0)
    child.returncode = -os.WTERMSIG(status)

    assert (os.WTERMSIG(status), os.WCOREDUMP(status)) == (signal.SIGABRT, False)
    assert said.startswith("0 ")
    (limit,) = [line for line in said.splitlines() if line.startswith("Max core file size")]
    assert limit.split()[4:6] == ["0", "0"]
    assert list(tmp_path.iterdir()) == []


def test_swap_is_said_where_there_is_some(tmp_path: Path) -> None:
    swaps = tmp_path / "swaps"
    swaps.write_text("Filename Type Size Used Priority\n")
    assert swap_finding(swaps, tmp_path) == ""
    swaps.write_text("Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n/swapfile file 1 0 -3\n")
    assert "swapped to /dev/sda2 and 1 more" in swap_finding(swaps, tmp_path)
    assert swap_finding(tmp_path / "none", tmp_path) == ""
