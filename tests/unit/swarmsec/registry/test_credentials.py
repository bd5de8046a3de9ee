"""Logins as Docker keeps them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from swarmsec.errors import UsageProblem
from swarmsec.registry.credentials import DockerLogins


def logins(tmp_path: Path, config: Any) -> DockerLogins:
    path = tmp_path / "config.json"
    path.write_text(config if isinstance(config, str) else json.dumps(config))
    return DockerLogins(path)


def auth(user: str = "robot", password: str = "canary-pass") -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("registry.example", "registry.example"),
        ("https://registry.example", "registry.example"),
        ("https://registry.example/v2/", "registry.example"),
        ("localhost:5000", "localhost:5000"),
        ("https://index.docker.io/v1/", "docker.io"),
    ],
)
def test_a_login_by_the_names_that_docker_uses(tmp_path: Path, name: str, domain: str) -> None:
    login = logins(tmp_path, {"auths": {name: auth()}}).of(domain)
    assert login is not None
    assert base64.b64decode(login.basic().removeprefix("Basic ")) == b"robot:canary-pass"
    assert "canary" not in repr(login)


def test_a_login_is_for_its_registry_alone(tmp_path: Path) -> None:
    found = logins(tmp_path, {"auths": {"registry.example": auth()}})
    assert [found.of(name) for name in ("registry.example:5000", "evil.example", "docker.io", "example")] == [None] * 4


@pytest.mark.parametrize("config", ["{}", "", {"auths": {"r.example": {}}}, {"auths": []}, {"auths": {"r.example": 7}}])
def test_no_login_is_none(tmp_path: Path, config: Any) -> None:
    assert logins(tmp_path, config).of("r.example") is None
    assert DockerLogins(tmp_path / "nowhere" / "config.json").of("r.example") is None


@pytest.mark.parametrize("config", ["[]", "{", {"auths": {"r.example": {"auth": "canary-pass"}}}])
def test_a_broken_file_is_said_without_its_content(tmp_path: Path, config: Any) -> None:
    with pytest.raises(UsageProblem, match=r"config\.json") as caught:
        logins(tmp_path, config).of("r.example")
    assert "canary" not in str(caught.value)
