"""Docker Engines in swarm mode, one per host of a site.

Each engine has its own network, mount, process and host-name namespaces:

- process: the engine is process 1 of its namespace, so when it ends or is killed the kernel ends containerd, the
  shims and the containers with it. Nothing can be left running.
- mount: its own ``/run`` (so its own ``/run/docker/plugins``, exec root and shim sockets, all gone after a stop as
  after a restart of a machine) and an empty ``/etc/docker``, so a ``daemon.json`` of the machine does not take part.
- the containers' control groups hang under one parent of its own, which is removed afterwards.

The socket, the data root and ``/run/docker`` are also reached from outside, below ``Engine.directory``. There is no
way to a registry: images come from ``import_busybox_image``, to every engine whose tasks use them, and services are
best created with ``--no-resolve-image --detach``.
"""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.peers import control_groups, unix_http
from tests.peers.errors import PeerProblem
from tests.peers.images import build_busybox_layer
from tests.peers.namespaces import Host
from tests.peers.processes import END_SECONDS, HeldNamespace, ManagedProcess, ProcessIdentity, child_pids, wait_for
from tests.peers.swarm_files import NodeFiles, load_node_files

SEARCH_PATH = "/usr/bin:/usr/sbin:/bin:/sbin:/usr/local/bin:/usr/local/sbin"
START_SECONDS = 90.0
EXEC_ROOT = "/run/engine"
SLEEP_UNTIL_STOPPED = ["sh", "-c", "trap 'exit 0' TERM; sleep 86400 & wait"]
# What the address of a unix socket holds (unix(7)), and room for the longest one below an engine's directory.
LONGEST_SOCKET_PATH = 107
LONGEST_SOCKET_BELOW = len("/run/plugins/swarmsec-longer-name.sock")

_ENTER = """
echo "$1" > /proc/sys/kernel/hostname
mount -t tmpfs -o mode=0755 tmpfs /run
mkdir /run/docker
mount --bind "$2" /run/docker
mkdir -p /etc/docker
mount -t tmpfs tmpfs /etc/docker
shift 2
exec "$@"
"""


class Engine:
    """One Docker Engine.

    Args:
        host: where it runs; its name becomes the engine's host name.
        directory: kept between ``stop`` and ``start``; its path is short, because sockets live below it.
        options: further ones of ``dockerd``.
    """

    def __init__(self, host: Host, directory: Path, options: Sequence[str] = ()) -> None:
        if len(str(directory)) + LONGEST_SOCKET_BELOW > LONGEST_SOCKET_PATH:
            raise PeerProblem(f"expected a directory short enough for sockets below it, got {str(directory)!r}")
        self.host = host
        self.directory = directory
        self._options = tuple(options)
        self._control_group = host.namespace
        self._process_namespace: HeldNamespace | None = None
        self._process = ManagedProcess(self._command(), log=directory / "engine.log", forks_once=True)

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def address(self) -> str:
        """The IPv4 address of its host."""
        return self.host.address

    @property
    def socket(self) -> Path:
        """The socket of its API."""
        return self.directory / "docker.sock"

    @property
    def url(self) -> str:
        """The same for ``docker --host`` and ``swarm adopt --docker``."""
        return f"unix://{self.socket}"

    @property
    def data_root(self) -> Path:
        """The engine's ``--data-root``."""
        return self.directory / "data"

    @property
    def plugins(self) -> Path:
        """What the engine sees as ``/run/docker/plugins``: a driver that listens here is found by its file name."""
        return self.directory / "run" / "plugins"

    @property
    def control_socket(self) -> Path:
        """SwarmKit's own socket of a manager, which no certificate is needed for; it lives as long as the engine."""
        return Path(f"/proc/{self.pid}/root") / EXEC_ROOT.removeprefix("/") / "swarm" / "control.sock"

    def start(self) -> None:
        """Start it and return at once; ``wait_ready`` waits. It takes up its former state."""
        for path in (self.data_root, self.plugins, self.directory / "cli"):
            path.mkdir(parents=True, exist_ok=True)
        self._process.start()

    def wait_ready(self) -> None:
        """Wait until its API answers."""
        self._process.wait_ready(self._answers, timeout=START_SECONDS, what=f"engine {self.host.name} to answer")
        self._hold_namespace()

    @property
    def pid(self) -> int:
        """The process id of ``dockerd`` as seen from outside its namespace."""
        children = child_pids(self._process.pid)
        if len(children) != 1:
            raise PeerProblem(f"expected engine {self.host.name} to run")
        return children[0]

    @property
    def processes(self) -> frozenset[ProcessIdentity]:
        """All living processes of it: the engine, containerd, shims and what runs in containers."""
        return self._process.family()

    def stop(self) -> None:
        """Ask it to end, and take down whatever is left.

        Raises:
            PeerProblem: a process of it outlived that.
        """
        self._hold_namespace()
        self._process.stop(grace=20)
        self._verify_gone()

    def kill(self) -> None:
        """End it and all its tasks at once, as a power cut would."""
        kill_engines([self])

    def restart(self) -> None:
        """Stop it and start it again with its former state."""
        self.stop()
        self.start()
        self.wait_ready()

    def has_said(self, *words: str) -> bool:
        """Whether its log has any of these since its last start."""
        said = self._process.said()
        return any(word in said for word in words)

    def docker(
        self, *arguments: str, stdin: bytes | None = None, check: bool = True, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run the Docker command line against this engine.

        Args:
            arguments: without ``docker``.
            stdin: its standard input.
            check: whether an exit code other than 0 raises.
            timeout: seconds.

        Raises:
            PeerProblem: it failed, with what it said, and ``check`` is set.
        """
        command = [_program("docker"), "--config", str(self.directory / "cli"), "--host", self.url, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=timeout)
        text = subprocess.CompletedProcess(
            command, done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        )
        if check and text.returncode != 0:
            raise PeerProblem(f"docker {' '.join(arguments)}: exit code {text.returncode}, {text.stderr.strip()}")
        return text

    def api(self, method: str, path: str, body: Any = None) -> unix_http.Answer:
        """Send one request to its API; ``path`` as in ``/v1.41/nodes``, ``body`` goes as JSON."""
        return unix_http.request(self.socket, method, path, body=body)

    def command(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs ``argv`` in the engine's own mount and network namespaces."""
        return ["nsenter", f"--target={self.pid}", "--mount", "--net", "--", *argv]

    def swarm_init(self, *options: str) -> None:
        """Make it the first manager of a new swarm."""
        self.docker("swarm", "init", "--advertise-addr", self.address, *options)

    def swarm_join(self, manager: Engine, *, role: str = "worker") -> None:
        """Join the swarm of ``manager`` as ``worker`` or ``manager``."""
        token = manager.docker("swarm", "join-token", "--quiet", role).stdout.strip()
        join = ("swarm", "join", "--advertise-addr", self.address, "--token", token, f"{manager.address}:2377")
        done = self.docker(*join, check=False)
        # An engine waits 20 seconds, which a busy machine may take, and goes on by itself.
        if done.returncode != 0 and "will continue in the background" not in done.stderr:
            raise PeerProblem(f"docker swarm join: {done.stderr.strip()}")

    def swarm(self) -> Any:
        """The Swarm's description, by this manager: nobody gives one while there is no leader, after its end or a
        vote.
        """
        answer = wait_for(lambda: _good(self.api("GET", "/swarm")), timeout=END_SECONDS, what="a Swarm with a leader")
        return answer.json()

    def node_states(self) -> dict[str, str]:
        """Host name to state (``ready``, ``down`` …) of all nodes, as this manager sees them."""
        answer = wait_for(lambda: _good(self.api("GET", "/nodes")), timeout=END_SECONDS, what="a Swarm with a leader")
        # A node that is still joining has not described itself yet.
        return {node["Description"].get("Hostname", node["ID"]): node["Status"]["State"] for node in answer.json()}

    def wait_for_nodes(self, *names: str, timeout: float = 30) -> None:
        """Wait until exactly these nodes, by host name, are in the swarm and ready."""
        wanted = dict.fromkeys(names, "ready")
        wait_for(lambda: self.node_states() == wanted, timeout=timeout, what=f"ready nodes {', '.join(names)}")

    def node_certificate(self) -> NodeFiles:
        """The node's certificate, key and roots, as its files say now, or once it has written all of them."""
        return wait_for(self._whole_files, timeout=END_SECONDS, what=f"the files of node {self.host.name}")

    def _whole_files(self) -> NodeFiles | None:
        try:
            return load_node_files(self.data_root)
        except (OSError, ValueError):
            return None

    def import_busybox_image(self, name: str = "busybox:local", *, command: Sequence[str] = SLEEP_UNTIL_STOPPED) -> str:
        """Make an image of the machine's static busybox, which sleeps until it is stopped if not told otherwise.

        Process 1 of a container ignores a SIGTERM that it does not handle: a task that runs plain ``sleep`` makes
        ``stop`` wait for the whole stop grace period, ten seconds by default.

        Returns:
            the image's id.
        """
        layer = build_busybox_layer(_program("busybox"))
        done = self.docker("import", "--change", f"CMD {json.dumps(list(command))}", "-", name, stdin=layer)
        return done.stdout.strip()

    def push_busybox_image(self, name: str, command: Sequence[str]) -> str:
        """Make an image that runs a command, and push it.

        Returns:
            the digest that the engine says it has at its registry.
        """
        self.import_busybox_image(name, command=command)
        return "sha256:" + self.docker("push", name).stdout.rpartition("digest: sha256:")[2].split()[0]

    def _command(self) -> list[str]:
        engine = [
            _program("dockerd"),
            *("--data-root", str(self.data_root), "--exec-root", EXEC_ROOT, "--pidfile", "/run/engine.pid"),
            *("--host", self.url),
            *("--bridge=none", "--iptables=false", "--shutdown-timeout=2"),
            *("--exec-opt", "native.cgroupdriver=cgroupfs", f"--cgroup-parent=/{self._control_group}"),
            *self._options,
        ]
        isolate = ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc"]
        enter = ["sh", "-euc", _ENTER, "enter", self.host.name, str(self.directory / "run")]
        return self.host.command([*isolate, *enter, *engine])

    def _answers(self) -> bool:
        try:
            return self.api("GET", "/_ping").status == 200
        except (OSError, http.client.HTTPException):
            return False

    def _hold_namespace(self) -> None:
        """Keep its process namespace until nobody is in it; there is none yet where it was ended while it started."""
        if self._process_namespace is not None or not self._process.is_running:
            return
        for child in child_pids(self._process.pid):
            with suppress(OSError):
                self._process_namespace = HeldNamespace(child, "pid")

    def _verify_gone(self) -> None:
        if (namespace := self._process_namespace) is not None:
            self._process_namespace = None
            with namespace:
                what = f"no process of engine {self.host.name}"
                wait_for(lambda: not namespace.members(), timeout=END_SECONDS, what=what)
        control_groups.remove(self._control_group)
        self.socket.unlink(missing_ok=True)


StartEngines = Callable[..., list[Engine]]
"""What the fixture ``engines`` gives: host names to engines that answer, started side by side."""


def kill_engines(engines: Sequence[Engine]) -> None:
    """Kill all of them, then see that nothing of them is left.

    The kernel needs a second or two to take an engine's namespaces down; here they go side by side.
    """
    for engine in engines:
        engine._hold_namespace()
        engine._process.kill()
    for engine in engines:
        engine._verify_gone()


def _good(answer: unix_http.Answer) -> unix_http.Answer | None:
    return answer if answer.status == HTTPStatus.OK else None


def _program(name: str) -> str:
    """Debian's program first: another one of the same name may stand earlier in the caller's path."""
    path = shutil.which(name, path=SEARCH_PATH)
    if path is None:
        raise PeerProblem(f"expected the program {name}, found none; scripts/install-test-deps installs it")
    return path
