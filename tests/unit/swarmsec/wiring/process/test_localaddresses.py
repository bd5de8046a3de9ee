"""The names of a server's certificate."""

from __future__ import annotations

import socket

import pytest

from ca.errors import InvalidRequest
from ca.hosts import MAX_HOSTS
from swarmsec.errors import UsageProblem
from swarmsec.wiring.process import localaddresses
from swarmsec.wiring.process.localaddresses import local_addresses, server_names


@pytest.fixture(autouse=True)
def _named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "ca-1")


def _addresses(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    monkeypatch.setattr(localaddresses, "local_addresses", lambda: list(addresses))


def test_an_address_is_named_with_the_host_and_localhost() -> None:
    assert server_names("192.0.2.1", ["192.0.2.1"], ()) == ("192.0.2.1", "ca-1", "localhost")


@pytest.mark.parametrize("wildcard", ["0.0.0.0", "::"])
def test_a_wildcard_stands_for_every_local_address(wildcard: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _addresses(monkeypatch, "127.0.0.1", "192.0.2.1", "::1", "fe80::1")

    found = server_names(wildcard, [wildcard], ("ca.example",))

    assert found == ("ca-1", "localhost", "ca.example", "127.0.0.1", "192.0.2.1", "::1", "fe80::1")


@pytest.mark.parametrize("name", ["no name", "", "*.example", "a" * 64, "https://ca.example"])
def test_a_further_name_that_cannot_be_one_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest):
        server_names("127.0.0.1", ["127.0.0.1"], (name,))


def test_a_host_name_that_no_certificate_can_name_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "my host")

    assert server_names("127.0.0.1", ["127.0.0.1"], ()) == ("127.0.0.1", "localhost")


def test_where_there_is_no_room_link_local_addresses_are_left_out_first(monkeypatch: pytest.MonkeyPatch) -> None:
    links = [f"fe80::{number:x}" for number in range(1, 300)]
    _addresses(monkeypatch, *links, "192.0.2.1", "::1")

    found = server_names("0.0.0.0", ["0.0.0.0"], ())

    assert len(found) == MAX_HOSTS
    assert {"192.0.2.1", "::1", "localhost", "ca-1"} <= set(found)


def test_more_addresses_than_a_certificate_holds_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    _addresses(monkeypatch, *(f"10.0.0.{number}" for number in range(MAX_HOSTS)))

    with pytest.raises(UsageProblem, match="at most"):
        server_names("0.0.0.0", ["0.0.0.0"], ())


def test_this_machine_has_a_loopback_address() -> None:
    assert "127.0.0.1" in local_addresses()
