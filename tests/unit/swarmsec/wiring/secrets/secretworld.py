"""A home with a secret and a Swarm in memory whose services use it, for the tests of rotation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from swarmsec.audit.entry import parse_entry
from swarmsec.keys.signers import SealedKeys
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.names import SecretName
from swarmsec.services.secrets.attach_secret import DRIVER_MODE, NATIVE_MODE, SecretFile
from swarmsec.services.secrets.deliver_secret import version_label
from swarmsec.services.secrets.keep_secrets import put_secret
from swarmsec.services.secrets.kept_secrets import find_secret, open_version
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.secrets.attaching import DOCKER_SECONDS, Attaching
from swarmsec.wiring.secrets.secretrotation import Rotating, Validate
from swarmsec.wiring.secrets.secretturns import LEASE_SECONDS
from tests.integration.clocks import StandingClock
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.wiring.pretend_swarm import PowerCut, PretendSwarm

NAME = SecretName.parse("team/app/db")
FILE = SecretFile(target="db", uid=0, gid=0, mode=0o400)
POLICY = """
apiVersion: swarmsec.dev/v1
kind: SecretAccessPolicy
metadata: {name: shop}
spec:
  rules:
    - {secrets: ["team/app/*"], services: ["shop_*"], effect: allow}
"""
MODES = pytest.mark.parametrize("mode", [DRIVER_MODE, NATIVE_MODE])


class DyingStore:
    """A store that loses power before or after its n-th write."""

    def __init__(self, home: Home, at: int, *, after: bool) -> None:
        self._store, self._at, self._after, self.writes = home.store, at, after, 0

    def write(self, unit: Callable[[Any], Any]) -> Any:
        self.writes += 1
        dies = self.writes == self._at
        if dies and not self._after:
            raise PowerCut
        done = self._store.write(unit)
        if dies:
            raise PowerCut
        return done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


@dataclass
class World:
    """A home with a secret, and a Swarm whose services use it."""

    home: Home
    keys: SealedKeys
    swarm: PretendSwarm
    said: list[str]
    clock: StandingClock

    @property
    def rotating(self) -> Rotating:
        return Rotating(
            store=self.home.store,
            keys=self.keys,
            carrier=self.swarm,
            requester=OPERATOR,
            driver="swarmsec",
            seconds=0,
            on_progress=lambda running, total: None,
            report=self.said.append,
        )

    def lose_power(self) -> None:
        """After a power cut it takes a while until somebody comes; leases do not last that long."""
        self.clock.seconds += max(LEASE_SECONDS, DOCKER_SECONDS)

    @property
    def attaching(self) -> Attaching:
        return Attaching(
            store=self.home.store,
            keys=self.keys,
            carrier=self.swarm,
            requester=OPERATOR,
            seconds=0,
            on_progress=lambda running, total: None,
            report=self.said.append,
        )

    def attach(self, service: str, mode: str) -> None:
        self.attaching.attach(NAME, service, FILE, driver="swarmsec", mode=mode)

    def references(self, service: str) -> list[dict[str, Any]]:
        """The Docker secrets in a service's specification."""
        container = self.swarm.spec(f"id-{service}")["TaskTemplate"]["ContainerSpec"]
        return list(container.get("Secrets") or [])

    def attached(self) -> list[str]:
        """The services that are on record as having the secret."""
        found = self.home.store.read(lambda transaction: transaction.attachments.of_secret(NAME.text))
        return [item.service_name for item in found]

    def rotate(self, value: bytes = b"new", validate: Validate | None = None, keep: int = 2) -> int:
        return self.rotating.rotate(NAME, SecretBytes(value), validate, keep=keep).version

    def put(self, value: bytes) -> None:
        self.home.store.write(
            lambda transaction: put_secret(transaction, self.keys, NAME, SecretBytes(value), OPERATOR)
        )

    def states(self) -> dict[int, str]:
        kept = self.home.store.read(lambda transaction: find_secret(transaction, NAME))
        return {version.version: version.state for version in kept.versions}

    @property
    def current(self) -> int:
        return self.home.store.read(lambda transaction: find_secret(transaction, NAME)).record.current

    def read_by(self, service: str) -> bytes:
        """What the tasks of a service read: as the driver would decide, or from Docker's own secret."""
        spec = self.swarm.spec(f"id-{service}")
        (reference,) = spec["TaskTemplate"]["ContainerSpec"]["Secrets"]
        if not self.swarm.kept[reference["SecretID"]]["Spec"].get("Driver"):
            return self.swarm.values[reference["SecretID"]]

        def unit(transaction: Any) -> bytes:
            label = spec.get("Labels", {}).get(version_label(transaction, self.keys, NAME))
            kept = find_secret(transaction, NAME)
            number = int(label) if label else kept.record.current
            return open_version(transaction, self.keys, kept, number).reveal()

        return self.home.store.read(unit)

    def current_value(self) -> bytes:
        """What the store gives out where nobody names a version."""

        def unit(transaction: Any) -> bytes:
            kept = find_secret(transaction, NAME)
            return open_version(transaction, self.keys, kept, kept.record.current).reveal()

        return self.home.store.read(unit)

    def is_open(self) -> bool:
        return self.home.store.read(lambda transaction: transaction.secret_rotations.get(NAME.text)) is not None

    def entries(self, action: str = "secret.rotate") -> list[dict[str, Any]]:
        with self.home.store.reading() as transaction:
            entries = [dict(parse_entry(stored.data)) for stored in transaction.log_entries.since(0)]
        return [entry for entry in entries if entry["action"] == action]
