"""Roles: names, paths and files, and that no repository's role can speak of another's images."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import pytest
from tuf.api.metadata import DelegatedRole

from notary.errors import ChangeRefused, InvalidReference
from notary.reference import Digest, ImageReference
from notary.roles import (
    PERIODS,
    file_name,
    parse_repository,
    path_patterns,
    revoked_path,
    role_of,
    target_path,
)


def test_a_role_is_called_like_its_repository_in_full() -> None:
    assert role_of(ImageReference.parse("nginx:1")) == "docker.io/library/nginx"
    assert parse_repository("registry.example:5000/team/app") == "registry.example:5000/team/app"


@pytest.mark.parametrize("text", ["nginx:1", "nginx@sha256:" + "0" * 64, "../x", "a/../b", "app?x", "app#x", "/x"])
def test_what_is_no_repository_is_no_role(text: str) -> None:
    with pytest.raises(InvalidReference):
        parse_repository(text)


@pytest.mark.parametrize(
    "path",
    [
        "registry.example/team/app-evil/1",
        "registry.example/team/app/x/1",
        "registry.example/team/ap/1",
        "registry.example/team/app",
        "registry.example/team/APP/1",
        "registry.example/team/other/1",
    ],
)
def test_attack_30_a_pattern_covers_no_other_repository(path: str) -> None:
    role = DelegatedRole("app", ["a"], 1, True, path_patterns("registry.example/team/app"))
    assert role.is_delegated_path("registry.example/team/app/1.0")
    assert not role.is_delegated_path(path)


@pytest.mark.parametrize("name", ["[2001:db8::1]:5000/app", "registry/a*", "registry/a?"])
def test_a_name_that_would_be_a_pattern_is_refused(name: str) -> None:
    with pytest.raises(ChangeRefused, match="without brackets"):
        path_patterns(name)


def test_targets() -> None:
    assert target_path("registry.example/app", "1.0") == "registry.example/app/1.0"
    with pytest.raises(InvalidReference):
        target_path("registry.example/app", "../x")
    assert revoked_path(Digest.of(b"x")) == f"revoked/{Digest.of(b'x').hex}"
    with pytest.raises(ChangeRefused, match="sha256"):
        revoked_path(Digest.parse("sha512:" + "0" * 128))


def test_attack_27_slashes_of_a_role_never_become_directories() -> None:
    assert file_name("registry.example:5000/a/b", 3) == "3.registry.example%3A5000%2Fa%2Fb.json"
    assert file_name("timestamp", 3) == "timestamp.json"
    assert file_name("root", 1) == "1.root.json"


@pytest.mark.parametrize("role", ["a.b:1/c_d/e--f/0__1", "docker.io/library/nginx", "localhost/x"])
def test_files_are_called_as_python_tuf_asks_for_them(role: str) -> None:
    assert file_name(role, 12) == f"12.{quote(role, '')}.json"


def test_periods() -> None:
    days = {role: PERIODS.of(role).days for role in ("root", "targets", "revocations", "a/b", "snapshot", "timestamp")}
    assert days == {"root": 365, "targets": 365, "revocations": 90, "a/b": 90, "snapshot": 7, "timestamp": 1}
    assert PERIODS.of("timestamp") == timedelta(days=1)
