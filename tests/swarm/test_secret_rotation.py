"""Rotation on a real engine: new tasks read the new value, and a value that tasks fail with goes away again."""

from __future__ import annotations

import json
from pathlib import Path

from tests.peers.engines import Engine
from tests.peers.secret_driver import DriverProcess
from tests.peers.swarmsec_host import SwarmsecHost
from tests.swarm.test_secret_driver import DOCKER_NAME, MARKER, NAME, authority, in_container, manager

__all__ = ["authority", "manager"]

NEW = "marker-77d3a1-new"
BAD = "marker-bad-value"
SCRIPT = "if grep -q bad /run/secrets/db; then exit 3; fi; exec sleep 100000"


def rotate(authority: SwarmsecHost, value: str, *options: str, engine: Engine) -> tuple[int, str]:
    file = authority.directory / "new-value"
    file.write_text(value)
    file.chmod(0o600)
    command = ("secrets", "rotate", NAME, "--file", str(file), "--docker", engine.url, *options)
    done = authority.run("--json", *command, check=False)
    file.unlink()
    return done.returncode, done.stdout + done.stderr


def make_service(engine: Engine) -> None:
    engine.docker(
        *("service", "create", "--detach", "--no-resolve-image", "--replicas", "2", "--name", "shop_api"),
        *("--update-monitor", "3s", "--stop-grace-period", "1s", "busybox:local", "sh", "-c", SCRIPT),
    )


def versions(authority: SwarmsecHost) -> dict[int, str]:
    shown = authority.json("secrets", "versions", NAME)
    return {item["version"]: item["state"] + (" current" if item["current"] else "") for item in shown}


def test_the_driver_gives_new_tasks_the_new_value_and_a_bad_one_goes_away(
    authority: SwarmsecHost, manager: Engine, peer_directory: Path
) -> None:
    make_service(manager)
    with DriverProcess(authority, manager):
        authority.run("secrets", "attach", NAME, "shop_api", "--docker", manager.url)
        assert in_container(manager, "shop_api", "cat", "/run/secrets/db") == MARKER

        code, said = rotate(authority, NEW, "--validate", "grep -q new", engine=manager)
        assert code == 0, said
        assert in_container(manager, "shop_api", "cat", "/run/secrets/db") == NEW
        assert versions(authority) == {1: "live", 2: "live current"}

        code, said = rotate(authority, BAD, "--validate", "grep -q new", engine=manager)
        assert (code, "was not found good" in said) == (1, True), said
        assert versions(authority) == {1: "live", 2: "live current", 3: "destroyed"}

        code, said = rotate(authority, BAD, engine=manager)
        assert (code, "is back at version 2" in said) == (3, True), said
        assert in_container(manager, "shop_api", "cat", "/run/secrets/db") == NEW
        assert versions(authority)[4] == "deleted"
        assert versions(authority)[2] == "live current"
        spec = json.loads(manager.docker("service", "inspect", "shop_api").stdout)[0]["Spec"]
        assert [text for key, text in spec["Labels"].items() if key.startswith("io.swarmsec.version.")] == ["2"]
    assert authority.json("audit", "verify")["ok"]


def test_native_secrets_are_swapped_and_old_ones_go(authority: SwarmsecHost, manager: Engine) -> None:
    make_service(manager)
    authority.run("secrets", "attach", NAME, "shop_api", "--native", "--mode", "0440", "--docker", manager.url)

    code, said = rotate(authority, BAD, engine=manager)
    assert (code, "is back at version 1" in said) == (3, True), said
    assert in_container(manager, "shop_api", "cat", "/run/secrets/db") == MARKER
    assert _docker_secrets(manager) == {f"{DOCKER_NAME}.v1"}

    code, said = rotate(authority, NEW, "--keep", "1", engine=manager)
    assert code == 0, said
    assert in_container(manager, "shop_api", "cat", "/run/secrets/db") == NEW
    assert in_container(manager, "shop_api", "stat", "-c", "%a", "/run/secrets/db").strip() == "440"

    code, said = rotate(authority, NEW + "er", "--keep", "1", engine=manager)
    assert code == 0, said
    assert in_container(manager, "shop_api", "cat", "/run/secrets/db") == NEW + "er"
    assert _docker_secrets(manager) == {f"{DOCKER_NAME}.v3", f"{DOCKER_NAME}.v4"}
    authority.run("secrets", "detach", NAME, "shop_api", "--docker", manager.url)
    assert versions(authority) == {1: "deleted", 2: "deleted", 3: "live", 4: "live current"}


def _docker_secrets(engine: Engine) -> set[str]:
    return set(engine.docker("secret", "ls", "--format", "{{.Name}}").stdout.split())
