"""How attempts to attach and detach ended whose process died: looked up in the service, and put on record."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Final

from swarmsec.audit.actions import Action
from swarmsec.clock import unix_seconds
from swarmsec.errors import NotFound, UsageProblem
from swarmsec.secretstore.names import SecretName
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import SERVICE
from swarmsec.services.secrets.attach_intents import OpenAttempt, conclude_attempt, unfinished_attempts
from swarmsec.services.secrets.attach_secret import NATIVE_MODE
from swarmsec.services.secrets.delivery_ports import SecretCarrier
from swarmsec.services.secrets.delivery_records import Attachment
from swarmsec.services.secrets.service_records import NAME_LABEL, ServiceState
from swarmsec.wiring.secrets.nativesecrets import NativeSecrets
from swarmsec.wiring.secrets.secretturns import SecretStore, is_abandoned

UNTOUCHED: Final = "interrupted before the service was changed"
GONE: Final = "the service is not there any more"


def abandoned_attempts(transaction: Transaction) -> list[OpenAttempt]:
    """The attempts without an outcome that nobody is at any more, oldest first."""
    now = unix_seconds(transaction.clock)
    return [attempt for attempt in unfinished_attempts(transaction) if is_abandoned(attempt.turn, now)]


def resolve_attempts(store: SecretStore, open_carrier: Callable[[], SecretCarrier]) -> list[OpenAttempt]:
    """Put on record how abandoned attempts ended, by what their services have now.

    Args:
        store: of the home.
        open_carrier: opens the manager's engine; asked only where there is something to find out.

    Returns:
        those that were concluded.

    Raises:
        Unavailable: Docker does not answer; the rest stays for another time.
    """
    resolved = []
    for attempt in store.read(abandoned_attempts):
        carrier = open_carrier()
        has_secret, failure = _judge(attempt, _service(carrier, attempt))
        if not has_secret:
            # Before its outcome: where Docker does not answer now, whoever comes next tidies up.
            _tidy_up(store, carrier, attempt)
        requester = replace(SERVICE, request_id=attempt.request_id)
        conclude = partial(
            conclude_attempt,
            attempt=attempt,
            requester=requester,
            failure=failure,
            has_secret=has_secret,
            resolved=True,
        )
        try:
            store.write(conclude)
        except NotFound:
            # Another replica was faster.
            continue
        resolved.append(attempt)
    return resolved


def remove_let_go(
    store: SecretStore,
    carrier: SecretCarrier,
    attachment: Attachment,
    *,
    request_id: str,
    report: Callable[[str], None],
) -> None:
    """Remove the Docker secrets that stood for an attachment, unless a service uses them.

    Args:
        store: of the home.
        carrier: the manager's engine.
        attachment: that the service has not any more.
        request_id: of the attempt that this is part of.
        report: takes a line for the operator.

    Raises:
        Unavailable: Docker does not answer.
    """
    _remove_unused(carrier, attachment.docker_secret, attachment.name)
    if attachment.mode == NATIVE_MODE:
        natives = NativeSecrets(name=SecretName.parse(attachment.name), carrier=carrier, report=report)
        natives.remove_let_go(store, attachment.service_id, request_id)


def _remove_unused(carrier: SecretCarrier, docker_secret: str, name: str) -> None:
    found = carrier.secret(docker_secret)
    if found is None or found.labels.get(NAME_LABEL) != name:
        return
    if not any(found.id in {used.secret_id for used in service.secrets} for service in carrier.services()):
        carrier.remove_secret(found.id)


def _service(carrier: SecretCarrier, attempt: OpenAttempt) -> ServiceState | None:
    with suppress(NotFound):
        return carrier.service(attempt.attachment.service_id)
    return None


def _judge(attempt: OpenAttempt, service: ServiceState | None) -> tuple[bool, str]:
    """Whether the service has the secret now, and why the attempt failed; empty if it did what it was to do."""
    made = attempt.attachment
    names = {reference.secret_name for reference in service.secrets} if service is not None else set()
    files = {(item.secret_name, item.target) for item in service.secrets} if service is not None else set()
    if attempt.action is Action.SECRET_DETACH:
        has_secret = made.docker_secret in names
        return has_secret, UNTOUCHED if has_secret else ""
    if service is None:
        return False, GONE
    has_secret = (made.docker_secret, made.target) in files
    return has_secret, "" if has_secret else UNTOUCHED


def _tidy_up(store: SecretStore, carrier: SecretCarrier, attempt: OpenAttempt) -> None:
    """Remove the Docker secret that nobody uses, unless somebody is about to."""
    others = (item for item in store.read(unfinished_attempts) if item.request_id != attempt.request_id)
    wanted = {item.attachment.docker_secret for item in others}
    if attempt.attachment.docker_secret not in wanted:
        # A service that comes to use one meanwhile keeps it.
        with suppress(UsageProblem):
            remove_let_go(store, carrier, attempt.attachment, request_id=attempt.request_id, report=lambda line: None)
