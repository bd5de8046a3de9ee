"""Docker's JSON of services, tasks and secrets, taken apart into values: lenient with members that nobody needs.

Shapes: Docker Engine API 1.40 and later, ``GET /services``, ``/tasks`` and ``/secrets``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar

from swarmsec.docker.swarm_objects import members_of, object_version, required_text, sub_members, text_of
from swarmsec.errors import SwarmsecError, Unavailable
from swarmsec.services.secrets.service_records import DockerSecret, SecretReference, ServiceState, TaskState

T = TypeVar("T")


def parse_service(document: object) -> ServiceState:
    """``GET /services/ID`` or one entry of ``GET /services``.

    Raises:
        Unavailable: it is not that.
    """
    service = members_of(document, "/services")
    spec = members_of(service.get("Spec"), "Spec of /services")
    container = sub_members(sub_members(spec, "TaskTemplate"), "ContainerSpec")
    update = sub_members(service, "UpdateStatus")
    return ServiceState(
        id=required_text(service, "ID", "/services"),
        version=object_version(service),
        name=required_text(spec, "Name", "Spec of /services"),
        labels=_labels(spec),
        previous_labels=_labels(sub_members(service, "PreviousSpec")),
        image=text_of(container, "Image"),
        secrets=_references(container),
        update_state=text_of(update, "State"),
        update_message=text_of(update, "Message"),
        spec=spec,
    )


def parse_task(document: object) -> TaskState:
    """``GET /tasks/ID`` or one entry of ``GET /tasks``.

    Raises:
        Unavailable: it is not that.
    """
    task = members_of(document, "/tasks")
    spec, status = sub_members(task, "Spec"), sub_members(task, "Status")
    container = sub_members(spec, "ContainerSpec")
    force = spec.get("ForceUpdate")
    return TaskState(
        id=required_text(task, "ID", "/tasks"),
        service_id=text_of(task, "ServiceID"),
        node_id=text_of(task, "NodeID"),
        state=text_of(status, "State"),
        desired_state=text_of(task, "DesiredState"),
        image=text_of(container, "Image"),
        secrets=_references(container),
        force_update=force if isinstance(force, int) and not isinstance(force, bool) else 0,
        error=text_of(status, "Err"),
    )


def parse_each(answer: object, ids: Collection[str], parse: Callable[[object], T]) -> dict[str, T | SwarmsecError]:
    """The objects of a list that have these ids.

    Docker takes an id in a filter for the beginning of one, so others may be among them.

    Args:
        answer: ``GET /tasks`` or ``GET /services``; None for an empty list.
        ids: whole ones.
        parse: of one object; what it raises stands in the place of that object alone.

    Raises:
        Unavailable: it is no list.
    """
    if not isinstance(answer, list | None):
        raise Unavailable("expected a list as Docker Engine gives it, got something else")
    found: dict[str, T | SwarmsecError] = {}
    for item in answer or ():
        members = item if isinstance(item, dict) else {}
        object_id = text_of(members, "ID")
        if object_id in ids:
            try:
                found[object_id] = parse(item)
            except SwarmsecError as error:
                found[object_id] = error
    return found


def parse_secret(document: object) -> DockerSecret:
    """``GET /secrets/ID`` or one entry of ``GET /secrets``.

    Raises:
        Unavailable: it is not that.
    """
    secret = members_of(document, "/secrets")
    spec = members_of(secret.get("Spec"), "Spec of /secrets")
    return DockerSecret(
        id=required_text(secret, "ID", "/secrets"),
        name=required_text(spec, "Name", "Spec of /secrets"),
        labels=_labels(spec),
        driver=text_of(sub_members(spec, "Driver"), "Name"),
    )


def _references(container: Mapping[str, Any]) -> tuple[SecretReference, ...]:
    listed = container.get("Secrets")
    found = listed if isinstance(listed, list) else []
    return tuple(_reference(members_of(item, "Secrets of a container")) for item in found)


def _reference(members: Mapping[str, Any]) -> SecretReference:
    file = sub_members(members, "File")
    mode = file.get("Mode")
    return SecretReference(
        secret_id=text_of(members, "SecretID"),
        secret_name=text_of(members, "SecretName"),
        target=text_of(file, "Name"),
        uid=text_of(file, "UID"),
        gid=text_of(file, "GID"),
        mode=mode if isinstance(mode, int) and not isinstance(mode, bool) else 0o444,
    )


def _labels(spec: Mapping[str, Any]) -> Mapping[str, str]:
    return {key: value for key, value in sub_members(spec, "Labels").items() if isinstance(value, str)}
