"""Names that go into a certificate's subjectAltName: DNS names and IP addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509

from ca import der
from ca.errors import InvalidRequest

Host = str | IPv4Address | IPv6Address
"""A DNS name in lower case, or an address."""

MAX_HOSTS = 100
_MAX_NAME_LENGTH = 253
_DNS_TAG, _IP_TAG = 2, 7
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
# The last label does not look like a number, so that nothing that some resolver takes for an address passes as a name.
_NAME = re.compile(rf"(?:{_LABEL}\.)*(?!(?:[0-9]+|0x[0-9a-f]*)\Z){_LABEL}")


def parse_host(text: str) -> Host:
    """Read one DNS name or IP address.

    Args:
        text: a name of letters, digits, ``-`` and ``_`` in labels, no wildcard and no final dot; or an address without
            zone.

    Returns:
        the name in lower case, or the address.

    Raises:
        InvalidRequest: for any other text.
    """
    name = text.lower()
    if len(name) > _MAX_NAME_LENGTH or not text.isascii() or _NAME.fullmatch(name) is None:
        address = _parse_address(text)
        if address is not None:
            return address
        raise InvalidRequest(f"expected a DNS name or an IP address, got {text[:80]!r}")
    return name


def is_name(text: str) -> bool:
    """Whether a text is a DNS name as ``parse_host`` returns it, in lower case."""
    return len(text) <= _MAX_NAME_LENGTH and _NAME.fullmatch(text) is not None


def parse_hosts(texts: Iterable[str]) -> tuple[Host, ...]:
    """Read the names of one certificate; repeated ones are kept once, order is kept.

    Raises:
        InvalidRequest: for a name that cannot be one, for no name, and for more than 100.
    """
    hosts = tuple(dict.fromkeys(parse_host(text) for text in texts))
    if not 1 <= len(hosts) <= MAX_HOSTS:
        raise InvalidRequest(f"expected 1 to {MAX_HOSTS} names, got {len(hosts)}")
    return hosts


def general_names(hosts: Iterable[Host]) -> list[x509.GeneralName]:
    """The names as ``cryptography`` holds them."""
    return [x509.DNSName(host) if isinstance(host, str) else x509.IPAddress(host) for host in hosts]


def general_names_der(hosts: Iterable[Host]) -> bytes:
    """The names as DER GeneralNames (RFC 5280, section 4.2.1.6)."""
    return der.sequence(*[_general_name_der(host) for host in hosts])


@lru_cache(maxsize=256)
def _general_name_der(host: Host) -> bytes:
    return der.implicit(_DNS_TAG, host.encode()) if isinstance(host, str) else der.implicit(_IP_TAG, host.packed)


def _parse_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise InvalidRequest(f"expected an IP address without zone, got {text[:80]!r}")
    return address
