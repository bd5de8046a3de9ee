"""What a registry asks for with 401: ``WWW-Authenticate`` read (RFC 9110, section 11.6.1), and the token it leads to.

The token protocol is Docker's ("Token Authentication Specification", distribution). A login goes to the registry itself
or, over a connection no worse than the registry's, to a token server beside it: of the same host, or of a host that
shares the domain above it, as ``auth.docker.io`` does with ``registry-1.docker.io``. A token server elsewhere is asked
without a login.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from swarmsec.errors import Denied, Unavailable, UsageProblem
from swarmsec.registry.credentials import TOKEN_USER, Login
from swarmsec.registry.hosts import Address, Origin, is_loopback, parse_url
from swarmsec.registry.transport import Transport

MAX_HEADER: Final = 8192
MAX_TOKEN: Final = 65_536
_SCHEME: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*)(?:\s+|$)")
_PARAMETER: Final = re.compile(r"""\s*,?\s*([A-Za-z_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))""")
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{1,60000}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One challenge: the scheme in lower case, and its parameters by lower-case name."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenge(header: str) -> Challenge:
    """Read the first challenge of a header.

    Raises:
        Unavailable: it is none that this program can answer.
    """
    found = _SCHEME.match(header[:MAX_HEADER])
    scheme = found[1].lower() if found is not None else ""
    if found is None or scheme not in {"basic", "bearer"}:
        raise Unavailable("expected the registry to ask for a login or a token, got another challenge")
    parameters: dict[str, str] = {}
    at = found.end()
    while (part := _PARAMETER.match(header, at)) is not None and at < MAX_HEADER:
        value = part[3] if part[2] is None else re.sub(r"\\(.)", r"\1", part[2])
        if part[1].lower() in parameters:
            raise Unavailable(f"expected each parameter of the registry's challenge once, got {part[1][:40]} again")
        parameters[part[1].lower()] = value
        at = part.end()
    return Challenge(scheme=scheme, parameters=parameters)


def answer_challenge(
    challenge: Challenge,
    *,
    registry: Origin,
    path: str,
    login: Login | None,
    transport: Transport,
    insecure: Collection[str],
) -> str:
    """Get the ``Authorization`` header that a registry asks for, to pull from one repository.

    Args:
        challenge: the registry's.
        registry: its origin.
        path: of the repository, without the registry.
        login: for the registry, if there is one.
        transport: asks the token server.
        insecure: as ``parse_url``.

    Raises:
        Denied: the token server is one that may not be asked.
        Unavailable: there is no login, or no token is given.
    """
    if challenge.scheme == "basic":
        if login is None:
            raise Unavailable(f"{registry} asks for a login", hint=f"log in: docker login {registry}")
        return login.basic()
    try:
        realm = parse_url(challenge.parameters.get("realm", ""), insecure=insecure)
    except UsageProblem:
        raise Unavailable(f"expected {registry} to name a token server, got something else") from None
    if registry.scheme == "https" and realm.origin.scheme != "https":
        raise Denied(f"expected a token server over https, as the registry is, got {realm.origin}")
    is_beside = may_have_login(registry, realm.origin)
    query = {"scope": f"repository:{path}:pull"}
    if service := challenge.parameters.get("service"):
        query = {"service": service, **query}
    joiner = "&" if "?" in realm.path else "?"
    asked = Address(origin=realm.origin, path=f"{realm.path}{joiner}{urlencode(query, quote_via=quote)}")
    headers = {"Authorization": login.basic()} if login is not None and is_beside and login.user != TOKEN_USER else {}
    answer = transport.get(asked, headers=headers, limit=MAX_TOKEN)
    if answer.status != 200:
        raise Unavailable(
            f"{realm.origin} gave no token for {path}: HTTP status {answer.status}",
            hint=f"check the login: docker login {registry.host}",
        )
    return f"Bearer {parse_token(answer.body)}"


def parse_token(body: bytes) -> str:
    """Read a token server's answer: ``token``, or the same as ``access_token``.

    Raises:
        Unavailable: there is no token in it.
    """
    try:
        members = json.loads(body)
    except (ValueError, RecursionError):
        members = None
    token = (members.get("token") or members.get("access_token")) if isinstance(members, dict) else None
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise Unavailable("expected a token from the registry's token server, got something else")
    return token


def may_have_login(registry: Origin, realm: Origin) -> bool:
    """Whether a token server is near enough to a registry to be given the registry's login."""
    if realm.host == registry.host:
        return True
    if is_loopback(registry.host) or is_loopback(realm.host):
        return is_loopback(registry.host) and is_loopback(realm.host)
    above = registry.host.partition(".")[2]
    return (
        "." in above
        and not above.replace(".", "").isdigit()
        and (realm.host == above or realm.host.endswith(f".{above}"))
    )
