"""The external CA endpoint: CFSSL's signing request as SwarmKit's managers send it.

Docker 20.10 sends every member of a name, empty ones included; Docker 25 and later leave those out and add members
that mean nothing here (unset times, ``ReturnPrecert``). Only what SwarmKit uses is read, unknown members are ignored,
a member given twice is refused.

What the answer's status means to a manager: HTTP 200 with ``success: false`` marks the node FAILED for good, anything
else is tried again every ten seconds. So a decision is 200, and whatever may pass is 429 or 503.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import msgspec

from ca.cross_requests import CROSS_SIGN_PROFILE, CrossSignRequest, RequestedExtension
from ca.errors import CaError
from ca.requests import RootRequest, SigningRequest, parse_root_request
from ca.swarm_requests import SwarmRequest
from swarmsec.errors import Denied, UsageProblem
from swarmsec.http import Caller, Request, Response, Route

PATH: Final = "/api/v1/cfssl/sign"
MAX_BODY: Final = 65_536
MAX_HOSTS: Final = 16
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
"""JSON can escape half of a character; such text has no bytes."""

Sign = Callable[[Caller, SwarmRequest, SigningRequest, str], Awaitable[bytes]]
"""Signs for a manager: caller, request, checked key and request id in, PEM out."""


CrossSign = Callable[[Caller, CrossSignRequest, RootRequest, str], Awaitable[bytes]]
"""Signs the root of a Swarm that leaves: caller, request, checked key and subject, and request id in, PEM out."""

Refuse = Callable[[Caller, str, str], Awaitable[None]]
"""Records that a manager's request could not be meant: caller, reason and request id in; durable when it returns."""


CheckRequest = Callable[[bytes], Awaitable[SigningRequest]]
"""Checks a signing request as ``ca.requests.parse_signing_request`` does, with those that others send meanwhile."""


def build_sign_route(sign: Sign, cross_sign: CrossSign, refuse: Refuse, check: CheckRequest) -> Route:
    """The route ``cfssl.sign``."""

    async def handle(request: Request) -> Response:
        try:
            pem = await answer(request)
        except (Denied, UsageProblem, CaError) as error:
            return _answer({"success": False, "result": None, "errors": [_error(error)], "messages": []})
        result = {"certificate": pem.decode("ascii")}
        return _answer({"success": True, "result": result, "errors": [], "messages": []})

    async def answer(request: Request) -> bytes:
        try:
            document = _parse(request.body)
            root = None if isinstance(document, _ForNode) else parse_cross_sign_request(document)
            if root is not None:
                work = cross_sign(request.caller, *root, request.request_id)
            else:
                wanted, asked = document.taken() if isinstance(document, _ForNode) else _node_request(document)
                work = sign(request.caller, wanted, await check(asked), request.request_id)
        except (UsageProblem, CaError) as error:
            await refuse(request.caller, str(error), request.request_id)
            raise
        return await work

    return Route(
        name="cfssl.sign",
        method="POST",
        path=PATH,
        handler=handle,
        operation=_OPERATION,
        body_limit=MAX_BODY,
        attempt_keys=lambda request: (f"node:{request.caller.name}",),
    )


def parse_sign_request(body: bytes) -> tuple[SwarmRequest, bytes]:
    """Read what a manager sends for a node; the certificate request in it is still to be checked.

    Raises:
        UsageProblem: not the JSON that managers send.
    """
    document = _parse(body)
    return document.taken() if isinstance(document, _ForNode) else _node_request(document)


class _Name(msgspec.Struct):
    organization: str = msgspec.field(default="", name="O")
    organizational_unit: str = msgspec.field(default="", name="OU")


class _Subject(msgspec.Struct):
    names: Annotated[list[_Name], msgspec.Meta(min_length=1, max_length=1)]
    common_name: str = msgspec.field(default="", name="CN")


class _ForNode(msgspec.Struct):
    """A request for a node as managers send it: what is used of it, each member of its kind and within its bounds."""

    subject: _Subject
    hosts: Annotated[list[str], msgspec.Meta(max_length=MAX_HOSTS)]
    certificate_request: str = ""
    profile: Annotated[str, msgspec.Meta(max_length=0)] = ""

    def taken(self) -> tuple[SwarmRequest, bytes]:
        """What is asked for, and the certificate request."""
        (name,) = self.subject.names
        wanted = SwarmRequest(
            common_name=self.subject.common_name,
            organization=name.organization,
            organizational_unit=name.organizational_unit,
            hosts=self.hosts,
            profile=self.profile,
        )
        return wanted, self.certificate_request.encode()


def _node_request(document: dict[str, Any]) -> tuple[SwarmRequest, bytes]:
    subject = _object(document.get("subject"), "subject")
    names = subject.get("names")
    if not isinstance(names, list) or len(names) != 1:
        raise UsageProblem("expected one entry in subject.names")
    name = _object(names[0], "subject.names[0]")
    hosts = document.get("hosts")
    if not isinstance(hosts, list) or len(hosts) > MAX_HOSTS or not all(isinstance(host, str) for host in hosts):
        raise UsageProblem(f"expected hosts, at most {MAX_HOSTS} names")
    texts = {
        "CN": subject.get("CN", ""),
        "O": name.get("O", ""),
        "OU": name.get("OU", ""),
        "profile": document.get("profile", ""),
        "certificate_request": document.get("certificate_request", ""),
    }
    for member, value in texts.items():
        if not isinstance(value, str) or not (value.isascii() or _SURROGATE.search(value) is None):
            raise UsageProblem(f"expected text in {member}")
    wanted = SwarmRequest(
        common_name=texts["CN"],
        organization=texts["O"],
        organizational_unit=texts["OU"],
        hosts=hosts,
        profile=texts["profile"],
    )
    return wanted, texts["certificate_request"].encode()


def parse_cross_sign_request(document: dict[str, Any]) -> tuple[CrossSignRequest, RootRequest] | None:
    """Read a request that is for a root; None for one that is not.

    Args:
        document: the whole request, members unique.

    Raises:
        UsageProblem: it is not the JSON that leaders send.
        ca.errors.CaError: the certificate request in it is unacceptable.
    """
    if document.get("profile") != CROSS_SIGN_PROFILE:
        return None
    subject = document.get("subject")
    names = subject.get("names") or [] if isinstance(subject, dict) else None
    hosts, extensions = document.get("hosts") or [], document.get("extensions") or []
    request = document.get("certificate_request")
    if not (isinstance(subject, dict) and isinstance(names, list) and isinstance(request, str)):
        raise UsageProblem("expected a subject and a certificate request")
    if not (_is_short(hosts) and all(isinstance(host, str) for host in hosts) and _is_short(extensions)):
        raise UsageProblem(f"expected hosts and extensions, at most {MAX_HOSTS} of each")
    wanted = CrossSignRequest(
        common_name=str(subject.get("CN", "")),
        name_count=len(names),
        hosts=hosts,
        profile=CROSS_SIGN_PROFILE,
        extensions=[_extension(item) for item in extensions],
    )
    return wanted, parse_root_request(request.encode("utf-8", "replace"))


def _is_short(value: object) -> bool:
    return isinstance(value, list) and len(value) <= MAX_HOSTS


def _extension(item: object) -> RequestedExtension:
    match item:
        case {"id": str(oid), "critical": bool(critical), "value": str(value)}:
            return RequestedExtension(oid=oid, critical=critical, value=value)
    raise UsageProblem("expected an extension with id, critical and value")


def _parse(body: bytes) -> _ForNode | dict[str, Any]:
    try:
        return _read_quickly(body) or _object(_decoder.decode(body.decode()), "the request")
    except (ValueError, RecursionError):
        raise UsageProblem("expected a signing request in JSON, each member once") from None


def _read_quickly(body: bytes) -> _ForNode | None:
    """Read a request for a node as managers word it; None for any other, which may be as good.

    The quick decoder takes the last of several members of one name. Written again, what it read is the same octets only
    where it has left nothing out, and where every octet means what it has understood.
    """
    try:
        document = msgspec.json.decode(body)
        if msgspec.json.encode(document) != body:
            return None
        return msgspec.convert(document, _ForNode)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        # Depth and size of numbers have other bounds here; the general decoder says what is refused.
        return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is given twice")
    return members


_decoder: Final = json.JSONDecoder(object_pairs_hook=_unique)


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageProblem(f"expected an object in {where}")
    return value


def _error(error: Exception) -> dict[str, object]:
    return {"code": 1, "message": str(error)}


def _answer(document: dict[str, object]) -> Response:
    return Response(body=msgspec.json.encode(document))


_OPERATION: Final[dict[str, object]] = {
    "summary": "Sign a node's certificate for a manager of the Swarm (CFSSL, as SwarmKit speaks it)",
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["certificate_request", "hosts", "subject"],
                    "properties": {
                        "certificate_request": {"type": "string", "description": "PKCS #10, PEM"},
                        "hosts": {"type": "array", "items": {"type": "string"}, "maxItems": MAX_HOSTS},
                        "subject": {"type": "object"},
                        "profile": {"type": "string"},
                    },
                }
            }
        },
    },
    "responses": {
        "200": {
            "description": "the certificate, or success false with the reason",
            "content": {"application/json": {"schema": {"type": "object"}}},
        }
    },
}
