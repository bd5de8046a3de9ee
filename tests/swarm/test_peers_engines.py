"""The Docker Engines that the tests start form a swarm, and leave nothing of themselves on the machine."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from tests.peers import control_groups
from tests.peers.engines import Engine, StartEngines
from tests.peers.errors import PeerProblem
from tests.peers.namespaces import NAMESPACES, Site
from tests.peers.processes import END_SECONDS, HeldNamespace, ManagedProcess, family_of, living, wait_for

ABANDON_A_SITE = """
import sys, time
from tests.peers.namespaces import Site
site = Site().__enter__()
site.add_host("h1")
print(site.namespaces[0], flush=True)
time.sleep(600)
"""

START_AN_ENGINE = """
import time
from pathlib import Path
from tests.peers.engines import Engine, StartEngines
from tests.peers.namespaces import Host
engine = Engine({host!r}, Path({directory!r}))
engine.start()
engine.wait_ready()
print(engine.pid, flush=True)
time.sleep(600)
"""


def test_hosts_reach_each_other_and_nothing_else(site: Site) -> None:
    first, second = site.add_host("h1"), site.add_host("h2")
    assert first.run(["ip", "route", "get", second.address]).returncode == 0
    assert first.run(["busybox", "ping", "-c1", "-W5", second.address]).returncode == 0
    assert first.run(["ip", "route", "show", "default"]).stdout == ""
    assert "unreachable" in first.run(["ip", "route", "get", "192.0.2.1"]).stderr


@pytest.mark.parametrize("name", ["", "UPPER", "a/b", "bridge", "a-name-that-is-too-long"])
def test_a_host_name_that_is_no_short_name_is_refused(site: Site, name: str) -> None:
    with pytest.raises(PeerProblem, match="short host name"):
        site.add_host(name)


def test_a_site_ends_without_namespaces() -> None:
    with Site() as site:
        host = site.add_host("h1")
        assert (NAMESPACES / host.namespace).exists()
        assert len(site.namespaces) == 2
    assert site.namespaces == []
    assert not (NAMESPACES / host.namespace).exists()


def test_a_caller_other_than_root_is_told_so() -> None:
    script = "import os; from tests.peers.namespaces import Site; os.setuid(65534); Site().__enter__()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "expected root to make network namespaces, got user id 65534" in done.stderr


def test_what_a_killed_run_left_is_removed_by_the_next() -> None:
    with subprocess.Popen([sys.executable, "-c", ABANDON_A_SITE], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        namespace = run.stdout.readline().strip()
        assert (NAMESPACES / namespace).exists()
        with Site():
            assert (NAMESPACES / namespace).exists()
        run.kill()
    with Site():
        assert not (NAMESPACES / namespace).exists()


def test_a_program_that_ends_early_is_reported_with_its_log(tmp_path: Path) -> None:
    process = ManagedProcess(["sh", "-c", "echo no such flag; exit 3"], log=tmp_path / "log")
    process.start()
    with pytest.raises(PeerProblem, match="the process ended\nno such flag"):
        process.wait_ready(lambda: False, timeout=10, what="an answer")
    process.stop()


def test_a_program_that_ignores_the_stop_signal_is_killed_with_its_children(tmp_path: Path) -> None:
    script = "trap '' TERM; setsid sh -c \"trap '' TERM; sleep 600 & wait\" & echo up; wait; wait"
    with ManagedProcess(["sh", "-c", script], log=tmp_path / "log") as process:
        wait_for(lambda: len(process.family()) == 3, timeout=60, what="a shell, its child and a sleep")
        family = process.family()
        process.stop(grace=0.2)
    assert not living(family)


def test_a_swarm_of_two_engines(engines: StartEngines) -> None:
    manager, worker = engines("m1", "w1")
    manager.swarm_init()
    worker.swarm_join(manager)
    manager.wait_for_nodes("m1", "w1")
    listed = manager.docker("node", "ls", "--format", "{{.Hostname}} {{.Status}}").stdout
    assert sorted(listed.splitlines()) == ["m1 Ready", "w1 Ready"]

    first, second = manager.node_certificate(), worker.node_certificate()
    assert (first.role, second.role) == ("swarm-manager", "swarm-worker")
    assert first.cluster_id == second.cluster_id == manager.swarm()["ID"]
    assert second.node_id == worker.api("GET", "/info").json()["Swarm"]["NodeID"]
    second.leaf.verify_directly_issued_by(second.roots[0])
    key = serialization.load_pem_private_key(first.key_pem, password=None)
    assert key.public_key() == first.leaf.public_key()


def test_tasks_run_and_an_engine_comes_back_after_a_power_cut(engines: StartEngines) -> None:
    (engine,) = engines("m1")
    engine.swarm_init()
    image = engine.import_busybox_image()
    assert image.startswith("sha256:")
    engine.docker("service", "create", "--detach", "--no-resolve-image", "--name", "shop", "busybox:local")
    wait_for(lambda: running_tasks(engine) == 1, timeout=90, what="a running task")

    node_id = engine.node_certificate().node_id
    engine.kill()
    engine.start()
    engine.wait_ready()
    wait_for(lambda: running_tasks(engine) == 1, timeout=90, what="a running task after the power cut")
    assert engine.node_certificate().node_id == node_id


def running_tasks(engine: Engine) -> int:
    return len(engine.docker("ps", "--quiet", "--filter", "label=com.docker.swarm.service.name=shop").stdout.split())


@pytest.mark.parametrize("end", [Engine.stop, Engine.kill])
def test_an_engine_ends_without_process_mount_control_group_or_socket(end: object) -> None:
    assert callable(end)
    with Site() as site, tempfile.TemporaryDirectory(prefix="ss-", dir="/tmp") as directory:
        engine = Engine(site.add_host("m1"), Path(directory) / "m1")
        with engine, ExitStack() as ended:
            held = [ended.enter_context(HeldNamespace(engine.pid, kind)) for kind in ("pid", "mnt")]
            engine.import_busybox_image()
            engine.docker("run", "--detach", "--network=host", "busybox:local")
            family = engine.processes
            assert len(family) >= 5, "unshare, dockerd, containerd, shim and the container's process"
            assert control_groups.find(site_group(site)) != []
            end(engine)
            assert not living(family)
            assert [namespace.members() for namespace in held] == [[], []]
        assert control_groups.find(site_group(site)) == []
        assert not engine.socket.exists()
        assert directory not in Path("/proc/self/mountinfo").read_text()
    assert not Path(directory).exists()


def site_group(site: Site) -> str:
    (host,) = (name for name in site.namespaces if not name.endswith("-bridge"))
    return host


def test_killing_the_test_run_kills_the_engine(site: Site, peer_directory: Path) -> None:
    host = site.add_host("m1")
    script = START_AN_ENGINE.format(host=host, directory=str(peer_directory / "m1"))
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        engine_pid = int(run.stdout.readline())
        family = family_of(engine_pid)
        assert len(family) >= 2, "dockerd and containerd"
        run.kill()
    wait_for(lambda: not living(family), timeout=END_SECONDS, what="the engine to end with the run that started it")
    control_groups.remove(host.namespace)


def test_a_plugin_that_listens_in_the_plugins_directory_is_seen_by_the_engine(engines: StartEngines) -> None:
    (engine,) = engines("m1")
    (engine.plugins / "probe.spec").write_text("unix:///nowhere.sock")
    seen = subprocess.run(engine.command(["ls", "/run/docker/plugins"]), capture_output=True, text=True, check=True)
    assert seen.stdout.split() == ["probe.spec"]


def test_a_directory_too_long_for_sockets_is_refused(site: Site, tmp_path: Path) -> None:
    with pytest.raises(PeerProblem, match="short enough for sockets"):
        Engine(site.add_host("m1"), tmp_path / ("long" * 20))


def test_a_refused_command_says_what_docker_said(engines: StartEngines) -> None:
    (engine,) = engines("m1")
    with pytest.raises(PeerProblem, match="not a swarm manager"):
        engine.docker("node", "ls")
    assert engine.docker("node", "ls", check=False).returncode == 1
    assert engine.api("GET", "/nodes").status == 503
