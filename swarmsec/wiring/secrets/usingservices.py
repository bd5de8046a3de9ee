"""The services of a Swarm that use a secret, what each is to have of it, and the Docker secrets that stand for it.

They are found by the ids of those Docker secrets, never by a name; what they have is asked of Docker each time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from swarmsec.errors import Unavailable
from swarmsec.keys.signers import SealedKeys
from swarmsec.secretstore.names import SecretName
from swarmsec.services.requester import Requester
from swarmsec.services.secrets.attach_secret import DRIVER_MODE, NATIVE_MODE, native_secret_name
from swarmsec.services.secrets.deliver_secret import version_label
from swarmsec.services.secrets.rotate_secret import ServiceVersion, verify_allowed
from swarmsec.services.secrets.secret_rotation_records import Rotation, TouchedService
from swarmsec.services.secrets.service_records import NAME_LABEL, ServiceState
from swarmsec.wiring.secrets.attaching import Carrier, native_secret
from swarmsec.wiring.secrets.secretturns import SecretStore


@dataclass(frozen=True, slots=True, kw_only=True)
class UsingServices:
    """The services that use one secret.

    Args:
        name: of the secret.
        store: of the home.
        keys: the open key store.
        requester: who asks.
        carrier: the manager's engine.
        driver: what Docker calls the secret driver.
        report: takes a line for the operator.
    """

    name: SecretName
    store: SecretStore
    keys: SealedKeys
    requester: Requester
    carrier: Carrier
    driver: str
    report: Callable[[str], None]

    def newest(self, rotation: Rotation, service: TouchedService) -> ServiceVersion:
        """What a service is to have of the new version; a native one's Docker secret is made where there is none."""
        wanted = ServiceVersion(label=self._label(), version=str(rotation.version))
        if service.mode != NATIVE_MODE:
            return wanted
        return replace(
            wanted,
            secret_ids=self._docker_secrets(""),
            secret_id=native_secret(self.store, self.keys, self.carrier, self.name, rotation.version),
            secret_name=native_secret_name(self.name, rotation.version),
        )

    def former(self, service: TouchedService) -> ServiceVersion:
        """What a service had before.

        Raises:
            Unavailable: the Docker secret of a native one is gone.
        """
        wanted = ServiceVersion(label=self._label(), version=service.label)
        if service.mode != NATIVE_MODE:
            return wanted
        found = self.carrier.secret(service.docker_secret)
        if found is None:
            raise Unavailable(
                f"the Docker secret {service.docker_secret} that {service.service_name} used is gone",
                hint=f"attach it again: swarmsec secrets attach --native {self.name} {service.service_name}",
            )
        secret_ids = self._docker_secrets("")
        return replace(wanted, secret_ids=secret_ids, secret_id=found.id, secret_name=found.name)

    def find(self) -> Sequence[TouchedService]:
        """Every service that uses the secret, found by the ids of the Docker secrets that stand for it.

        A native service counts only if ``secrets attach`` gave it the secret: its new value goes into raft, and
        anybody may put our label on a Docker secret of his own.
        """
        label = self._label()
        driven, native = self._docker_secrets(self.driver), self._docker_secrets("")
        attached = self.store.read(lambda transaction: transaction.attachments.of_secret(self.name.text))
        native_services = {item.service_id for item in attached if item.mode == NATIVE_MODE}
        found = []
        for service in self.carrier.services():
            used = {reference.secret_id: reference.secret_name for reference in service.secrets}
            for mode, ids in ((DRIVER_MODE, driven), (NATIVE_MODE, native)):
                names = [docker_name for secret_id, docker_name in used.items() if secret_id in ids]
                if not names:
                    continue
                if mode == NATIVE_MODE and service.id not in native_services:
                    self.report(f"{service.name} uses {names[0]}, which nobody attached to it: it stays as it is")
                    continue
                found.append(_touched(service, mode, service.labels.get(label, ""), names[0]))
        return sorted(found, key=lambda service: service.service_name)

    def show_plan(self) -> None:
        """Say which services change; where the policy denies a native one, nothing begins.

        Raises:
            Denied: the policy gives the secret to no task of a native service; that is on record.
        """
        services = self.find()
        nodes = self.carrier.node_names()
        for service in services:
            self.report(f"{service.service_name} uses {self.name} ({service.mode})")
            if service.mode == NATIVE_MODE:
                state = self.carrier.service(service.service_id)
                self.store.write(
                    partial(verify_allowed, name=self.name, service=state, nodes=nodes, requester=self.requester)
                )
        if not services:
            self.report(f"no service uses {self.name}")

    def _docker_secrets(self, driver: str) -> frozenset[str]:
        found = self.carrier.secrets()
        return frozenset(s.id for s in found if s.driver == driver and s.labels.get(NAME_LABEL) == self.name.text)

    def _label(self) -> str:
        return self.store.read(lambda transaction: version_label(transaction, self.keys, self.name))


def _touched(service: ServiceState, mode: str, label: str, docker_secret: str) -> TouchedService:
    return TouchedService(
        service_id=service.id, service_name=service.name, mode=mode, label=label, docker_secret=docker_secret
    )
