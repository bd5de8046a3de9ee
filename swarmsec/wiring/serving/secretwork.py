"""What secrets ask of a server: values to be replaced on schedule, and what processes that died left half done.

It works in a thread of its own, for a service's tasks may take minutes. It needs a Docker Engine only where there is
something to do, and a server without one says so once and tries again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic, thread_time
from typing import Final, TypeVar

from swarmsec.clock import unix_seconds
from swarmsec.docker.engine import EngineApi
from swarmsec.docker.service_engine import DockerServices
from swarmsec.errors import SwarmsecError, describe
from swarmsec.keys.signers import SealedKeys
from swarmsec.secretstore.names import SecretName
from swarmsec.server.metrics import Metrics
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import SERVICE
from swarmsec.services.secrets.secret_ages import DueRotation, due_among, old_secrets
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.secrets.attachattempts import abandoned_attempts, resolve_attempts
from swarmsec.wiring.secrets.attaching import Carrier
from swarmsec.wiring.secrets.nativesecrets import NativeSecrets, ended_natively
from swarmsec.wiring.secrets.secretrotation import Rotating
from swarmsec.wiring.secrets.secretturns import HandedOver, is_abandoned, lease_of
from swarmsec.wiring.serving.rounds import Rounds, WrittenStore
from swarmsec.wiring.swarm.opening import find_home_endpoint

T = TypeVar("T")
ROUND_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 300.0
"""After something went wrong, a Docker Engine that did not answer for example."""
SERVICE_SECONDS: Final = 600.0
"""How long a scheduled rotation waits for each service's tasks."""
LOOK_SHARE: Final = 50
"""Of the processor time of a thread, one part in so many at most is spent on looking for old values."""
DRIVER: Final = "swarmsec"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is to be done now.

    Args:
        abandoned: the secrets whose rotation's process died.
        attempts: how many attempts to attach or detach were left by processes that died.
        ended: versions whose Docker secrets are to go, by native secret.
    """

    abandoned: Sequence[SecretName]
    attempts: int
    due: Sequence[DueRotation]
    ended: Mapping[SecretName, Sequence[int]]


class SecretWork:
    """Looks now and then what is to be done, and does it.

    Args:
        home: of the server.
        writer: of the server.
        keys: the open key store.
        metrics: told how many values are overdue.
        report: takes a line for the operator.
        open_carrier: opens the manager's engine.
    """

    def __init__(
        self,
        home: Home,
        writer: GroupWriter,
        keys: SealedKeys,
        metrics: Metrics,
        report: Callable[[str], None],
        open_carrier: Callable[[Home], Carrier] | None = None,
    ) -> None:
        self._home = home
        self._keys = keys
        self._metrics = metrics
        self._report = report
        self._open_carrier = open_carrier or _open_docker
        self._rounds = Rounds("secrets", home.store, writer)
        self._said: dict[str, str] = {}
        self._later: dict[str, float] = {}
        self._tidied: dict[SecretName, Sequence[int]] = {}
        """What is known to be gone from Docker, so that it is not asked again."""
        self._next_due_us = 0
        """When the ages of values are looked at again, in microseconds since boot."""

    async def keep_up(self) -> None:
        """Do what is to be done, for ever."""
        await self._rounds.keep_up(self.work, ROUND_SECONDS)

    async def close(self) -> None:
        """Stop; a rotation under way stays as it is, for the next server to go on with."""
        await self._rounds.close()

    def work(self, store: WrittenStore) -> None:
        """One round."""
        try:
            found = store.read(self._look)
            if found.attempts:
                resolve_attempts(store, lambda: self._open_carrier(self._home))
            for name in found.abandoned:
                self._try(name, partial(Rotating.take_over, name=name), store)
            for due in found.due:
                self._try(due.name, partial(Rotating.rotate_due, due=due, random=self._home.clock.random), store)
            for name, ended in found.ended.items():
                self._tidy(name, ended, store)
        except HandedOver:
            return
        except SwarmsecError as error:
            self._say("", f"what secrets ask for could not be done: {describe(error).text}")

    def _look(self, transaction: Transaction) -> Work:
        now = unix_seconds(transaction.clock)
        rotations = transaction.secret_rotations.all()
        self._metrics.secret_rotations_open.set(len(rotations))
        abandoned = [
            SecretName.parse(rotation.name)
            for rotation in rotations
            if is_abandoned(transaction.leases.find(lease_of(rotation.name)), now)
        ]
        attempts = len(abandoned_attempts(transaction))
        ended = {n: versions for n, versions in ended_natively(transaction).items() if self._tidied.get(n) != versions}
        return Work(abandoned=abandoned, attempts=attempts, due=self._due(transaction), ended=ended)

    def _due(self, transaction: Transaction) -> Sequence[DueRotation]:
        """The values to be replaced now, where it is time to look: many that are old take long to be read."""
        if transaction.clock.monotonic_us() < self._next_due_us:
            return ()
        began = thread_time()
        due = self._looked_through(transaction)
        took_us = int((thread_time() - began) * 1_000_000)
        self._next_due_us = transaction.clock.monotonic_us() + took_us * LOOK_SHARE
        return due

    def _looked_through(self, transaction: Transaction) -> Sequence[DueRotation]:
        overdue, due, now = 0, list[DueRotation](), unix_seconds(transaction.clock)
        for item in old_secrets(transaction):
            overdue += item.is_overdue
            due += due_among([item], now)
        self._metrics.secret_rotation_overdue.set(overdue)
        return due

    def _try(self, name: SecretName, do: Callable[[Rotating], object], store: WrittenStore) -> None:
        """Do one thing; what goes wrong is told once, and the other secrets' turn comes all the same."""
        if monotonic() < self._later.get(name.text, 0.0):
            return
        try:
            do(self._rotating(store))
        except SwarmsecError as error:
            self._later[name.text] = monotonic() + RETRY_SECONDS
            self._metrics.secret_rotations.labels("failed").inc()
            self._say(name.text, f"{name} was not rotated: {describe(error).text}")
        else:
            self._metrics.secret_rotations.labels("done").inc()
            self._said.pop(name.text, None)
            self._report(f"{name} was rotated")

    def _tidy(self, name: SecretName, ended: Sequence[int], store: WrittenStore) -> None:
        """Remove the Docker secrets of versions that ended; what has to stay for now is told once."""
        natives = NativeSecrets(
            name=name, carrier=self._open_carrier(self._home), report=lambda line: self._say(line, line)
        )
        if natives.remove_ended(store):
            self._tidied[name] = ended

    def _rotating(self, store: WrittenStore) -> Rotating:
        return Rotating(
            store=store,
            keys=self._keys,
            carrier=self._open_carrier(self._home),
            requester=SERVICE,
            driver=DRIVER,
            seconds=SERVICE_SECONDS,
            on_progress=self._pause_to_stop,
            report=self._report,
        )

    def _pause_to_stop(self, running: int, total: int) -> None:
        if self._rounds.stopping.is_set():
            raise HandedOver

    def _say(self, what: str, text: str) -> None:
        if self._said.get(what) != text:
            self._said[what] = text
            self._report(f"warning: {text}")


def _open_docker(home: Home) -> Carrier:
    return DockerServices(EngineApi(find_home_endpoint(home, None)))
