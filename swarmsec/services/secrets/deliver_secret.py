"""Give a task its secret: hold the request against the manager, the records and the policy; log; then answer.

Nothing that the engine's request says is believed for itself, for its labels are written by whoever may make a
service. What decides is what the manager says of the task, what ``secrets attach`` put on record, and the secret access
documents in force. The entry is durable before the value leaves; so an entry may speak of a value that a dying driver
did not send, but no value leaves without its entry.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Self

from notary.errors import NotaryError
from notary.reference import ImageReference
from policies.decisions import Allowed, DenialCode, Denied
from policies.secret_access import SecretRequestFacts, decide_secret_access
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import AlreadyExists, NotFound, SwarmsecError, UsageProblem
from swarmsec.errors import Denied as DeniedError
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.envelope import frame
from swarmsec.secretstore.names import SecretName
from swarmsec.secretstore.versions import NONE, VersionState
from swarmsec.services.access.apply_policy import active_documents
from swarmsec.services.ports import Keys, Refusal, Transaction
from swarmsec.services.records import CertificateStatus
from swarmsec.services.requester import Field, Requester
from swarmsec.services.secrets.delivery_records import CheckedTask, RefusalKind, SecretRequest
from swarmsec.services.secrets.issue_task_secret import TaskIssuing, issue_task_secret
from swarmsec.services.secrets.kept_secrets import KeptSecret, find_secret, open_version
from swarmsec.services.secrets.secret_versions import fingerprint_key
from swarmsec.services.secrets.service_records import NAME_LABEL, VERSION_LABEL
from swarmsec.services.trust.judge_image import ImageJudge

_NAME_CONTEXT: Final = b"swarmsec/secret-name/v1"
_NAME_FINGERPRINT_BYTES: Final = 10
_MAX_VERSION_DIGITS: Final = 9
_FOUND_AGAINST: Final = (DeniedError, NotFound, UsageProblem, AlreadyExists)
EVENTS_HINT: Final = "see: swarmsec secrets events"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A value on its way, and which version it is; a certificate has a serial in place of a version."""

    name: SecretName
    version: int
    value: SecretBytes
    serial: str = ""
    entry: int = 0
    """The number of the log entry that says so."""


class DeliveryDenied(DeniedError):
    """A task was refused its secret; ``kind`` says why in a word."""

    def __init__(self, message: str, kind: RefusalKind) -> None:
        super().__init__(message, hint=EVENTS_HINT)
        self.refusal = kind


def deliver_secret(
    transaction: Transaction,
    keys: Keys,
    request: SecretRequest,
    task: CheckedTask,
    requester: Requester,
    *,
    judge: ImageJudge,
    requires_node_certificate: bool = False,
    issuing: TaskIssuing | None = None,
) -> Delivery:
    """Decide over a request and open the value.

    Args:
        transaction: of this unit; the caller answers after it is durable.
        keys: the open key store.
        request: as the engine sent it.
        task: what the manager says of the task.
        requester: the driver.
        judge: says whether the task's image is vouched for, where the deciding rule asks for it.
        requires_node_certificate: whether the task's node must hold a certificate of ours: true on an adopted Swarm.
        issuing: for secrets under ``pki/``; None where none are issued.

    Raises:
        Refusal: the request is denied; the reason is on record.
        RecordUnreadable: the value does not open.
    """
    refused = _Refused(request, requester)
    with refused(RefusalKind.REQUEST):
        name = secret_name_of(request)
    with refused(RefusalKind.TASK):
        _verify_task(request, task)
    with refused(RefusalKind.SECRET):
        kept = None if name.is_issued else find_secret(transaction, name)
    with refused(RefusalKind.NODE):
        _verify_node(transaction, task, required=requires_node_certificate)
    decision, hint = _decide(transaction, name, task, judge)
    if isinstance(decision, Denied):
        kind = RefusalKind.IMAGE if decision.code is DenialCode.IMAGE_NOT_TRUSTED else RefusalKind.POLICY
        with refused(kind):
            raise DeniedError(f"{decision.reason}{hint}{f': {decision.basis}' if decision.basis else ''}")
    with refused(RefusalKind.SECRET):
        if kept is None:
            delivery = _issued(transaction, issuing, name, request, task, requester)
        else:
            number = version_of(transaction, keys, kept, task)
            value = open_version(transaction, keys, kept, number)
            delivery = Delivery(name=name, version=number, value=value)
    fields = _fields(request, rule=str(decision.basis))
    if delivery.serial:
        fields["serial"] = delivery.serial
    target = ObjectRef(type="secret", name=name.text, version=delivery.version or None)
    entry = transaction.log(requester.event(Action.SECRET_DELIVER, target, fields=fields))
    return replace(delivery, entry=entry)


class _Refused:
    """Entered with a kind, it makes what is found against a request meanwhile a refusal of this kind.

    A class, for every delivery passes it several times: a generator takes ten times as long.
    """

    __slots__ = ("_kind", "_request", "_requester")

    def __init__(self, request: SecretRequest, requester: Requester) -> None:
        self._request = request
        self._requester = requester
        self._kind = RefusalKind.REQUEST

    def __call__(self, kind: RefusalKind) -> Self:
        self._kind = kind
        return self

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and isinstance(error, _FOUND_AGAINST):
            raise refuse_delivery(self._request, error, self._requester, self._kind) from None


def _issued(
    transaction: Transaction,
    issuing: TaskIssuing | None,
    name: SecretName,
    request: SecretRequest,
    task: CheckedTask,
    requester: Requester,
) -> Delivery:
    if issuing is None:
        raise NotFound(f"no certificates are issued here for {name}")
    made = issue_task_secret(transaction, issuing, request, task, requester)
    return Delivery(name=name, version=NONE, value=made.value, serial=made.serial)


def refuse_delivery(
    request: SecretRequest,
    error: SwarmsecError,
    requester: Requester,
    kind: RefusalKind,
    *,
    takes_back: int | None = None,
) -> Refusal:
    """Word a refusal for the engine and for the log.

    Args:
        request: as the engine sent it.
        error: why it is refused.
        requester: the driver.
        kind: why, in a word.
        takes_back: the number of an entry that says that the value was delivered, while it did not leave.
    """
    more: dict[str, Field] = {} if takes_back is None else {"takes_back": takes_back}
    target = ObjectRef(type="secret", name=request.secret_labels.get(NAME_LABEL, request.secret_name))
    event = requester.event(
        Action.SECRET_DELIVER,
        target,
        outcome=Outcome.DENIED,
        reason=str(error),
        fields=_fields(request, kind=kind.value, **more),
    )
    return Refusal(DeliveryDenied(str(error), kind), event)


def secret_name_of(request: SecretRequest) -> SecretName:
    """The secret that a request is about, by the label of its Docker secret.

    Raises:
        UsageProblem: the label is missing or no name, or the Docker secret is called differently.
    """
    text = request.secret_labels.get(NAME_LABEL)
    if text is None:
        raise UsageProblem(f"the Docker secret {request.secret_name!r:.80} has no label {NAME_LABEL}")
    return SecretName.parse(text)


def version_label(transaction: Transaction, keys: Keys, name: SecretName) -> str:
    """The label of a service that says which version of a secret its tasks get.

    The name is in it as a keyed fingerprint: service labels are read by more people than names of secrets are.
    """
    key = fingerprint_key(transaction, keys)
    # NOTE: ``hmac.digest`` lets go of the interpreter even for a few bytes, and to get it back takes far longer.
    digest = hmac.new(key.reveal(), frame(_NAME_CONTEXT, name.text.encode()), hashlib.sha256).digest()
    return VERSION_LABEL + digest[:_NAME_FINGERPRINT_BYTES].hex()


def version_of(transaction: Transaction, keys: Keys, kept: KeptSecret, task: CheckedTask) -> int:
    """The version for a task: the one that its service's label names, else the current one.

    Raises:
        UsageProblem: the label names no version.
        NotFound: it names one that a rotation has only prepared.
    """
    if not any(label.startswith(VERSION_LABEL) for label in task.service_labels):
        return kept.record.current
    text = task.service_labels.get(version_label(transaction, keys, SecretName.parse(kept.record.name)))
    if text is None:
        return kept.record.current
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_VERSION_DIGITS):
        raise UsageProblem(f"expected a version in the label of service {task.service_name}, got {text!r:.20}")
    number = int(text)
    if kept.state_of(number) is VersionState.PENDING:
        raise NotFound(f"version {number} of {kept.record.name} is not published yet")
    return number


def checked_labels(claimed: SecretRequest, present: dict[str, str], previous: dict[str, str]) -> dict[str, str]:
    """The labels of the specification that a task was made from.

    A task may be of the present specification of its service or, while an update or rollback runs, of the one before.
    The engine says which by the labels that it sends; they count only if they are one of the two.

    Raises:
        UsageProblem: they are neither.
    """
    for labels in (present, previous):
        if dict(claimed.service_labels) == labels:
            return labels
    raise UsageProblem("the labels in the request are not those of the service")


def _verify_task(request: SecretRequest, task: CheckedTask) -> None:
    pairs = (
        ("task", request.task_id, task.task_id),
        ("service", request.service_id, task.service_id),
        ("node", request.node_id, task.node_id),
    )
    for what, claimed, found in pairs:
        if not claimed or claimed != found:
            raise UsageProblem(f"the manager knows another {what} for this task: expected {claimed!r}, got {found!r}")


def _verify_node(transaction: Transaction, task: CheckedTask, *, required: bool) -> None:
    now = unix_seconds(transaction.clock)
    records = [r for r in transaction.certificates.by_subject(task.node_id) if r.profile.startswith("swarm-")]
    if any(r.status is CertificateStatus.VALID and now < r.not_after for r in records):
        return
    if records:
        raise DeniedError(f"node {task.node_id} holds no certificate that counts: revoked or expired")
    if required:
        raise DeniedError(f"node {task.node_id} holds no certificate of this authority")


def _decide(
    transaction: Transaction, name: SecretName, task: CheckedTask, judge: ImageJudge
) -> tuple[Allowed | Denied, str]:
    """Ask the policy, and the trust service where nothing but its word is missing; with what it said against."""
    documents = active_documents(transaction)
    decision = decide_secret_access(documents, _facts(transaction, name, task, image_trusted=False))
    if not (isinstance(decision, Denied) and decision.code is DenialCode.IMAGE_NOT_TRUSTED):
        return decision, ""
    judged = judge.judge(transaction, task.image, documents)
    if not judged.is_trusted:
        return decision, f" ({judged.standing}: {judged.reason})"
    return decide_secret_access(documents, _facts(transaction, name, task, image_trusted=True)), ""


def _facts(transaction: Transaction, name: SecretName, task: CheckedTask, *, image_trusted: bool) -> SecretRequestFacts:
    return SecretRequestFacts(
        secret=name.text,
        service=task.service_name,
        image=repository_of(task.image),
        nodes=(task.node_id, task.hostname) if task.hostname else (task.node_id,),
        labels=task.service_labels,
        attached=transaction.attachments.get(name.text, task.service_id) is not None,
        image_trusted=image_trusted,
    )


@lru_cache(maxsize=1024)
def repository_of(image: str) -> str | None:
    """The repository of an image as policies name it; None where the text names none."""
    try:
        return ImageReference.parse(image).repository
    except NotaryError:
        return None


def _fields(request: SecretRequest, **more: Field) -> dict[str, Field]:
    return {
        "task": request.task_id,
        "service": request.service_id,
        "service_name": request.service_name,
        "node": request.node_id,
        "image": request.task_image,
        **more,
    }
