"""The secret driver beside real engines: tasks get their secrets, and nobody else does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.peers.engines import Engine, StartEngines
from tests.peers.namespaces import Site
from tests.peers.processes import wait_for
from tests.peers.running_trees import contents_below
from tests.peers.secret_driver import DriverProcess
from tests.peers.swarmsec_host import SwarmsecHost

MARKER = "marker-8c1f0e-value"
NAME = "team/app/db"
DOCKER_NAME = "team.app.db"
LATE = "did not answer in time"
LABEL = f"io.swarmsec.name={NAME}"
POLICY = """
apiVersion: swarmsec.dev/v1
kind: SecretAccessPolicy
metadata: {name: shop}
spec:
  rules:
    - {secrets: ["team/app/*"], services: ["shop_*"], images: ["busybox"], requireAttached: false, effect: allow}
"""


@pytest.fixture
def authority(site: Site, peer_directory: Path) -> Iterator[SwarmsecHost]:
    """A home with one secret and a policy that gives it to the services of a shop."""
    with SwarmsecHost(site.add_host("ca"), peer_directory / "ca") as host:
        value = host.directory / "value"
        value.write_text(MARKER)
        value.chmod(0o600)
        host.run("secrets", "create", NAME, "--file", str(value), "--recovery-out", str(host.directory / "recovery"))
        policy = host.directory / "policy.yaml"
        policy.write_text(POLICY)
        host.run("policy", "apply", str(policy))
        yield host


@pytest.fixture
def manager(engines: StartEngines) -> Engine:
    """A Swarm of one."""
    (engine,) = engines("m1")
    engine.swarm_init()
    engine.import_busybox_image()
    return engine


GIVES_UP = ("--restart-max-attempts", "3")
"""For a service that is to be refused. Any other is tried until it runs: on a busy machine a delivery may be late."""


def make_service(
    engine: Engine, name: str, *options: str, image: str = "busybox:local", docker_secret: str = DOCKER_NAME
) -> None:
    """A service that wants the secret in a file of mode 0400."""
    secret = f"source={docker_secret},target=db,mode=0400"
    quick = ("--detach", "--no-resolve-image", "--restart-delay", "100ms")
    engine.docker("service", "create", *quick, "--name", name, "--secret", secret, *options, image)


def tasks_of(engine: Engine, name: str) -> list[dict[str, Any]]:
    filters = quote(json.dumps({"service": {name: True}}))
    return list(engine.api("GET", f"/v1.41/tasks?filters={filters}").json())


def states(engine: Engine, name: str) -> list[str]:
    return [str(task["Status"]["State"]) for task in tasks_of(engine, name)]


def errors_of(engine: Engine, name: str) -> list[str]:
    return [task["Status"]["Err"] for task in tasks_of(engine, name) if "Err" in task["Status"]]


def in_container(engine: Engine, name: str, *command: str) -> str:
    container = engine.docker("ps", "--quiet", "--filter", f"name={name}").stdout.split()[0]
    return engine.docker("exec", container, *command).stdout


def test_a_task_gets_its_secret_and_everybody_else_a_reason(
    authority: SwarmsecHost, manager: Engine, peer_directory: Path
) -> None:
    with DriverProcess(authority, manager) as driver:
        manager.docker("secret", "create", "--driver", "swarmsec", "--label", LABEL, DOCKER_NAME)

        make_service(manager, "shop_api")
        wait_for(lambda: "running" in states(manager, "shop_api"), timeout=60, what="a task with its secret")
        assert in_container(manager, "shop_api", "cat", "/run/secrets/db") == MARKER
        assert in_container(manager, "shop_api", "stat", "-c", "%a %u:%g", "/run/secrets/db").strip() == "400 0:0"

        make_service(manager, "stranger", *GIVES_UP)
        wait_for(lambda: "no rule allows it" in driver.log, timeout=60, what="a task without it")
        errors = wait_for(lambda: errors_of(manager, "stranger"), timeout=60, what="what Docker says of it")
        assert all("unable to get secret from secret store" in error for error in errors)

        entries = [json.loads(line) for line in authority.run("--json", "audit", "log").stdout.splitlines()]
        delivered = [entry for entry in entries if entry["action"] == "secret.deliver"]
        given = [entry for entry in delivered if entry["outcome"] == "success"]
        assert {entry["fields"]["service_name"] for entry in given} == {"shop_api"}
        refused = [entry for entry in delivered if entry["outcome"] == "denied" and LATE not in entry["reason"]]
        assert {entry["fields"]["service_name"] for entry in refused} == {"stranger"}
        assert {entry["reason"] for entry in refused} == {"no rule allows it"}

    # The value is where it belongs and nowhere else: not in raft, not in what Docker shows, not in our files.
    manager.docker("service", "rm", "shop_api", "stranger")
    shown = manager.docker("secret", "inspect", DOCKER_NAME).stdout
    assert MARKER not in shown + driver.log + authority.run("audit", "log").stdout
    (authority.directory / "value").unlink()
    for root in (manager.data_root / "swarm", authority.home):
        for file, content in contents_below(root):
            assert MARKER.encode() not in content, file


ATTACHED = POLICY.replace("requireAttached: false, ", "")


def test_a_secret_is_attached_and_taken_away_again(authority: SwarmsecHost, manager: Engine) -> None:
    policy = authority.directory / "policy.yaml"
    policy.write_text(ATTACHED)
    authority.run("policy", "apply", str(policy))
    for name in ("shop_api", "stranger"):
        manager.docker(
            *("service", "create", "--detach", "--no-resolve-image", "--replicas", "2", "--name", name),
            "busybox:local",
        )
    with DriverProcess(authority, manager):
        options = ("--docker", manager.url)
        denied = authority.run("secrets", "attach", NAME, "stranger", *options, check=False)
        assert (denied.returncode, "no rule allows it" in denied.stderr) == (1, True)
        assert manager.docker("secret", "ls", "--quiet").stdout == ""

        done = authority.json("secrets", "attach", NAME, "shop_api", "--mode", "0440", "--uid", "7", *options)
        assert (done["version"], done["target"], done["docker_secret"]) == (1, "db", DOCKER_NAME)
        assert in_container(manager, "shop_api", "cat", "/run/secrets/db") == MARKER
        assert in_container(manager, "shop_api", "stat", "-c", "%a %u:%g", "/run/secrets/db").strip() == "440 7:0"

        again = authority.run("secrets", "attach", NAME, "shop_api", "--target", "other", *options, check=False)
        assert (again.returncode, "a task has each secret once" in again.stderr) == (2, True)

        authority.run("secrets", "detach", NAME, "shop_api", *options)
        assert manager.docker("secret", "ls", "--quiet").stdout == ""
        assert authority.run("secrets", "detach", NAME, "shop_api", *options, check=False).returncode == 2
    assert authority.json("audit", "verify")["ok"]


def test_a_native_secret_needs_no_driver(authority: SwarmsecHost, manager: Engine) -> None:
    manager.docker("service", "create", "--detach", "--no-resolve-image", "--name", "shop_api", "busybox:local")
    done = authority.json("secrets", "attach", NAME, "shop_api", "--native", "--docker", manager.url)

    assert done["docker_secret"] == f"{DOCKER_NAME}.v1"
    assert in_container(manager, "shop_api", "cat", "/run/secrets/db") == MARKER
