"""The agent looks at a host: files as they are, links only where root alone could set them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from swarmsec.errors import Unavailable
from swarmsec.reports.host_report import Kind, Part, Purpose, encode_host_report
from swarmsec.wiring.reports.hostfacts import collect_host_facts, described
from swarmsec.wiring.reports.hostreading import MAX_ENTRIES, MAX_LINKS, HostTree

DAEMON = "dockerd\0-H\0unix:///var/run/docker.sock\0--tlsverify\0--data-root\0/srv/docker\0"
STATE = '{"ListenAddr":"0.0.0.0:2377","AdvertiseAddr":"10.0.0.1:2377","DataPathAddr":""}'
PORTS = "head\n 0: 00000000:0949 00000000:0000 0A 0\n 1: 00000000:0016 00000000:0000 0A 0\n"
SWAPS = "Filename Type Size Used Priority\n/dev/dm-1 partition 1 0 -2\n/swapfile file 1 0 -3\n"


def write(root: Path, path: str, text: str = "", mode: int = 0o644) -> Path:
    """A file below a root."""
    found = root / path.lstrip("/")
    found.parent.mkdir(parents=True, exist_ok=True)
    found.write_text(text)
    found.chmod(mode)
    return found


def open_descriptors() -> int:
    """How many this process has."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host with an engine, as far as files go."""
    host = tmp_path / "host"
    write(host, "/run/docker.pid", "77")
    write(host, "/proc/77/comm", "dockerd\n")
    write(host, "/proc/77/cmdline", DAEMON)
    write(host, "/proc/77/net/tcp", PORTS)
    write(host, "/proc/swaps", SWAPS)
    write(host, "/sys/devices/virtual/block/dm-1/dm/uuid", "CRYPT-LUKS2-x")
    (host / "sys/block").mkdir()
    (host / "sys/block/dm-1").symlink_to("../devices/virtual/block/dm-1")
    (host / "var").mkdir()
    (host / "var/run").symlink_to("/run")
    write(host, "/etc/docker/daemon.json", '{"log-level": "warn"}', 0o666)
    write(host, "/etc/docker/certs.d/registry.example/ca.crt", "", 0o444)
    write(host, "/srv/docker/swarm/docker-state.json", STATE)
    write(host, "/srv/docker/swarm/certificates/swarm-node.key", "KEY", 0o600)
    (host / "srv/docker/swarm").chmod(0o700)
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(host / "run")
        try:
            listener.bind("docker.sock")
        finally:
            os.chdir(here)
    return host


def test_a_host_is_found_as_it_is(root: Path) -> None:
    report = collect_host_facts(HostTree(root))

    assert report.problems == {}
    assert report.daemon is not None
    assert (report.daemon.log_level, report.daemon.tls_verify, report.daemon.tcp_hosts) == ("warn", True, [])
    found = {file.purpose: (file.path, file.kind, oct(file.mode)) for file in report.files or ()}
    assert found[Purpose.DAEMON_CONFIG] == ("/etc/docker/daemon.json", Kind.FILE, "0o666")
    assert found[Purpose.REGISTRY_CERTIFICATE][2] == "0o444"
    assert found[Purpose.SOCKET][:2] == ("/var/run/docker.sock", Kind.SOCKET)
    assert found[Purpose.SWARM_STATE] == ("/srv/docker/swarm", Kind.DIRECTORY, "0o700")
    assert found[Purpose.SWARM_KEY][2] == "0o600"
    assert [(item.address, item.port) for item in report.listeners or ()] == [("0.0.0.0", 2377)]
    assert report.swarm is not None
    assert report.swarm.advertise == "10.0.0.1:2377"
    assert [(swap.name, swap.is_safe) for swap in report.swaps or ()] == [("/dev/dm-1", True), ("/swapfile", False)]


def test_contents_of_keys_are_not_in_it_and_equal_hosts_are_equal_bytes(root: Path) -> None:
    data = encode_host_report(collect_host_facts(HostTree(root)))

    assert b"KEY" not in data
    assert encode_host_report(collect_host_facts(HostTree(root))) == data
    assert any("docker.sock" in what for what, _ in described(collect_host_facts(HostTree(root))))


def test_without_an_engine_it_says_so_and_still_looks(root: Path) -> None:
    (root / "run/docker.pid").unlink()
    report = collect_host_facts(HostTree(root))

    assert set(report.problems) == {Part.DAEMON, Part.LISTENERS}
    assert report.files
    assert report.daemon is None


@pytest.mark.parametrize(
    ("path", "text", "said"),
    [
        ("/run/docker.pid", "../77", "process id"),
        ("/run/docker.pid", "7" * 40, "at most 32 bytes"),
        ("/proc/77/comm", "sleep\n", "no running dockerd"),
        ("/etc/docker/daemon.json", "{", "daemon.json"),
    ],
)
def test_an_engine_that_cannot_be_understood_is_a_problem(root: Path, path: str, text: str, said: str) -> None:
    write(root, path, text)

    assert said in collect_host_facts(HostTree(root)).problems[Part.DAEMON]


def test_a_file_behind_a_link_is_never_looked_at(root: Path, tmp_path: Path) -> None:
    secret = write(tmp_path, "secret", "hidden", 0o777)
    (root / "etc/docker/daemon.json").unlink()
    (root / "etc/docker/daemon.json").symlink_to(secret)
    tree = HostTree(root)

    found = tree.look(Purpose.DAEMON_CONFIG, "/etc/docker/daemon.json")
    assert found is not None
    assert found.kind is Kind.LINK
    with pytest.raises(Unavailable, match="could not be read"):
        tree.read("/etc/docker/daemon.json", limit=100)


def test_a_link_on_the_way_leads_nowhere_outside_the_root(root: Path, tmp_path: Path) -> None:
    write(tmp_path, "out/file", "hidden")
    (root / "way").symlink_to("../../../../../../../../out")

    assert HostTree(root).read("/way/file", limit=100) is None


def test_a_link_that_others_could_have_set_is_not_followed(root: Path) -> None:
    (root / "shared").mkdir()
    (root / "shared/way").symlink_to("/etc")
    (root / "shared").chmod(0o777)

    with pytest.raises(Unavailable, match="not root's own"):
        HostTree(root).read("/shared/way/docker/daemon.json", limit=100)


def test_links_in_a_circle_end(root: Path) -> None:
    (root / "a").symlink_to("/b")
    (root / "b").symlink_to("/a")

    with pytest.raises(Unavailable, match=f"at most {MAX_LINKS} links"):
        HostTree(root).read("/a/file", limit=100)


def test_only_regular_files_are_read_and_none_without_end(root: Path) -> None:
    os.mkfifo(root / "pipe")
    write(root, "large", "x" * 101)
    tree = HostTree(root)

    with pytest.raises(Unavailable, match="regular file"):
        tree.read("/pipe", limit=100)
    with pytest.raises(Unavailable, match=r"regular file|could not be read"):
        tree.read("/etc", limit=100)
    with pytest.raises(Unavailable, match="at most 100 bytes"):
        tree.read("/large", limit=100)


def test_what_is_absent_is_no_problem(root: Path) -> None:
    tree = HostTree(root)

    assert tree.look(Purpose.DEFAULTS, "/etc/default/docker") is None
    assert tree.look(Purpose.DEFAULTS, "/run/docker.pid/below") is None
    assert tree.read("/nowhere/at/all", limit=1) is None
    assert tree.names("/nowhere") == []


def test_a_directory_without_end_is_refused(root: Path) -> None:
    for number in range(MAX_ENTRIES + 1):
        (root / "etc/docker/certs.d" / str(number)).touch()

    assert "at most" in collect_host_facts(HostTree(root)).problems[Part.FILES]


def test_no_descriptor_is_left_open(root: Path) -> None:
    collect_host_facts(HostTree(root))
    before = open_descriptors()
    collect_host_facts(HostTree(root))

    assert open_descriptors() == before
