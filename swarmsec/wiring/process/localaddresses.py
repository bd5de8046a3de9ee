"""The addresses of this machine, for the certificate of a server that listens on all of them."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path

from ca.errors import CaError
from ca.hosts import MAX_HOSTS, parse_host
from swarmsec.errors import UsageProblem

_IPV4 = Path("/proc/net/fib_trie")
_IPV6 = Path("/proc/net/if_inet6")


def server_names(listen_host: str, bound: list[str], extra: tuple[str, ...]) -> tuple[str, ...]:
    """The names that a server's certificate carries.

    Args:
        listen_host: what the operator asked for.
        bound: the addresses it is bound to.
        extra: further names the operator gave.

    Returns:
        every bound address (all local ones for a wildcard), the host name, localhost and the further names. Link-local
        addresses come last and are left out where a certificate has no room: a host of many containers has hundreds.

    Raises:
        ca.errors.InvalidRequest: a further name cannot be one.
        UsageProblem: there are more names than a certificate holds.
    """
    given = [str(parse_host(name)) for name in extra]
    addresses: list[str] = []
    for address in bound:
        wildcard = ipaddress.ip_address(address).is_unspecified
        addresses += local_addresses() if wildcard else [address]
    addresses.sort(key=lambda address: ipaddress.ip_address(address).is_link_local)
    names = [listen_host, socket.gethostname(), "localhost", *given, *addresses]
    return _fitting(list(dict.fromkeys(name for name in names if _is_host(name))))


def local_addresses() -> list[str]:
    """Every IPv4 and IPv6 address of this network namespace, without zone ids."""
    return sorted(set(_ipv4_addresses()) | set(_ipv6_addresses()))


def _fitting(names: list[str]) -> tuple[str, ...]:
    left_out = names[MAX_HOSTS:]
    if not all(_is_link_local(name) for name in left_out):
        raise UsageProblem(
            f"expected at most {MAX_HOSTS} names and addresses for the server's certificate, got {len(names)}",
            hint="listen on one address instead of all",
        )
    return tuple(names[:MAX_HOSTS])


def _is_link_local(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_link_local
    except ValueError:
        return False


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
