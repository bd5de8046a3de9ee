"""Services over the engine's API: what is asked, what is written, and what is no name."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any, cast

import pytest

from swarmsec.docker.engine import EngineApi
from swarmsec.docker.service_engine import DockerServices
from swarmsec.errors import Changed, NotFound, Unavailable, UsageProblem
from swarmsec.secretbytes import SecretBytes


class ScriptedApi:
    """Answers by method and path, and keeps what it was asked."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.calls: list[tuple[str, str, Mapping[str, str] | None, Any]] = []

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        return self.call("GET", path, query=query)

    def call(self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None) -> Any:
        self.calls.append((method, path, query, body))
        answer = self.answers[f"{method} {path}"]
        if isinstance(answer, list) and answer and isinstance(answer[0], Exception):
            raise answer.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


SERVICE = {
    "ID": "id1",
    "Version": {"Index": 7},
    "Spec": {"Name": "shop_api", "Later": {"kept": True}, "TaskTemplate": {"ContainerSpec": {"Image": "busybox"}}},
}


def services(answers: dict[str, Any]) -> tuple[DockerServices, ScriptedApi]:
    api = ScriptedApi(answers)
    return DockerServices(cast(EngineApi, api)), api


def test_a_service_is_written_whole_over_the_version_that_was_read() -> None:
    docker, api = services({"GET /services/id1": SERVICE, "POST /services/id1/update": None})
    docker.change_service("id1", lambda state, spec: {**spec, "Labels": {"a": "b"}})
    assert api.calls[-1] == (
        "POST",
        "/services/id1/update",
        {"version": "7"},
        {**cast(dict[str, Any], SERVICE["Spec"]), "Labels": {"a": "b"}},
    )


def test_who_was_faster_is_read_again_once() -> None:
    docker, api = services({"GET /services/id1": SERVICE, "POST /services/id1/update": [Changed("faster")]})
    docker.change_service("id1", lambda state, spec: spec)
    assert [method for method, *_ in api.calls] == ["GET", "POST", "GET", "POST"]
    docker, _ = services({"GET /services/id1": SERVICE, "POST /services/id1/update": Changed("faster")})
    with pytest.raises(Changed):
        docker.change_service("id1", lambda state, spec: spec)


def test_a_docker_secret_is_found_by_its_whole_name_alone() -> None:
    listed = [{"ID": "s2", "Spec": {"Name": "team.app.db.v1"}}, {"ID": "team.app.db", "Spec": {"Name": "x"}}]
    docker, _ = services({"GET /secrets": listed})
    assert docker.secret("team.app.db") is None
    found = docker.secret("team.app.db.v1")
    assert found is not None
    assert found.id == "s2"


def test_docker_secrets_are_made_with_a_driver_or_a_value() -> None:
    docker, api = services({"POST /secrets/create": {"ID": "s1"}})
    assert docker.create_driver_secret("n", {"a": "b"}, "swarmsec") == "s1"
    assert api.calls[-1][3] == {"Name": "n", "Labels": {"a": "b"}, "Driver": {"Name": "swarmsec"}}
    docker.create_secret("n", {}, SecretBytes(b"\x00v"))
    assert base64.b64decode(api.calls[-1][3]["Data"]) == b"\x00v"


def test_a_secret_that_is_gone_is_removed_and_one_in_use_is_told() -> None:
    services({"DELETE /secrets/s1": NotFound("gone")})[0].remove_secret("s1")
    with pytest.raises(UsageProblem):
        services({"DELETE /secrets/s1": UsageProblem("in use")})[0].remove_secret("s1")


def test_tasks_are_those_of_one_service() -> None:
    docker, api = services({"GET /tasks": [{"ID": "t1", "ServiceID": "id1"}]})
    assert [task.id for task in docker.tasks("id1")] == ["t1"]
    assert json.loads(cast(Mapping[str, str], api.calls[0][2])["filters"]) == {"service": {"id1": True}}


def test_what_is_named_is_found_in_one_question_and_nothing_else_with_it() -> None:
    """Docker takes an id in a filter for the beginning of one."""
    items: list[dict[str, Any]] = [{"ID": name, "Spec": {}} for name in ("t1", "t12", "t3")]
    docker, api = services({"GET /tasks": items, "GET /services": None})
    assert list(docker.find_tasks(("t1", "t2", "t3"))) == ["t1", "t3"]
    assert docker.find_services(("id1",)) == {}
    asked = [json.loads(cast(Mapping[str, str], call[2])["filters"]) for call in api.calls]
    assert asked == [{"id": {"t1": True, "t2": True, "t3": True}}, {"id": {"id1": True}}]


@pytest.mark.parametrize("answer", [{}, "x", 5])
def test_an_answer_that_is_no_list_is_told(answer: object) -> None:
    with pytest.raises(Unavailable, match="expected a list"):
        services({"GET /services": answer})[0].services()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a?b", "a" * 256, "-a", "é"])
def test_what_is_no_name_never_gets_into_a_path(name: str) -> None:
    docker, api = services({})
    for ask in (docker.service, docker.hostname, docker.remove_secret):
        with pytest.raises(UsageProblem):
            ask(name)
    assert api.calls == []
