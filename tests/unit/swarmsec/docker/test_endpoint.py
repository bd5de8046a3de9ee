"""Addresses of engines: what is one, and which of several counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from swarmsec.docker.endpoint import DEFAULT, DockerEndpoint, find_endpoint
from swarmsec.errors import UsageProblem


@pytest.mark.parametrize("url", ["unix:///var/run/docker.sock", "tcp://m1:2376", "tcp://[2001:db8::1]:2376"])
def test_what_is_an_address(url: str) -> None:
    assert DockerEndpoint.parse(url).url == url


@pytest.mark.parametrize(
    "url", ["", "m1:2376", "http://m1:2375", "tcp://m1", "tcp://m1:0", "tcp://m1:65536", "tcp://u:p@m1:1", "unix://a"]
)
def test_what_is_none(url: str) -> None:
    with pytest.raises(UsageProblem, match="expected the address of a Docker Engine"):
        DockerEndpoint.parse(url)


def test_ssh_is_told_to_be_missing() -> None:
    with pytest.raises(UsageProblem) as caught:
        DockerEndpoint.parse("ssh://root@m1")
    assert "no ssh" in str(caught.value.hint)


def test_a_socket_has_no_tls() -> None:
    assert DockerEndpoint.parse("unix:///a", Path("certs")).tls is None


STORED = DockerEndpoint(url="unix:///stored")


@pytest.mark.parametrize(
    ("given", "environment", "stored", "expected"),
    [
        ("tcp://m1:1", {"DOCKER_HOST": "tcp://m2:1"}, STORED, "tcp://m1:1"),
        (None, {"DOCKER_HOST": "tcp://m2:1"}, STORED, "unix:///stored"),
        (None, {"DOCKER_HOST": "tcp://m2:1"}, None, "tcp://m2:1"),
        (None, {"DOCKER_HOST": ""}, None, DEFAULT),
    ],
)
def test_the_option_comes_first_then_the_home_then_the_environment(
    given: str | None, environment: dict[str, str], stored: DockerEndpoint | None, expected: str
) -> None:
    assert find_endpoint(given, None, environment, stored).url == expected


def test_the_environment_says_where_certificates_are() -> None:
    environment = {"DOCKER_HOST": "tcp://m2:1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/certs"}
    assert find_endpoint(None, None, environment, None).tls == Path("/certs")
    assert find_endpoint(None, Path("/other"), environment, None).tls == Path("/other")
