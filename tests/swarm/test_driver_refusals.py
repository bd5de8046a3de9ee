"""One adopted Swarm whose tasks are refused for each reason that the home knows, and an image from signature to end.

Engine, registry and authority are on one host, so that the registry is on the engine's own loopback. A passphrase seals
the home, so that its server can be locked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.engines import Engine, StartEngines
from tests.peers.processes import wait_for
from tests.peers.registry import Registry
from tests.peers.secret_driver import DriverProcess
from tests.peers.swarmsec_host import SwarmsecHost
from tests.swarm.adopting import adopt
from tests.swarm.test_remote_driver import (
    LONGEST_WRITE_RATIO,
    SECONDS,
    apply,
    denied,
    running,
    usual_write_cost,
    write_cost,
)
from tests.swarm.test_secret_driver import (
    DOCKER_NAME,
    GIVES_UP,
    LABEL,
    MARKER,
    NAME,
    POLICY,
    errors_of,
    in_container,
    make_service,
    states,
)

TRUSTED = POLICY.replace('images: ["busybox"]', "requireTrustedImage: true")


class Sealed:
    """An authority on an engine's host, sealed by a passphrase."""

    def __init__(self, host: SwarmsecHost) -> None:
        self.host = host
        self._passphrase = self._private("passphrase", "correct horse battery staple")
        recovery = ("--recovery-out", str(host.directory / "recovery"))
        host.run("--passphrase-file", self._passphrase, "ca", "init", "--seal", "passphrase", *recovery)

    def _private(self, name: str, text: str) -> str:
        path = self.host.directory / name
        path.write_text(text)
        path.chmod(0o600)
        return str(path)

    def keep_secret(self) -> None:
        self.host.run("secrets", "create", NAME, "--file", self._private("value", MARKER))

    def lock(self) -> None:
        """Start its server, which waits for the passphrase."""
        waits = self.host.log.count("locked: waiting")
        process = self.host.launch()
        process.wait_ready(lambda: self.host.log.count("locked: waiting") > waits, timeout=SECONDS, what="the lock")

    def unlock(self) -> None:
        listens = self.host.log.count("listening on ")
        self.host.run("--passphrase-file", self._passphrase, "unlock")
        wait_for(lambda: self.host.log.count("listening on ") > listens, timeout=SECONDS, what="the server to listen")


@pytest.fixture
def manager(engines: StartEngines) -> Engine:
    (engine,) = engines("m1")
    engine.import_busybox_image()
    engine.swarm_init()
    return engine


@pytest.fixture
def sealed(manager: Engine, peer_directory: Path) -> Iterator[Sealed]:
    with SwarmsecHost(manager.host, peer_directory / "ca") as host:
        made = Sealed(host)
        made.lock()
        made.unlock()
        yield made


def sleeping(first: str = "") -> list[str]:
    """A command that does something, and sleeps until it is stopped."""
    return ["sh", "-c", f"trap 'exit 0' TERM; {first} sleep 86400 & wait"]


def test_each_refusal_has_its_reason_and_no_other_write_waits(
    manager: Engine, sealed: Sealed, peer_directory: Path
) -> None:
    authority = sealed.host
    adopt(authority, manager.url)
    sealed.keep_secret()
    usual = usual_write_cost(manager)

    def refused(service: str, reason: str, image: str = "busybox:local") -> None:
        make_service(manager, service, *GIVES_UP, image=image)
        verify_writes(manager, usual)
        denied(authority, manager, service, reason)

    with (
        Registry(peer_directory / "registry", inside=manager.host.command) as registry,
        DriverProcess(authority, manager, is_remote=True) as driver,
    ):
        manager.docker("secret", "create", "--driver", "swarmsec", "--label", LABEL, DOCKER_NAME)
        refused("shop_lawless", "no secret access policy")

        authority.run("trust", "init", "--yes")
        apply(authority, TRUSTED)
        name = f"{registry.host}/shop/api"
        good = f"{name}@{manager.push_busybox_image(f'{name}:1', sleeping())}"
        other = f"{name}@{manager.push_busybox_image(f'{name}:2', sleeping('true;'))}"
        authority.run("image", "sign", f"{name}:1")
        make_service(manager, "shop_signed", image=good)
        running(manager, "shop_signed", 1)
        assert in_container(manager, "shop_signed", "cat", "/run/secrets/db") == MARKER

        refused("shop_unsigned", "unsigned", other)
        authority.run("image", "revoke", f"{name}:1", "--reason", "leaked a key")
        refused("shop_withdrawn", "was revoked: leaked a key", good)
        # What runs keeps what it has.
        assert states(manager, "shop_signed").count("running") == 1

        apply(authority, POLICY)
        make_service(manager, "shop_good")
        running(manager, "shop_good", 1)
        node = manager.docker("node", "ls", "--quiet").stdout.strip()
        authority.run("ca", "revoke", node, "--reason", "keyCompromise")
        refused("shop_evicted", "holds no certificate that counts")

        authority.stop()
        sealed.lock()
        make_service(manager, "shop_locked", *GIVES_UP)
        verify_writes(manager, usual)
        wait_for(lambda: errors_of(manager, "shop_locked"), timeout=SECONDS, what="a task without its secret")
        assert "running" not in states(manager, "shop_locked")
        assert "could not be asked" in driver.log
        sealed.unlock()
        assert authority.json("audit", "verify")["ok"]
        assert MARKER not in driver.log + authority.log


def verify_writes(manager: Engine, usual: float) -> None:
    """Writes of the Swarm take what they took: one that waits for a driver that stands still takes far longer."""
    taken = write_cost(manager)
    assert taken < usual * LONGEST_WRITE_RATIO, (usual, taken)
