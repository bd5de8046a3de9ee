"""One spelling for each peer, and which addresses are loopback."""

from __future__ import annotations

import pytest

from swarmsec.server.addresses import is_loopback, parse_peer, site_of


@pytest.mark.parametrize(
    ("peername", "address"),
    [
        (("192.0.2.7", 4711), "192.0.2.7"),
        (("::ffff:192.0.2.7", 4711, 0, 0), "192.0.2.7"),
        (("fe80::1%eth0", 1, 0, 2), "fe80::1"),
        (("2001:DB8::0:1", 1, 0, 0), "2001:db8::1"),
        (("not an address", 1), "unknown"),
        ((), "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_peer_has_one_spelling(peername: object, address: str) -> None:
    assert parse_peer(peername) == address


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_loopback(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize("address", ["192.0.2.7", "10.0.0.1", "0.0.0.0", "::", "::2", "unknown", ""])
def test_not_loopback(address: str) -> None:
    assert not is_loopback(address)


def test_ipv6_counts_by_site() -> None:
    assert site_of("2001:db8:1:2::1") == site_of("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert site_of("2001:db8:1:3::1") != site_of("2001:db8:1:2::1")
    assert site_of("192.0.2.7") == "192.0.2.7"
    assert site_of("unknown") == "unknown"
