"""Rotate a secret: each step of the procedure as one unit, and how a service's specification changes.

The order is: stage (the new value is kept, pending), validate, publish (it is current), then service after service:
note what the service was, change it, settle on what its tasks run. Last, versions beyond the number to keep are
withdrawn. A step begins only when the one before it is durable, and each can be done again; so whoever finds the
journal after a crash goes on from its stage. Where tasks do not come up with the new value, the same way leads back:
the former version is current first, and then every touched service gets what it had.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Final

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import AlreadyExists, Changed, NotFound, UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.names import SecretName
from swarmsec.secretstore.versions import VersionState, verify_value
from swarmsec.services.log.keyed_hashes import hash_for_log
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.requester import Field, Requester
from swarmsec.services.secrets.attach_secret import attach_refusal, decide_attach, forced
from swarmsec.services.secrets.kept_secrets import KeptSecret, find_secret
from swarmsec.services.secrets.secret_rotation_records import Rotation, RotationStage, TouchedService
from swarmsec.services.secrets.secret_versions import add_version, change_history
from swarmsec.services.secrets.service_records import ServiceState

DEFAULT_KEEP: Final = 2
MAX_KEEP: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceVersion:
    """What a service is to have.

    Args:
        label: the key of its label that names a version.
        version: what the label says; empty for no label.
        secret_ids: the Docker secrets that may stand for the secret in a native service; empty in driver mode.
        secret_id: the one that it is to use, with its name; empty in driver mode.
    """

    label: str
    version: str
    secret_ids: Set[str] = frozenset()
    secret_id: str = ""
    secret_name: str = ""

    def is_had_by(self, service: ServiceState) -> bool:
        """Whether the service's specification says so already."""
        used = {reference.secret_id for reference in service.secrets} & self.secret_ids
        return service.labels.get(self.label, "") == self.version and used <= {self.secret_id}


def begin_rotation(
    transaction: Transaction,
    keys: Keys,
    name: SecretName,
    value: SecretBytes,
    requester: Requester,
    *,
    validates: bool,
    keep: int = DEFAULT_KEEP,
    generated: bool = False,
) -> Rotation:
    """Keep the new value as a pending version, and say on record what is about to happen.

    Args:
        transaction: of this unit.
        keys: the open key store.
        name: of the secret.
        value: 1 to 511,999 bytes.
        requester: who asks; its request id joins all entries of the rotation.
        validates: whether the value is to be validated before anybody gets it.
        keep: how many versions before the new one stay live, 1 to 100.
        generated: whether the value was drawn by chance.

    Raises:
        NotFound: there is no such secret.
        AlreadyExists: a rotation of it is under way.
        UsageProblem: its current version was withdrawn, so there is nothing to go back to.
        SecretInvalid: no bytes or too many.
    """
    verify_value(len(value))
    if not 1 <= keep <= MAX_KEEP:
        raise UsageProblem(f"expected 1 to {MAX_KEEP} versions to keep, got {keep}")
    kept = find_secret(transaction, name)
    if transaction.secret_rotations.get(name.text) is not None:
        raise AlreadyExists(
            f"a rotation of {name} is under way",
            hint=f"go on with: swarmsec secrets rotate {name} --resume, or go back with --rollback",
        )
    if kept.state_of(kept.record.current) is not VersionState.LIVE:
        raise UsageProblem(
            f"expected a live current version of {name} to go back to", hint=f"add one: swarmsec secrets put {name}"
        )
    hashed = hash_for_log(transaction, keys, value)
    grown = add_version(transaction, keys, kept, value, pending=True, generated=generated)
    rotation = Rotation(
        name=name.text,
        request_id=requester.request_id,
        started=unix_seconds(transaction.clock),
        stage=RotationStage.STAGED if validates else RotationStage.VALIDATED,
        version=grown.history.newest,
        former=kept.record.current,
        former_previous=kept.record.previous,
        keep=keep,
        services=(),
    )
    transaction.secret_rotations.put(rotation)
    _log(transaction, rotation, requester, "stage", outcome=Outcome.INTENT, value=hashed)
    return rotation


def verify_allowed(
    transaction: Transaction,
    name: SecretName,
    service: ServiceState,
    nodes: Sequence[tuple[str, str]],
    requester: Requester,
) -> None:
    """Ask the policy about a service into whose Swarm the new value itself would go, before anything begins.

    Raises:
        Refusal: it gives the secret to no task of this service; the refusal is on record.
    """
    denied = decide_attach(transaction, name, service, nodes)
    if denied is not None:
        fields: dict[str, Field] = {"step": "plan", "service": service.id, "service_name": service.name}
        target = ObjectRef(type="secret", name=name.text)
        raise attach_refusal(Action.SECRET_ROTATE, target, service, denied, fields, requester)


def find_rotation(transaction: Transaction, name: SecretName) -> Rotation:
    """The rotation of a secret that is under way.

    Raises:
        NotFound: there is none.
    """
    found = transaction.secret_rotations.get(name.text)
    if found is None:
        raise NotFound(f"no rotation of {name} is under way", hint=f"see: swarmsec secrets versions {name}")
    return found


def conclude_validation(transaction: Transaction, rotation: Rotation, requester: Requester) -> Rotation:
    """Note that the new value was found good."""
    return _advance(transaction, rotation, replace(rotation, stage=RotationStage.VALIDATED), requester, "validate")


def publish_rotation(transaction: Transaction, rotation: Rotation, requester: Requester) -> Rotation:
    """Make the new version current.

    Raises:
        Changed: another version became current since the rotation began.
    """
    kept = _find(transaction, rotation)
    if kept.record.current != rotation.former:
        raise Changed(
            f"expected version {rotation.former} of {rotation.name} to be current, got {kept.record.current}",
            hint=f"give the rotation up: swarmsec secrets rotate {rotation.name} --rollback",
        )
    change_history(transaction, kept, kept.history.published(rotation.version))
    return _advance(transaction, rotation, replace(rotation, stage=RotationStage.PUBLISHED), requester, "publish")


def begin_roll(transaction: Transaction, rotation: Rotation, service: TouchedService, requester: Requester) -> Rotation:
    """Note what a service is now, before it is changed; what was noted first stays."""
    services = rotation.services
    if rotation.touched(service.service_id) is None:
        services = (*services, service)
    changed = replace(rotation, services=services)
    return _advance(transaction, rotation, changed, requester, "roll", service=service, outcome=Outcome.INTENT)


def conclude_roll(
    transaction: Transaction, rotation: Rotation, service: TouchedService, docker_secret: str, requester: Requester
) -> None:
    """Note that every task of a service runs with the version it is to have.

    Args:
        transaction: of this unit.
        rotation: as it stands.
        service: whose tasks settled.
        docker_secret: the name of the Docker secret that it uses now.
        requester: who asks.
    """
    attachment = transaction.attachments.get(rotation.name, service.service_id)
    if attachment is not None and attachment.docker_secret != docker_secret:
        transaction.attachments.put(replace(attachment, docker_secret=docker_secret))
    _verify_present(transaction, rotation)
    step = "settle" if rotation.stage is RotationStage.PUBLISHED else "return"
    _log(transaction, rotation, requester, step, service=service)


def begin_return(transaction: Transaction, rotation: Rotation, requester: Requester, *, reason: str) -> Rotation:
    """Make the former version current again, before any service is moved back.

    Raises:
        UsageProblem: every service has the new one, and what they had before is being taken away.
    """
    if rotation.stage is RotationStage.RETIRING:
        raise UsageProblem(
            f"expected services that are still to be moved, got version {rotation.version} of {rotation.name} in all",
            hint=f"let it end: swarmsec secrets rotate {rotation.name} --resume",
        )
    kept = _find(transaction, rotation)
    if kept.record.current == rotation.version:
        history = replace(kept.history, current=rotation.former, previous=rotation.former_previous)
        change_history(transaction, kept, history)
    changed = replace(rotation, stage=RotationStage.RETURNING)
    return _advance(transaction, rotation, changed, requester, "return", outcome=Outcome.INTENT, reason=reason)


def conclude_return(transaction: Transaction, rotation: Rotation, requester: Requester, *, reason: str) -> None:
    """Give the rotation up: a version that was published is withdrawn, one that never was is destroyed."""
    kept = _find(transaction, rotation)
    was_pending = kept.state_of(rotation.version) is VersionState.PENDING
    numbers = [rotation.version]
    history = kept.history.destroyed(numbers) if was_pending else kept.history
    if history.state_of(rotation.version) is VersionState.LIVE:
        history = history.deleted(numbers)
    change_history(transaction, kept, history)
    _verify_present(transaction, rotation)
    transaction.secret_rotations.remove(rotation.name)
    _log(transaction, rotation, requester, "done", outcome=Outcome.FAILURE, reason=reason)


def begin_retirement(
    transaction: Transaction, rotation: Rotation, requester: Requester
) -> tuple[Rotation, tuple[int, ...]]:
    """Withdraw the versions beyond the number to keep, once every service settled; again, where that was interrupted.

    Returns:
        the rotation, and the versions that were withdrawn or destroyed; every one that nobody gets any more where that
        was interrupted, for then it may be done already.
    """
    kept = _find(transaction, rotation)
    retired = retired_versions(kept, rotation)
    history = kept.history.deleted(retired)
    surplus = history.surplus()
    change_history(transaction, kept, history.destroyed(surplus))
    gone = tuple(sorted({*retired, *surplus}))
    changed = replace(rotation, stage=RotationStage.RETIRING)
    _verify_present(transaction, rotation)
    transaction.secret_rotations.put(changed)
    numbers = [str(number) for number in gone]
    _log(transaction, changed, requester, "retire", outcome=Outcome.INTENT, retired=numbers)
    return changed, ended_versions(transaction, changed) if rotation.stage is RotationStage.RETIRING else gone


def conclude_rotation(transaction: Transaction, rotation: Rotation, requester: Requester) -> None:
    """End a rotation whose services all settled, and whose retired versions are gone from Docker too."""
    _verify_present(transaction, rotation)
    transaction.secret_rotations.remove(rotation.name)
    _log(transaction, rotation, requester, "done")


def ended_versions(transaction: Transaction, rotation: Rotation) -> tuple[int, ...]:
    """The versions before the new one that nobody gets any more, whoever withdrew them."""
    return tuple(number for number in _find(transaction, rotation).history.ended if number < rotation.version)


def retired_versions(kept: KeptSecret, rotation: Rotation) -> Sequence[int]:
    """The live versions beyond those to keep: the newest ``keep`` before the new one, and the previous one."""
    older = [v.number for v in kept.history.versions if v.number < rotation.version and v.state is VersionState.LIVE]
    spared = {kept.record.current, kept.record.previous, rotation.former}
    return [number for number in older[: -rotation.keep] if number not in spared]


def rotated_spec(spec: dict[str, Any], wanted: ServiceVersion) -> dict[str, Any]:
    """A service's specification with another version, its tasks made anew under its own update settings.

    An update that fails shall bring back what was there; where the service does not say what is to happen then, it
    says so from now on.
    """
    labels = {key: text for key, text in (spec.get("Labels") or {}).items() if key != wanted.label}
    spec["Labels"] = {**labels, wanted.label: wanted.version} if wanted.version else labels
    container = spec.setdefault("TaskTemplate", {}).setdefault("ContainerSpec", {})
    for reference in container.get("Secrets") or []:
        if reference.get("SecretID") in wanted.secret_ids:
            reference.update(SecretID=wanted.secret_id, SecretName=wanted.secret_name)
    update = spec.get("UpdateConfig") or {"Parallelism": 1}
    if not update.get("FailureAction"):
        update["FailureAction"] = "rollback"
    spec["UpdateConfig"] = update
    return forced(spec)


def _find(transaction: Transaction, rotation: Rotation) -> KeptSecret:
    return find_secret(transaction, SecretName.parse(rotation.name))


def _verify_present(transaction: Transaction, rotation: Rotation) -> None:
    if transaction.secret_rotations.get(rotation.name) != rotation:
        raise Changed(
            f"somebody else went on with the rotation of {rotation.name}",
            hint=f"see: swarmsec secrets versions {rotation.name}",
        )


def _advance(
    transaction: Transaction,
    rotation: Rotation,
    changed: Rotation,
    requester: Requester,
    step: str,
    *,
    service: TouchedService | None = None,
    outcome: Outcome = Outcome.SUCCESS,
    reason: str = "",
) -> Rotation:
    _verify_present(transaction, rotation)
    transaction.secret_rotations.put(changed)
    _log(transaction, changed, requester, step, service=service, outcome=outcome, reason=reason)
    return changed


def _log(
    transaction: Transaction,
    rotation: Rotation,
    requester: Requester,
    step: str,
    *,
    service: TouchedService | None = None,
    outcome: Outcome = Outcome.SUCCESS,
    reason: str = "",
    retired: Sequence[str] = (),
    value: str = "",
) -> None:
    fields: dict[str, Field] = {"step": step, "former": str(rotation.former)}
    if service is not None:
        fields |= {"service": service.service_id, "service_name": service.service_name, "mode": service.mode}
    if retired:
        fields["retired"] = list(retired)
    if value:
        fields["value"] = value
    target = ObjectRef(type="secret", name=rotation.name, version=rotation.version)
    transaction.log(requester.event(Action.SECRET_ROTATE, target, outcome=outcome, reason=reason, fields=fields))
