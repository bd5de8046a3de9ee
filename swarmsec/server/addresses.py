"""Peer addresses: one spelling per peer, loopback or not, and what an address counts as when attempts are limited."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

IPV6_SITE_BITS = 64
"""One IPv6 customer holds at least a /64, so counting single addresses would limit nobody."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_peer(peername: object) -> str:
    """Return a peer's IP address as text, IPv4-mapped IPv6 as IPv4 and without a scope.

    Args:
        peername: what the transport says: ``(host, port, ...)``; anything else gives ``"unknown"``.
    """
    if isinstance(peername, tuple) and peername and isinstance(peername[0], str):
        address = _parse(peername[0])
        if address is not None:
            return str(address)
    return "unknown"


@lru_cache(maxsize=4096)
def is_loopback(address: str) -> bool:
    """Return whether an address as ``parse_peer`` spells it is of this machine's loopback."""
    parsed = _parse(address)
    return parsed is not None and parsed.is_loopback


@lru_cache(maxsize=4096)
def site_of(address: str) -> str:
    """Return what attempts from this address count against: the IPv4 address, or the IPv6 /64 around it."""
    parsed = _parse(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((parsed, IPV6_SITE_BITS), strict=False))
    return address


def _parse(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
