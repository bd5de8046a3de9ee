"""Attach a secret to a service: the decision, what goes on record, and how the service's specification changes.

Before Docker is touched the attachment and its intent are durable, because the first task may ask for its secret before
Docker has answered us. When Docker has answered, the outcome is on record under the same request id; an attachment that
came to nothing is taken back. The intent holds all that it takes to find out how an attempt ended whose process died.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from policies.decisions import Allowed, Denied
from policies.secret_access import SecretRequestFacts, decide_secret_access
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import AlreadyExists, NotFound, UsageProblem
from swarmsec.errors import Denied as DeniedError
from swarmsec.secretstore.names import MAX_NAME, SecretName
from swarmsec.secretstore.versions import NONE
from swarmsec.services.access.apply_policy import active_documents
from swarmsec.services.ports import Keys, Refusal, Transaction
from swarmsec.services.records import Lease
from swarmsec.services.requester import Field, Requester
from swarmsec.services.secrets.attach_intents import record_attach, record_detach
from swarmsec.services.secrets.deliver_secret import repository_of, version_label
from swarmsec.services.secrets.delivery_records import Attachment
from swarmsec.services.secrets.kept_secrets import find_secret
from swarmsec.services.secrets.service_records import FINGERPRINT_LABEL, NAME_LABEL, DockerSecret, ServiceState
from swarmsec.services.trust.judge_image import ImageJudge

DRIVER_MODE: Final = "driver"
NATIVE_MODE: Final = "native"
MAX_MODE: Final = 0o7777
MAX_ID: Final = 2**31 - 1


NOBODY: Final = Lease(holder="", fence=0, expires=1)
"""At an attempt that nobody goes on with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretFile:
    """Where a task finds its secret: path, numeric owner and group, and mode."""

    target: str
    uid: int
    gid: int
    mode: int

    def __post_init__(self) -> None:
        if not 0 <= self.mode <= MAX_MODE or not (0 <= self.uid <= MAX_ID and 0 <= self.gid <= MAX_ID):
            raise UsageProblem("expected a mode of 0000 to 7777 and numeric ids")
        if not self.target or len(self.target) > 4096 or not self.target.isprintable():
            raise UsageProblem(f"expected a file name or path as target, got {self.target!r:.80}")
        # Two spellings of one path would be two files to us, and one to Docker.
        parts = self.target.removeprefix("/").split("/")
        if (not self.target.startswith("/") and len(parts) > 1) or not {"", ".", ".."}.isdisjoint(parts):
            raise UsageProblem(
                f"expected a file name or an absolute path without '.', '..' or '//' as target, got {self.target!r:.80}"
            )

    def members(self) -> dict[str, object]:
        """As Docker writes it; the mode is a number there."""
        return {"Name": self.target, "UID": str(self.uid), "GID": str(self.gid), "Mode": self.mode}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachPlan:
    """What attaching is going to do.

    Args:
        version: what tasks get; 0 for certificates, which have none.
        label: of the service, which names the version; empty for certificates.
    """

    request_id: str
    name: SecretName
    service_id: str
    service_name: str
    docker_secret: str
    version: int
    label: str
    file: SecretFile
    mode: str
    former: Attachment | None
    """What was on record before, which a failure brings back."""
    created: int

    @property
    def attachment(self) -> Attachment:
        """What goes on record."""
        return Attachment(
            name=self.name.text,
            service_id=self.service_id,
            service_name=self.service_name,
            docker_secret=self.docker_secret,
            target=self.file.target,
            mode=self.mode,
            created=self.created,
        )


def begin_attach(
    transaction: Transaction,
    keys: Keys,
    name: SecretName,
    service: ServiceState,
    file: SecretFile,
    nodes: Sequence[tuple[str, str]],
    requester: Requester,
    *,
    mode: str = DRIVER_MODE,
    docker_secret: str = "",
    turn: Lease = NOBODY,
) -> AttachPlan:
    """Decide, and put the intent and the attachment on record.

    Args:
        transaction: of this unit.
        keys: the open key store.
        name: of the secret.
        service: as the manager describes it.
        file: where its tasks shall find the secret.
        nodes: id and host name of every node that a task may be on.
        requester: who asks; its request id joins the intent and its outcome.
        mode: ``driver`` or ``native``.
        docker_secret: the name of the Docker secret; the name with dots without it.
        turn: which process is at it, and until when at most.

    Raises:
        NotFound: there is no such secret, or its current version is not live.
        UsageProblem: certificates cannot be kept by Docker.
        Refusal: the policy gives it to no task of this service; the refusal is on record.
    """
    verify_mode(name, mode)
    version = NONE if name.is_issued else find_secret(transaction, name).record.current
    target = ObjectRef(type="secret", name=name.text, version=version)
    fields: dict[str, Field] = {"service": service.id, "service_name": service.name, "mode": mode}
    denied = decide_attach(transaction, name, service, nodes)
    if denied is not None:
        raise attach_refusal(Action.SECRET_ATTACH, target, service, denied, fields, requester)
    plan = AttachPlan(
        request_id=requester.request_id,
        name=name,
        service_id=service.id,
        service_name=service.name,
        docker_secret=docker_secret or name.docker_name,
        version=version,
        label="" if name.is_issued else version_label(transaction, keys, name),
        file=file,
        mode=mode,
        former=transaction.attachments.get(name.text, service.id),
        created=unix_seconds(transaction.clock),
    )
    transaction.attachments.put(plan.attachment)
    record_attach(transaction, plan.request_id, plan.attachment, plan.former, version=version, turn=turn)
    transaction.log(requester.event(Action.SECRET_ATTACH, target, outcome=Outcome.INTENT, fields=fields))
    return plan


def attach_refusal(
    action: Action,
    target: ObjectRef,
    service: ServiceState,
    denied: Denied,
    fields: dict[str, Field],
    requester: Requester,
) -> Refusal:
    """Word the policy's refusal to give a secret to a service, for the caller and for the log."""
    why = f"{denied.reason}{f': {denied.basis}' if denied.basis else ''}"
    event = requester.event(action, target, outcome=Outcome.DENIED, reason=why, fields=fields)
    hint = f"see: swarmsec policy explain secret --secret {target.name} --service {service.name}"
    return Refusal(DeniedError(f"{target.name} may not go to service {service.name}: {why}", hint=hint), event)


def verify_mode(name: SecretName, mode: str) -> None:
    """Refuse what Docker itself would have to keep of certificates that are made for each task.

    Raises:
        UsageProblem: it would.
    """
    if name.is_issued and mode == NATIVE_MODE:
        raise UsageProblem(
            f"expected the driver for {name}, got --native", hint="its certificates are issued when tasks start"
        )


def native_secret_name(name: SecretName, version: int) -> str:
    """What the Docker secret of one version is called; Docker's own secrets never change, so each version has one."""
    suffix = f".v{version}"
    return name.docker_name[: MAX_NAME - len(suffix)].rstrip("._-") + suffix


def verify_docker_secret(found: DockerSecret, name: SecretName, driver: str, *, fingerprint: str = "") -> str:
    """Take up a Docker secret of the same name, if it stands for the same secret.

    Args:
        found: as the manager describes it.
        name: of the secret.
        driver: that gives its value; empty for one that Docker itself keeps.
        fingerprint: of its value, for one that Docker itself keeps.

    Returns:
        its id.

    Raises:
        AlreadyExists: it stands for something else.
    """
    claimed = found.labels.get(FINGERPRINT_LABEL, "").encode("utf-8", "surrogatepass")
    is_same_value = hmac.compare_digest(claimed, fingerprint.encode())
    if found.driver != driver or found.labels.get(NAME_LABEL) != name.text or not is_same_value:
        raise AlreadyExists(
            f"the Docker secret {found.name} is there already and is not {name}",
            hint=f"look at it with: docker secret inspect {found.name}",
        )
    return found.id


def attached_spec(state: ServiceState, spec: dict[str, Any], plan: AttachPlan, secret_id: str) -> dict[str, Any]:
    """A service's specification with the secret in it, its version in the labels, and its tasks made anew.

    Raises:
        UsageProblem: the service has the secret already with another file, or another secret in the same file.
    """
    for reference in state.secrets:
        same_file = _path(reference.target) == _path(plan.file.target)
        if reference.secret_id == secret_id and not same_file:
            # NOTE: a container has one file for each secret; the last reference's owner and mode win for all of them.
            raise UsageProblem(
                f"service {state.name} has {plan.name} at {reference.target} already; a task has each secret once"
                ", for all files of one share the last one's owner and mode",
                hint=f"take it away first: swarmsec secrets detach {plan.name} {state.name}",
            )
        if reference.secret_id != secret_id and same_file:
            raise UsageProblem(
                f"service {state.name} has the Docker secret {reference.secret_name} at {reference.target}",
                hint="choose another --target",
            )
    template = spec.setdefault("TaskTemplate", {})
    container = template.setdefault("ContainerSpec", {})
    others = [item for item in container.get("Secrets") or [] if item.get("SecretID") != secret_id]
    reference_members = {"File": plan.file.members(), "SecretID": secret_id, "SecretName": plan.docker_secret}
    container["Secrets"] = [*others, reference_members]
    if plan.label:
        spec["Labels"] = {**(spec.get("Labels") or {}), plan.label: str(plan.version)}
    return forced(spec)


def detached_spec(spec: dict[str, Any], docker_secret: str, label: str) -> dict[str, Any]:
    """A service's specification without the secret and its label, its tasks made anew."""
    container = spec.setdefault("TaskTemplate", {}).setdefault("ContainerSpec", {})
    container["Secrets"] = [item for item in container.get("Secrets") or [] if item.get("SecretName") != docker_secret]
    spec["Labels"] = {key: value for key, value in (spec.get("Labels") or {}).items() if key != label}
    return forced(spec)


def begin_detach(
    transaction: Transaction,
    keys: Keys,
    name: SecretName,
    service: ServiceState,
    requester: Requester,
    *,
    turn: Lease = NOBODY,
) -> tuple[Attachment, str]:
    """Find what is attached and say on record that it is about to be taken away.

    Returns:
        the attachment, and the service's label that goes with it.

    Raises:
        NotFound: the secret is not attached to this service.
    """
    found = transaction.attachments.get(name.text, service.id)
    if found is None:
        raise NotFound(f"{name} is not attached to service {service.name}", hint=f"see: swarmsec secrets show {name}")
    record_detach(transaction, requester.request_id, found, turn=turn)
    fields: dict[str, Field] = {"service": found.service_id, "service_name": found.service_name, "mode": found.mode}
    target = ObjectRef(type="secret", name=found.name)
    transaction.log(requester.event(Action.SECRET_DETACH, target, outcome=Outcome.INTENT, fields=fields))
    return found, version_label(transaction, keys, name)


def decide_attach(
    transaction: Transaction,
    name: SecretName,
    service: ServiceState,
    nodes: Sequence[tuple[str, str]],
) -> Denied | None:
    """The policy's answer for every node that a task may come to; None if one of them is enough for a task.

    Whether the service's image is vouched for now is told for the policy that asks; each task is asked about again.
    """
    documents = active_documents(transaction)
    image_trusted = ImageJudge().judge(transaction, service.image, documents).is_trusted
    answer: Denied | None = None
    for node_id, hostname in nodes or [("", "")]:
        decision = decide_secret_access(
            documents,
            SecretRequestFacts(
                secret=name.text,
                service=service.name,
                image=repository_of(service.image),
                nodes=tuple(filter(None, (node_id, hostname))) or None,
                labels=service.labels,
                attached=True,
                image_trusted=image_trusted,
            ),
        )
        if isinstance(decision, Allowed):
            return None
        answer = answer or decision
    return answer


def forced(spec: dict[str, Any]) -> dict[str, Any]:
    """A specification whose tasks are all made anew."""
    template = spec["TaskTemplate"]
    template["ForceUpdate"] = int(template.get("ForceUpdate") or 0) + 1
    return spec


def _path(target: str) -> str:
    return target if target.startswith("/") else f"/run/secrets/{target}"
