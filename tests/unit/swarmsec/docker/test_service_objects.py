"""Services, tasks and secrets are read from what engines say; what is not that is refused in our own words."""

from __future__ import annotations

from typing import Any

import pytest

from swarmsec.docker.service_objects import parse_secret, parse_service, parse_task
from swarmsec.errors import Unavailable

FILE = {"Name": "/run/secrets/db", "UID": "0", "GID": "0", "Mode": 256}
REFERENCE = {"File": FILE, "SecretID": "s1", "SecretName": "team.app.db"}
CONTAINER = {"Image": "registry.example/shop/api@sha256:" + "a" * 64, "Secrets": [REFERENCE]}
SERVICE: dict[str, Any] = {
    "ID": "svc1",
    "Version": {"Index": 7},
    "Spec": {"Name": "shop_api", "Labels": {"a": "1"}, "TaskTemplate": {"ContainerSpec": CONTAINER, "ForceUpdate": 2}},
    "PreviousSpec": {"Name": "shop_api", "Labels": {"a": "0"}},
    "UpdateStatus": {"State": "completed", "Message": "update completed"},
}
TASK: dict[str, Any] = {
    "ID": "t1",
    "ServiceID": "svc1",
    "NodeID": "n1",
    "Spec": {"ContainerSpec": CONTAINER, "ForceUpdate": 2},
    "Status": {"State": "running"},
    "DesiredState": "running",
}
SECRET: dict[str, Any] = {"ID": "s1", "Spec": {"Name": "team.app.db", "Labels": {}, "Driver": {"Name": "swarmsec"}}}


def test_a_service() -> None:
    service = parse_service(SERVICE)

    assert (service.id, service.version, service.name, service.update_state) == ("svc1", 7, "shop_api", "completed")
    assert (service.labels, service.previous_labels) == ({"a": "1"}, {"a": "0"})
    (reference,) = service.secrets
    assert (reference.secret_id, reference.target, reference.mode) == ("s1", "/run/secrets/db", 0o400)
    assert service.spec is SERVICE["Spec"]


def test_a_task() -> None:
    task = parse_task(TASK)

    assert (task.service_id, task.node_id, task.state, task.force_update) == ("svc1", "n1", "running", 2)
    assert task.image == CONTAINER["Image"]


def test_a_secret() -> None:
    assert (parse_secret(SECRET).name, parse_secret(SECRET).driver) == ("team.app.db", "swarmsec")


def test_what_is_left_out_is_empty() -> None:
    service = parse_service({"ID": "x", "Version": {"Index": 1}, "Spec": {"Name": "bare"}})

    assert (service.labels, service.secrets, service.image, service.update_state) == ({}, (), "", "")
    assert parse_task({"ID": "t"}).force_update == 0


@pytest.mark.parametrize("document", [None, [], "x", {}, {"ID": 5}, {"ID": "x", "Spec": []}, {"ID": "x", "Spec": {}}])
@pytest.mark.parametrize("parse", [parse_service, parse_secret])
def test_what_is_no_such_object(document: object, parse: Any) -> None:
    with pytest.raises(Unavailable, match="as Docker Engine describes it, got something else"):
        parse(document)


@pytest.mark.parametrize("document", [None, [], {"ID": ""}, {"ID": "t", "Spec": {"ContainerSpec": {"Secrets": [5]}}}])
def test_what_is_no_task(document: object) -> None:
    with pytest.raises(Unavailable, match="as Docker Engine describes it, got something else"):
        parse_task(document)
