"""The addresses of this machine, for the certificate of a server that listens on all of them."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

from ca.errors import CaError
from ca.hosts import parse_host

_IPV4 = Path("/proc/net/fib_trie")
_IPV6 = Path("/proc/net/if_inet6")


def server_names(listen_host: str, bound: list[str], extra: tuple[str, ...]) -> tuple[str, ...]:
    """The names that a server's certificate carries.

    Args:
        listen_host: what the operator asked for.
        bound: the addresses it is bound to.
        extra: further names the operator gave.

    Returns:
        every bound address (all local ones for a wildcard), the host name, localhost and the further names.
    """
    addresses: list[str] = []
    for address in bound:
        wildcard = ipaddress.ip_address(address).is_unspecified
        addresses += local_addresses() if wildcard else [address]
    names = [listen_host, socket.gethostname(), "localhost", *extra, *addresses]
    return tuple(dict.fromkeys(name for name in names if _is_host(name)))


def local_addresses() -> list[str]:
    """Every IPv4 and IPv6 address of this network namespace, without zone ids."""
    return sorted(set(_ipv4_addresses()) | set(_ipv6_addresses()))


def _ipv4_addresses() -> list[str]:
    found, address = [], ""
    for line in _read(_IPV4):
        if "|-- " in line:
            address = line.split("|-- ")[1].strip()
        elif "host LOCAL" in line and address:
            found.append(address)
    return found


def _ipv6_addresses() -> list[str]:
    words = (line.split() for line in _read(_IPV6))
    return [str(ipaddress.IPv6Address(int(word[0], 16))) for word in words if word]


def _read(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:
        return []


def _is_host(name: str) -> bool:
    try:
        host = parse_host(name)
    except CaError:
        return False
    return isinstance(host, str) or not host.is_unspecified
