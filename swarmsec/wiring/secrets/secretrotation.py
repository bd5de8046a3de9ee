"""Rotating over a home and an engine: the steps of ``services.secrets.rotate_secret``, with Docker between them.

What a service has is asked of Docker each time, so that going on after a crash does what is left and no more. Where
Docker does not answer, the rotation stays open at its stage; only tasks that do not come up with the new value lead
back to the former one.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import assert_never

from swarmsec.clock import unix_seconds
from swarmsec.errors import Changed, Denied, NotFound, Unavailable, UsageProblem
from swarmsec.keys.signers import SealedKeys
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.generating import generate_value
from swarmsec.secretstore.names import SecretName
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import Requester
from swarmsec.services.secrets.kept_secrets import find_secret, open_version
from swarmsec.services.secrets.rotate_secret import (
    ServiceVersion,
    begin_retirement,
    begin_return,
    begin_roll,
    begin_rotation,
    conclude_return,
    conclude_roll,
    conclude_rotation,
    conclude_validation,
    ended_versions,
    find_rotation,
    publish_rotation,
    rotated_spec,
)
from swarmsec.services.secrets.secret_ages import DueRotation, age_of, due_among
from swarmsec.services.secrets.secret_rotation_records import Rotation, RotationStage, TouchedService
from swarmsec.wiring.secrets.attaching import Carrier
from swarmsec.wiring.secrets.nativesecrets import NativeSecrets
from swarmsec.wiring.secrets.secretturns import SecretStore, rotation_turn
from swarmsec.wiring.secrets.settling import Progress, TasksNotRunning, wait_for_tasks
from swarmsec.wiring.secrets.usingservices import UsingServices

Validate = Callable[[SecretBytes], None]
"""Judges a value; raises ``Denied`` for one that is not good."""
Begin = Callable[[Transaction, Requester], Rotation]
"""Puts a rotation on record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """How a rotation ended well.

    Args:
        services: the names of those whose tasks run with the new version.
        retired: the versions that are not given out any more.
    """

    name: SecretName
    version: int
    former: int
    services: tuple[str, ...]
    retired: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotating:
    """What rotating works with.

    Args:
        store: of the home.
        keys: the open key store.
        carrier: the manager's engine.
        requester: who asks.
        driver: what Docker calls the secret driver.
        seconds: how long to wait for each service's tasks.
        on_progress: told how a service's tasks come along.
        report: takes a line for the operator.
    """

    store: SecretStore
    keys: SealedKeys
    carrier: Carrier
    requester: Requester
    driver: str
    seconds: float
    on_progress: Progress
    report: Callable[[str], None]

    def rotate(
        self, name: SecretName, value: SecretBytes, validate: Validate | None, *, keep: int, generated: bool = False
    ) -> Rotated:
        """Replace the value of a secret in every service that uses it.

        Raises:
            Denied: the value was not found good, or the policy denies it to a native service; nothing was changed.
            Unavailable: tasks did not come up with it, and the former value is back; or Docker does not answer, and
                the rotation waits to be gone on with.
            NotFound, AlreadyExists, UsageProblem, SecretInvalid: as
                ``services.secrets.rotate_secret.begin_rotation`` says.
        """
        self.store.read(lambda transaction: find_secret(transaction, name))

        def begin(transaction: Transaction, requester: Requester) -> Rotation:
            return begin_rotation(
                transaction,
                self.keys,
                name,
                value,
                requester,
                validates=validate is not None,
                keep=keep,
                generated=generated,
            )

        return self._begun(name, begin, validate)

    def rotate_due(self, due: DueRotation, random: Callable[[int], bytes]) -> Rotated:
        """Replace a value drawn by chance, if a rotation policy still asks for it.

        Raises:
            Changed: the value is not due any more; somebody replaced it meanwhile.
            others: as ``rotate``.
        """

        def begin(transaction: Transaction, requester: Requester) -> Rotation:
            age = age_of(transaction, find_secret(transaction, due.name))
            if due not in due_among([age], unix_seconds(transaction.clock)):
                raise Changed(f"{due.name} is not due any more")
            value = generate_value(due.length, random)
            return begin_rotation(
                transaction, self.keys, due.name, value, requester, validates=False, keep=due.keep, generated=True
            )

        return self._begun(due.name, begin, None)

    def resume(self, name: SecretName, validate: Validate | None) -> Rotated:
        """Go on with a rotation that was interrupted, from where it stands.

        Raises:
            NotFound: none is under way.
            Denied: its value is still to be validated and ``validate`` is None, or was not found good.
            Unavailable: as ``rotate`` says.
        """
        rotation = self.store.read(lambda transaction: find_rotation(transaction, name))
        if rotation.stage is RotationStage.STAGED and validate is None:
            raise Denied(
                f"the new value of {name} is still to be validated", hint="give --validate again, or --rollback"
            )
        with self._joined(rotation)._turn(name) as held:
            return held._run(held.store.read(lambda transaction: find_rotation(transaction, name)), validate)

    def take_over(self, name: SecretName) -> None:
        """Go on with a rotation whose process died; one that was not validated yet is given up.

        Raises:
            Unavailable: as ``rotate`` says, or the way back was gone to its end.
        """
        rotation = self.store.read(lambda transaction: find_rotation(transaction, name))
        if rotation.stage is RotationStage.STAGED:
            self.roll_back(name, reason="interrupted before it was validated")
        else:
            self.resume(name, None)

    def roll_back(self, name: SecretName, *, reason: str = "asked for") -> Rotation:
        """Give a rotation up: the former version is current again, and every touched service has what it had.

        Raises:
            NotFound: none is under way.
            Unavailable: Docker does not answer, or tasks do not come up; asking again goes on.
        """
        rotation = self.store.read(lambda transaction: find_rotation(transaction, name))
        with self._joined(rotation)._turn(name) as held:
            held._return(held.store.read(lambda transaction: find_rotation(transaction, name)), reason)
        return rotation

    def _begun(self, name: SecretName, begin: Begin, validate: Validate | None) -> Rotated:
        asking = replace(self, requester=replace(self.requester, request_id=str(uuid.uuid4())))
        asking._using(name).show_plan()
        with asking._turn(name) as held:
            rotation = held.store.write(lambda transaction: begin(transaction, held.requester))
            return held._run(rotation, validate)

    @contextmanager
    def _turn(self, name: SecretName) -> Iterator[Rotating]:
        """This rotating, the only one at the secret."""
        with rotation_turn(self.store, name.text) as turn:

            def tell(running: int, total: int) -> None:
                turn.renew()
                self.on_progress(running, total)

            yield replace(self, store=turn, on_progress=tell)

    def _joined(self, rotation: Rotation) -> Rotating:
        return replace(self, requester=replace(self.requester, request_id=rotation.request_id))

    def _run(self, rotation: Rotation, validate: Validate | None) -> Rotated:
        match rotation.stage:
            case RotationStage.STAGED:
                return self._run(self._validated(rotation, validate), None)
            case RotationStage.VALIDATED:
                validated = rotation
                published = self.store.write(
                    lambda transaction: publish_rotation(transaction, validated, self.requester)
                )
                return self._run(published, None)
            case RotationStage.PUBLISHED:
                return self._retired(self._roll_out(rotation))
            case RotationStage.RETIRING:
                return self._retired(rotation)
            case RotationStage.RETURNING:
                self._return(rotation, "interrupted on its way back")
                raise Unavailable(f"{rotation.name} is back at version {rotation.former}")
            case _:
                assert_never(rotation.stage)

    def _validated(self, rotation: Rotation, validate: Validate | None) -> Rotation:
        name = SecretName.parse(rotation.name)
        value = self.store.read(
            lambda transaction: open_version(transaction, self.keys, find_secret(transaction, name), rotation.version)
        )
        try:
            if validate is not None:
                validate(value)
        except (Denied, UsageProblem) as error:
            self._return(rotation, str(error))
            raise
        finally:
            value.wipe()
        return self.store.write(lambda transaction: conclude_validation(transaction, rotation, self.requester))

    def _roll_out(self, rotation: Rotation) -> Rotation:
        name = SecretName.parse(rotation.name)
        using = self._using(name)
        try:
            for service in using.find():
                rotation = self._move(rotation, service, using.newest(rotation, service))
        except TasksNotRunning as error:
            # Read again: the service that failed is in the journal, and `rotation` may be from before that.
            self._return(self.store.read(lambda transaction: find_rotation(transaction, name)), str(error))
            raise Unavailable(f"{name} is back at version {rotation.former}: {error}", hint=error.hint) from None
        return rotation

    def _retired(self, rotation: Rotation) -> Rotated:
        """Take away what is beyond the number to keep, first here and then at Docker, and end the rotation."""
        name = SecretName.parse(rotation.name)
        retiring, gone = self.store.write(lambda transaction: begin_retirement(transaction, rotation, self.requester))
        self.store.truncate_write_ahead_log()
        ended = self.store.read(lambda transaction: ended_versions(transaction, retiring))
        self._natives(name).remove_unused(ended)
        self.store.write(lambda transaction: conclude_rotation(transaction, retiring, self.requester))
        return Rotated(
            name=name,
            version=rotation.version,
            former=rotation.former,
            services=tuple(sorted(service.service_name for service in rotation.services)),
            retired=gone,
        )

    def _move(self, rotation: Rotation, service: TouchedService, wanted: ServiceVersion) -> Rotation:
        """Give a service another version and wait until its tasks run with it."""
        is_return = rotation.stage is RotationStage.RETURNING
        if not is_return:
            former = rotation
            rotation = self.store.write(lambda transaction: begin_roll(transaction, former, service, self.requester))
        self.report(f"{service.service_name}: {'back to' if is_return else 'on its way to'} {_said(wanted)}")
        if not wanted.is_had_by(self.carrier.service(service.service_id)):
            self.carrier.change_service(service.service_id, lambda state, spec: rotated_spec(spec, wanted))
        wait_for_tasks(
            self.carrier,
            service.service_id,
            wanted.secret_id or None,
            seconds=self.seconds,
            on_progress=self.on_progress,
            is_return=is_return,
        )
        used = wanted.secret_name or service.docker_secret
        self.store.write(lambda transaction: conclude_roll(transaction, rotation, service, used, self.requester))
        return rotation

    def _return(self, rotation: Rotation, reason: str) -> None:
        """Bring back the former version, first as the current one, then in every service that was touched."""
        found = rotation
        returning = self.store.write(
            lambda transaction: begin_return(transaction, found, self.requester, reason=reason)
        )
        using = self._using(SecretName.parse(rotation.name))
        for service in returning.services:
            try:
                self._move(returning, service, using.former(service))
            except NotFound:
                self.report(f"{service.service_name} is not there any more")
        self._natives(using.name).remove_unused([rotation.version])
        self.store.write(lambda transaction: conclude_return(transaction, returning, self.requester, reason=reason))
        self.store.truncate_write_ahead_log()

    def _natives(self, name: SecretName) -> NativeSecrets:
        return NativeSecrets(name=name, carrier=self.carrier, report=self.report)

    def _using(self, name: SecretName) -> UsingServices:
        return UsingServices(
            name=name,
            store=self.store,
            keys=self.keys,
            requester=self.requester,
            carrier=self.carrier,
            driver=self.driver,
            report=self.report,
        )


def _said(wanted: ServiceVersion) -> str:
    return f"version {wanted.version}" if wanted.version else "the current version"
