"""systemd itself, as the first process of a container of its own, with accounts, state and units of its own.

The container is a set of namespaces (processes, mounts, control groups, names, a network of itself alone) over this
machine's own files: ``/run``, ``/opt`` and ``/var/lib`` are fresh, ``/etc`` has an account more, and the control groups
are below one of a test's name. What is mounted goes with the namespaces; the control groups are removed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.peers import control_groups, run_names
from tests.peers.errors import PeerProblem
from tests.peers.processes import ManagedProcess

PROGRAM: Final = "/opt/swarmsec/bin/swarmsec"
_PATIENCE: Final = 60.0
_ACCOUNTS: Final = ("passwd", "group")
_TARGETS: Final = ("sysinit", "basic", "shutdown", "network-online", "time-sync", "test")
_OUTSIDE: Final = """
# Version 1 has a hierarchy for each of these, version 2 one for all.
for hierarchy in "$groups" "$groups/systemd" "$groups/unified" "$groups/cpu" "$groups/memory" "$groups/pids" \\
        "$groups/devices"; do
    [ -e "$hierarchy/cgroup.procs" ] || continue
    mkdir "$hierarchy/$name" && echo $$ > "$hierarchy/$name/cgroup.procs" || exit 1
done
exec unshare --pid --mount --mount-proc --fork --kill-child --cgroup --uts --ipc --net sh -euc "$inside"
"""
"""Into a control group of its own, in each hierarchy that there is, and then into the namespaces."""
_INSIDE: Final = """
ip link set lo up
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/lock
mount --bind "$scratch/opt" /opt
mount --bind "$scratch/lib" /var/lib
for name in python packages source; do
    mount --bind "$scratch/$name" "/opt/swarmsec/$name"
done
for name in passwd group; do
    mount --bind "$scratch/etc/$name" "/etc/$name"
done
if [ -d /sys/fs/cgroup/systemd ]; then
    umount -R /sys/fs/cgroup
    mount -t tmpfs -o mode=755 tmpfs /sys/fs/cgroup
    for controller in cpu memory pids devices; do
        mkdir "/sys/fs/cgroup/$controller"
        mount -t cgroup -o "$controller" cgroup "/sys/fs/cgroup/$controller"
    done
    mkdir /sys/fs/cgroup/systemd /sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd,xattr cgroup /sys/fs/cgroup/systemd
    mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
else
    umount /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
fi
cp -r "$scratch/units" /run/units
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=test SYSTEMD_UNIT_PATH=/run/units \\
    /lib/systemd/systemd --system --unit=test.target --log-target=console --show-status=false --crash-reboot=no
"""


class Systemd:
    """A running systemd; leaving the context ends it and everything that it started.

    Args:
        scratch: an empty directory for its files.
        root: of the source tree, whose units and account it gets.
    """

    def __init__(self, scratch: Path, root: Path) -> None:
        self._scratch = scratch
        self._root = root
        self._group = run_names.new_prefix() + "systemd"
        self._process = ManagedProcess(
            ["sh", "-uc", _OUTSIDE],
            log=scratch / "systemd.log",
            environment={
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
                "groups": str(control_groups.CONTROL_GROUPS),
                "name": self._group,
                "scratch": str(scratch),
                "inside": _INSIDE,
            },
        )

    def __enter__(self) -> Self:
        control_groups.remove_abandoned()
        self._lay_out()
        try:
            self._process.start()
            self._process.wait_ready(self._is_up, timeout=_PATIENCE, what="systemd to be up")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the namespaces' first process, and with it all others."""
        self._process.stop(grace=0)
        control_groups.remove(self._group)

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program inside, to its end."""
        command = ["nsenter", f"--target={self._first()}", "--mount", "--pid", "--net", "--uts", "--ipc", "--", *argv]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)

    def check(self, *argv: str) -> str:
        """Run a program inside that must succeed; returns its output."""
        ended = self.run(*argv)
        if ended.returncode != 0:
            raise PeerProblem(f"{' '.join(argv)}: {ended.stdout}{ended.stderr}")
        return ended.stdout

    def property_of(self, unit: str, name: str) -> str:
        """One property of a unit, as ``systemctl show`` has it."""
        return self.check("systemctl", "show", "--value", f"--property={name}", unit).strip()

    def add_drop_in(self, unit: str, *lines: str) -> None:
        """What ``systemctl edit`` would write."""
        text = "\\n".join(("[Service]", *lines, ""))
        self.check("sh", "-c", f"mkdir -p /run/units/{unit}.d && printf '{text}' > /run/units/{unit}.d/test.conf")
        self.check("systemctl", "daemon-reload")

    def _is_up(self) -> bool:
        try:
            return self.run("systemctl", "is-active", "test.target").returncode == 0
        except PeerProblem:
            return False

    def _first(self) -> int:
        """The process that is the first one inside, as it is numbered outside."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        if not children:
            raise PeerProblem("expected systemd to be started")
        return int(children[0])

    def _lay_out(self) -> None:
        for name in ("opt/swarmsec/bin", "lib", "units", "etc"):
            (self._scratch / name).mkdir(parents=True)
        packages = Path(sysconfig.get_path("purelib"))
        for name, target in {"python": Path(sys.base_prefix), "packages": packages, "source": self._root}.items():
            (self._scratch / "opt/swarmsec" / name).mkdir()
            (self._scratch / name).symlink_to(target)
        self._lay_out_program()
        for unit in (self._root / "systemd").glob("*.service"):
            shutil.copy(unit, self._scratch / "units")
        for name in _TARGETS:
            (self._scratch / "units" / f"{name}.target").write_text("[Unit]\nDefaultDependencies=no\n")
        self._lay_out_accounts()

    def _lay_out_program(self) -> None:
        # In place of an environment: the interpreter may lie in root's own home, which the units do not show.
        program = self._scratch / "opt/swarmsec/bin/swarmsec"
        interpreter = f"/opt/swarmsec/python/bin/python{sysconfig.get_python_version()}"
        program.write_text(
            "#!/bin/sh\nexport PYTHONPATH=/opt/swarmsec/source:/opt/swarmsec/packages PYTHONDONTWRITEBYTECODE=1\n"
            "export LD_LIBRARY_PATH=/opt/swarmsec/python/lib\n"
            f'exec {interpreter} -m swarmsec "$@"\n'
        )
        program.chmod(0o755)

    def _lay_out_accounts(self) -> None:
        for name in _ACCOUNTS:
            shutil.copy(Path("/etc", name), self._scratch / "etc")
        definition = self._root / "systemd" / "swarmsec.sysusers"
        subprocess.run(["systemd-sysusers", f"--root={self._scratch}", definition], check=True, capture_output=True)
