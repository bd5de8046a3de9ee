"""Rotation on a real engine, of a driver's and of Docker's own secrets, by hand and on schedule.

New tasks read the new value, old ones keep theirs until the last of them is gone, and a value that tasks of any service
fail with goes away from all of them.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.names import SecretName
from swarmsec.services.secrets.keep_secrets import NewSecret, create_secret
from swarmsec.wiring.homes.home import open_home
from tests.integration.clocks import StandingClock
from tests.peers.engines import Engine
from tests.peers.processes import wait_for
from tests.peers.secret_driver import DriverProcess
from tests.peers.swarmsec_host import SwarmsecHost
from tests.swarm.test_secret_driver import DOCKER_NAME, MARKER, NAME, authority, manager
from tests.unit.swarmsec.homes import OPERATOR, private_files

__all__ = ["authority", "manager"]

NEW = "marker-77d3a1-new"
DRAWN = "team/app/key"
SERVICES = ("shop_api", "shop_web")
MONTH = 30 * 86_400
SCHEDULE = """
apiVersion: swarmsec.dev/v1
kind: RotationPolicy
metadata: {name: app}
spec:
  rules:
    - {secrets: ["team/app/key"], every: 30d, length: 64}
"""


def rotate(authority: SwarmsecHost, value: str, *options: str, engine: Engine) -> tuple[int, str]:
    file = authority.directory / "new-value"
    file.write_text(value)
    file.chmod(0o600)
    command = ("secrets", "rotate", NAME, "--file", str(file), "--docker", engine.url, *options)
    done = authority.run("--json", *command, check=False)
    file.unlink()
    return done.returncode, done.stdout + done.stderr


def make_service(engine: Engine, name: str) -> None:
    """Two tasks that end at once with a value that is bad for their service; rolls are as quick as Docker lets them."""
    script = f"if grep -q bad-{name} /run/secrets/db; then exit 3; fi; exec sleep 100000"
    quick = ("--update-monitor", "1s", "--rollback-monitor", "1s", "--stop-grace-period", "100ms")
    engine.docker(
        *("service", "create", "--detach", "--no-resolve-image", "--replicas", "2", "--name", name, *quick),
        *("--restart-delay", "200ms", "busybox:local", "sh", "-c", script),
    )


def versions(authority: SwarmsecHost) -> dict[int, str]:
    shown = authority.json("secrets", "versions", NAME)
    return {item["version"]: item["state"] + (" current" if item["current"] else "") for item in shown}


def values(engine: Engine, service: str, path: str = "/run/secrets/db") -> list[str]:
    """What each running task of a service reads; tasks that end meanwhile are left out."""
    found = []
    for container in engine.docker("ps", "--quiet", "--filter", f"name={service}").stdout.split():
        read = engine.docker("exec", container, "cat", path, check=False)
        found += [read.stdout] if read.returncode == 0 else []
    return found


def docker_secrets(engine: Engine) -> set[str]:
    return set(engine.docker("secret", "ls", "--format", "{{.Name}}").stdout.split())


@contextmanager
def watching(engine: Engine) -> Iterator[list[tuple[set[str], set[str]]]]:
    """Look again and again which Docker secrets there are, and what the tasks of the services read just after.

    In this order: a task that reads a value is there before, and so is its secret. Looks once more after the end.
    """
    seen: list[tuple[set[str], set[str]]] = []
    is_over = threading.Event()

    def look() -> None:
        is_last = False
        while not is_last:
            is_last = is_over.wait(0.2)
            there = docker_secrets(engine)
            seen.append(({value for service in SERVICES for value in values(engine, service)}, there))

    thread = threading.Thread(target=look)
    thread.start()
    wait_for(lambda: seen, timeout=60, what="a first look")
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


@pytest.mark.timeout(900)
def test_services_get_new_values_and_a_bad_one_goes_away(authority: SwarmsecHost, manager: Engine) -> None:
    for name in SERVICES:
        make_service(manager, name)
    with DriverProcess(authority, manager):
        authority.run("secrets", "attach", NAME, "shop_api", "--docker", manager.url)
        authority.run("secrets", "attach", NAME, "shop_web", "--native", "--mode", "0440", "--docker", manager.url)
        assert docker_secrets(manager) == {DOCKER_NAME, f"{DOCKER_NAME}.v1"}

        with watching(manager) as seen:
            code, said = rotate(authority, NEW, "--validate", "grep -q new", engine=manager)
        assert code == 0, said
        read_in_all = set().union(*(read for read, _ in seen))
        assert read_in_all == {MARKER, NEW}
        assert all(f"{DOCKER_NAME}.v1" in there for read, there in seen if MARKER in read)
        verify_values(manager, NEW)
        assert versions(authority) == {1: "live", 2: "live current"}

        code, said = rotate(authority, "bad", "--validate", "grep -q new", engine=manager)
        assert (code, "was not found good" in said) == (1, True), said
        assert versions(authority)[3] == "destroyed"

        # The driver's service takes it, Docker's own fails with it: both go back.
        code, said = rotate(authority, "bad-shop_web", engine=manager)
        assert (code, "is back at version 2" in said) == (3, True), said
        verify_values(manager, NEW)
        assert (versions(authority)[2], versions(authority)[4]) == ("live current", "deleted")
        assert f"{DOCKER_NAME}.v4" not in docker_secrets(manager)

        code, said = rotate(authority, "bad-shop_api", engine=manager)
        assert (code, "is back at version 2" in said) == (3, True), said
        verify_values(manager, NEW)
        spec = json.loads(manager.docker("service", "inspect", "shop_api").stdout)[0]["Spec"]
        assert [text for key, text in spec["Labels"].items() if key.startswith("io.swarmsec.version.")] == ["2"]

        code, said = rotate(authority, NEW + "er", "--keep", "1", engine=manager)
        assert code == 0, said
        verify_values(manager, NEW + "er")
        assert docker_secrets(manager) == {DOCKER_NAME, f"{DOCKER_NAME}.v2", f"{DOCKER_NAME}.v6"}
        container = manager.docker("ps", "--quiet", "--filter", "name=shop_web").stdout.split()[0]
        assert manager.docker("exec", container, "stat", "-c", "%a", "/run/secrets/db").stdout.strip() == "440"

        verify_killed(authority, manager)
        verify_schedule(authority, manager)
        authority.run("secrets", "detach", NAME, "shop_web", "--docker", manager.url)
        assert not {name for name in docker_secrets(manager) if name.startswith(f"{DOCKER_NAME}.v")}
    assert authority.json("audit", "verify")["ok"]


def verify_killed(authority: SwarmsecHost, manager: Engine) -> None:
    """Killed while tasks are made anew, a rotation goes on where it was, and attaching is finished by the next one."""
    docker = ("--docker", manager.url)
    file = authority.directory / "new-value"
    file.write_text("after a kill")
    file.chmod(0o600)
    rotating = ("secrets", "rotate", NAME, "--file", str(file), "--keep", "1", *docker)
    authority.kill_when_it_says("shop_web: on its way", *rotating)
    again = authority.run(*rotating, check=False)
    assert (again.returncode, "--resume" in again.stderr) == (2, True), again
    authority.run("secrets", "rotate", NAME, "--resume", *docker)
    verify_values(manager, "after a kill")
    assert docker_secrets(manager) == {DOCKER_NAME, f"{DOCKER_NAME}.v6", f"{DOCKER_NAME}.v7"}

    node = manager.docker("node", "ls", "--quiet").stdout.strip()
    for name, mode in (("shop_late", ()), ("shop_last", ("--native",))):
        make_service(manager, name)
        attaching = ("secrets", "attach", NAME, name, *mode, *docker)
        # It can be neither done nor given up while the node takes no new task.
        manager.docker("node", "update", "--availability", "pause", node)
        authority.kill_when_it_says("0 of 2 tasks run with it", *attaching)
        manager.docker("node", "update", "--availability", "active", node)
        authority.run(*attaching)
        read = wait_for(partial(two_values, manager, name), timeout=90, what=f"two tasks of {name}")
        assert set(read) == {"after a kill"}
        authority.run("secrets", "detach", NAME, name, *docker)
        manager.docker("service", "rm", name)
    entries = [json.loads(line) for line in authority.run("--json", "audit", "log").stdout.splitlines()]
    last = {entry["request_id"]: entry["outcome"] for entry in entries if "request_id" in entry}
    assert "intent" not in last.values()


def verify_values(engine: Engine, value: str) -> None:
    """Every task reads this value."""
    for name in SERVICES:
        read = wait_for(partial(two_values, engine, name), timeout=90, what=f"two tasks of {name}")
        assert set(read) == {value}


def two_values(engine: Engine, service: str) -> list[str]:
    """What the two tasks of a service read; empty while there are not two."""
    found = values(engine, service)
    return found if len(found) == 2 else []


def verify_schedule(authority: SwarmsecHost, manager: Engine) -> None:
    """A server replaces a value that was drawn a month ago, in the service that uses it."""
    authority.run("ca", "init")
    draw_a_month_ago(authority)
    policy = authority.directory / "schedule.yaml"
    policy.write_text(SCHEDULE)
    authority.run("policy", "apply", str(policy))
    authority.run("secrets", "attach", DRAWN, "shop_api", "--target", "key", "--docker", manager.url)
    assert set(values(manager, "shop_api", "/run/secrets/key")) == {"drawn a month ago"}
    assert authority.json("secrets", "show", DRAWN)["rotation"]["rule"] == "app rule 0"

    authority.environment["DOCKER_HOST"] = manager.url
    authority.serve()
    try:
        wait_for(lambda: f"{DRAWN} was rotated" in authority.log, timeout=60, what="the scheduled rotation")
    finally:
        authority.stop()
    (value,) = set(values(manager, "shop_api", "/run/secrets/key"))
    assert (len(value), value.isalnum()) == (64, True)


def draw_a_month_ago(authority: SwarmsecHost) -> None:
    clock = StandingClock(seconds=time.time() - MONTH - 60)
    with private_files(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWARMSEC_STATE", authority.environment["SWARMSEC_STATE"])
        home = open_home(authority.home, clock=clock)
        keys, value = home.keys(), SecretBytes(b"drawn a month ago")
        new = NewSecret(name=SecretName.parse(DRAWN), value=value, labels={}, generated=True)
        home.store.write(lambda transaction: create_secret(transaction, keys, new, OPERATOR))
        home.close()
