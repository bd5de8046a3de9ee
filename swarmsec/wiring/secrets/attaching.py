"""Attaching and detaching over a home and an engine: record, change the service, wait for its tasks, record again."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol

from swarmsec.clock import unix_seconds
from swarmsec.errors import Changed, NotFound, SwarmsecError, Unavailable, UsageProblem
from swarmsec.keys.signers import SealedKeys
from swarmsec.secretstore.names import SecretName
from swarmsec.services.ports import Transaction
from swarmsec.services.records import Lease
from swarmsec.services.requester import Requester
from swarmsec.services.secrets.attach_intents import conclude_attempt, find_attempt
from swarmsec.services.secrets.attach_secret import (
    NATIVE_MODE,
    AttachPlan,
    SecretFile,
    attached_spec,
    begin_attach,
    begin_detach,
    detached_spec,
    native_secret_name,
    verify_docker_secret,
    verify_mode,
)
from swarmsec.services.secrets.delivery_ports import SecretCarrier
from swarmsec.services.secrets.kept_secrets import find_secret, open_version
from swarmsec.services.secrets.service_records import FINGERPRINT_LABEL, NAME_LABEL
from swarmsec.storage.store import Store
from swarmsec.wiring.secrets.attachattempts import remove_let_go, resolve_attempts
from swarmsec.wiring.secrets.secretturns import SecretStore, this_process
from swarmsec.wiring.secrets.settling import Progress, wait_for_tasks

DOCKER_SECONDS: Final = 120
"""What Docker's answers before and after waiting may take, together."""


class Carrier(SecretCarrier, Protocol):
    """The engine, and the nodes of its Swarm."""

    def node_names(self) -> list[tuple[str, str]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attaching:
    """What attaching works with.

    Args:
        store: of the home.
        keys: the open key store.
        carrier: the manager's engine.
        requester: who asks.
        seconds: how long to wait for the service's tasks.
        on_progress: told how many tasks run with the secret, and how many there are to be.
        report: takes a line for the operator.
    """

    store: Store
    keys: SealedKeys
    carrier: Carrier
    requester: Requester
    seconds: float
    on_progress: Progress
    report: Callable[[str], None]

    def attach(self, name: SecretName, service_name: str, file: SecretFile, *, driver: str, mode: str) -> AttachPlan:
        """Attach a secret and wait until the service's tasks run with it.

        Raises:
            Denied: the policy gives it to no task of this service.
            Unavailable: Docker does not answer, or the tasks did not come up with it in time.
            NotFound, AlreadyExists, UsageProblem: as ``services.secrets.attach_secret`` says.
        """
        verify_mode(name, mode)
        self.resolve()
        requester = replace(self.requester, request_id=str(uuid.uuid4()))
        service, nodes = self.carrier.service(service_name), self.carrier.node_names()
        docker_secret = self._native_name(name) if mode == NATIVE_MODE else ""
        plan = self.store.write(
            lambda transaction: begin_attach(
                transaction,
                self.keys,
                name,
                service,
                file,
                nodes,
                requester,
                mode=mode,
                docker_secret=docker_secret,
                turn=self._turn(),
            )
        )
        with self._attempt(requester) as going:
            going.has_secret = False
            secret_id = self._docker_secret(plan, driver)
            with going.asking():
                self.carrier.change_service(service.id, lambda state, spec: attached_spec(state, spec, plan, secret_id))
            going.has_secret = True
            self._wait_for_tasks(service.id, secret_id)
        return plan

    def detach(self, name: SecretName, service_name: str) -> None:
        """Take a secret from a service, and the Docker secret away if no other service uses it.

        Docker keeps no former version either of one that no service has natively any more.

        Raises:
            NotFound: it is not attached there.
            Unavailable: Docker does not answer; where the service had let go already, the attempt is left to who
                comes next.
        """
        self.resolve()
        requester = replace(self.requester, request_id=str(uuid.uuid4()))
        service = self.carrier.service(service_name)
        found, label = self.store.write(
            lambda transaction: begin_detach(transaction, self.keys, name, service, requester, turn=self._turn())
        )
        with self._attempt(requester) as going:
            with going.asking():
                self.carrier.change_service(
                    service.id, lambda state, spec: detached_spec(spec, found.docker_secret, label)
                )
            self._wait_for_tasks(service.id, None)
            going.has_secret = False
            with going.asking(), _telling(name, service_name):
                remove_let_go(self.store, self.carrier, found, request_id=requester.request_id, report=self.report)

    def resolve(self) -> None:
        """Find out how attempts ended whose process died.

        Raises:
            Unavailable: Docker does not answer.
        """
        resolve_attempts(self.store, lambda: self.carrier)

    @contextmanager
    def _attempt(self, requester: Requester) -> Iterator[_Going]:
        """Put the outcome of an attempt on record, however it ends.

        Who dies here leaves that to others, and so does who got no answer of Docker to the change itself, or to the
        removal of what nobody uses after it.
        """
        going = _Going()

        def conclude(failure: str) -> None:
            self.store.write(
                lambda transaction: _conclude(transaction, requester, failure, has_secret=going.has_secret)
            )

        try:
            yield going
        except (Exception, KeyboardInterrupt) as error:
            if going.is_asking and not isinstance(error, NotFound | UsageProblem | Changed):
                raise
            conclude(str(error) if isinstance(error, SwarmsecError) else "interrupted")
            raise
        conclude("")

    def _turn(self) -> Lease:
        """This process, for as long as it may take: as long as it waits for tasks, and Docker's answers before that."""
        until = unix_seconds(self.store.clock) + int(self.seconds) + DOCKER_SECONDS
        return Lease(holder=this_process(), fence=0, expires=until)

    def _wait_for_tasks(self, service_id: str, secret_id: str | None) -> None:
        wait_for_tasks(self.carrier, service_id, secret_id, seconds=self.seconds, on_progress=self.on_progress)

    def _docker_secret(self, plan: AttachPlan, driver: str) -> str:
        if plan.mode == NATIVE_MODE:
            return native_secret(self.store, self.keys, self.carrier, plan.name, plan.version)
        found = self.carrier.secret(plan.docker_secret)
        if found is not None:
            return verify_docker_secret(found, plan.name, driver)
        return self.carrier.create_driver_secret(plan.docker_secret, {NAME_LABEL: plan.name.text}, driver)

    def _native_name(self, name: SecretName) -> str:
        kept = self.store.read(lambda transaction: find_secret(transaction, name))
        return native_secret_name(name, kept.record.current)


@dataclass(slots=True)
class _Going:
    """How far an attempt came.

    Args:
        has_secret: whether the service has the secret.
        is_asking: whether Docker was asked to change something and did not answer.
    """

    has_secret: bool = True
    is_asking: bool = False

    @contextmanager
    def asking(self) -> Iterator[None]:
        """While Docker is asked to change something."""
        self.is_asking = True
        yield
        self.is_asking = False


@contextmanager
def _telling(name: SecretName, service_name: str) -> Iterator[None]:
    """Say how far detaching came where Docker does not answer any more."""
    try:
        yield
    except Unavailable as error:
        raise Unavailable(
            f"{name} was taken from {service_name}, but its Docker secrets may still be there: {error}",
            hint="serve removes them once Docker answers, and so does the next secrets attach or detach",
        ) from error


def _conclude(transaction: Transaction, requester: Requester, failure: str, *, has_secret: bool) -> None:
    attempt = find_attempt(transaction, requester.request_id)
    if attempt is None:
        raise Changed("somebody else found out how this ended", hint="see: swarmsec audit log --action secret.attach")
    conclude_attempt(transaction, attempt, requester, failure=failure, has_secret=has_secret)


def native_secret(store: SecretStore, keys: SealedKeys, carrier: SecretCarrier, name: SecretName, version: int) -> str:
    """The id of the Docker secret that holds one version, which is made where there is none.

    Raises:
        AlreadyExists: a Docker secret of that name holds something else.
        NotFound: the version is not live.
        Unavailable: Docker does not answer.
    """
    kept = store.read(lambda transaction: find_secret(transaction, name))
    fingerprint = next((v.fingerprint for v in kept.versions if v.version == version), "")
    docker_name = native_secret_name(name, version)
    found = carrier.secret(docker_name)
    if found is not None:
        return verify_docker_secret(found, name, "", fingerprint=fingerprint)
    value = store.read(lambda transaction: open_version(transaction, keys, kept, version))
    try:
        return carrier.create_secret(docker_name, {NAME_LABEL: name.text, FINGERPRINT_LABEL: fingerprint}, value)
    finally:
        value.wipe()
