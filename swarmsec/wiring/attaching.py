"""Attaching and detaching over a home and an engine: record, change the service, wait for its tasks, record again."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol

from swarmsec.errors import SwarmsecError, Unavailable
from swarmsec.keys.signers import SealedKeys
from swarmsec.secretstore.names import SecretName
from swarmsec.services.attach_secret import (
    NATIVE_MODE,
    AttachPlan,
    SecretFile,
    attached_spec,
    begin_attach,
    begin_detach,
    conclude_attach,
    conclude_detach,
    detached_spec,
    verify_docker_secret,
)
from swarmsec.services.delivery_ports import SecretCarrier
from swarmsec.services.keep_secrets import find_secret, open_version
from swarmsec.services.requester import Requester
from swarmsec.services.service_records import NAME_LABEL, RUNNING, ServiceState
from swarmsec.storage.store import Store

POLL_SECONDS: Final = 0.25
_ENDED: Final = frozenset({"paused", "rollback_started", "rollback_paused", "rollback_completed"})


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
    """

    store: Store
    keys: SealedKeys
    carrier: Carrier
    requester: Requester
    seconds: float
    on_progress: Callable[[int, int], None]

    def attach(self, name: SecretName, service_name: str, file: SecretFile, *, driver: str, mode: str) -> AttachPlan:
        """Attach a secret and wait until the service's tasks run with it.

        Raises:
            Denied: the policy gives it to no task of this service.
            Unavailable: Docker does not answer, or the tasks did not come up with it in time.
            NotFound, AlreadyExists, UsageProblem: as ``services.attach_secret`` says.
        """
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
            )
        )
        failure, is_changed = "interrupted", False
        try:
            secret_id = self._docker_secret(plan, driver)
            self.carrier.change_service(service.id, lambda state, spec: attached_spec(state, spec, plan, secret_id))
            is_changed = True
            self.wait_for_tasks(service.id, secret_id)
            failure = ""
        except SwarmsecError as error:
            failure = str(error)
            raise
        finally:
            self.store.write(
                lambda transaction: conclude_attach(
                    transaction, plan, requester, failure=failure, is_changed=is_changed
                )
            )
        return plan

    def detach(self, name: SecretName, service_name: str) -> None:
        """Take a secret from a service, and the Docker secret away if no other service uses it.

        Raises:
            NotFound: it is not attached there.
            Unavailable: Docker does not answer.
        """
        requester = replace(self.requester, request_id=str(uuid.uuid4()))
        service = self.carrier.service(service_name)
        found, label = self.store.write(
            lambda transaction: begin_detach(transaction, self.keys, name, service, requester)
        )
        failure = "interrupted"
        try:
            self.carrier.change_service(service.id, lambda state, spec: detached_spec(spec, found.docker_secret, label))
            self.wait_for_tasks(service.id, None)
            self._remove_unused(found.docker_secret)
            failure = ""
        except SwarmsecError as error:
            failure = str(error)
            raise
        finally:
            self.store.write(lambda transaction: conclude_detach(transaction, found, requester, failure=failure))

    def wait_for_tasks(self, service_id: str, secret_id: str | None) -> None:
        """Wait until every task that shall run runs, made from the newest specification.

        Args:
            service_id: of the service.
            secret_id: the Docker secret that each must use; None for whatever.

        Raises:
            Unavailable: Docker rolled the update back or stopped it, or time is up.
        """
        deadline = time.monotonic() + self.seconds
        last_error = ""
        while True:
            service = self.carrier.service(service_id)
            tasks = self.carrier.tasks(service_id)
            force = _force_of(service)
            newest = [task for task in tasks if task.force_update == force]
            wanted = [task for task in tasks if task.desired_state in {RUNNING, "ready"}]
            running = [
                task
                for task in newest
                if task.state == RUNNING
                and task.desired_state == RUNNING
                and (secret_id is None or secret_id in {reference.secret_id for reference in task.secrets})
            ]
            last_error = next((task.error for task in newest if task.error), last_error)
            total = max(len(wanted), replicas_of(service))
            self.on_progress(len(running), total)
            if service.update_state in _ENDED:
                raise self._not_running(service, f"Docker ended the update: {service.update_state}", last_error)
            if len(running) == total and len(wanted) == len(running) and service.update_state in {"", "completed"}:
                return
            if time.monotonic() >= deadline:
                raise self._not_running(service, f"{len(running)} of {total} tasks run with it", last_error)
            time.sleep(POLL_SECONDS)

    def _docker_secret(self, plan: AttachPlan, driver: str) -> str:
        found = self.carrier.secret(plan.docker_secret)
        if found is not None:
            return verify_docker_secret(found, plan, driver)
        labels = {NAME_LABEL: plan.name.text}
        if plan.mode != NATIVE_MODE:
            return self.carrier.create_driver_secret(plan.docker_secret, labels, driver)
        value = self.store.read(
            lambda transaction: open_version(transaction, self.keys, find_secret(transaction, plan.name), plan.version)
        )
        try:
            return self.carrier.create_secret(plan.docker_secret, labels, value)
        finally:
            value.wipe()

    def _native_name(self, name: SecretName) -> str:
        """The Docker secret of one version: Docker's own secrets never change."""
        kept = self.store.read(lambda transaction: find_secret(transaction, name))
        suffix = f".v{kept.record.current}"
        return name.docker_name[: 64 - len(suffix)].rstrip("._-") + suffix

    def _remove_unused(self, docker_secret: str) -> None:
        found = self.carrier.secret(docker_secret)
        users = [service for service in self.carrier.services() if found and _uses(service, found.id)]
        if found is not None and not users:
            self.carrier.remove_secret(found.id)

    def _not_running(self, service: ServiceState, what: str, error: str) -> Unavailable:
        said = f"; the last task said: {error}" if error else ""
        return Unavailable(
            f"service {service.name}: {what}{said}", hint="why a task got no secret: swarmsec secrets events"
        )


def replicas_of(service: ServiceState) -> int:
    """How many tasks a replicated service is to have; 0 for other kinds, whose tasks are counted."""
    mode = service.spec.get("Mode")
    replicated = mode.get("Replicated") if isinstance(mode, dict) else None
    count = replicated.get("Replicas") if isinstance(replicated, dict) else None
    return count if isinstance(count, int) else 0


def _force_of(service: ServiceState) -> int:
    template = service.spec.get("TaskTemplate")
    force = template.get("ForceUpdate") if isinstance(template, dict) else None
    return force if isinstance(force, int) else 0


def _uses(service: ServiceState, secret_id: str) -> bool:
    return secret_id in {reference.secret_id for reference in service.secrets}
