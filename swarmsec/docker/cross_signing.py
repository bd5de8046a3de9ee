"""The request for a cross-signed root, as a Swarm's leader sends it to the authority that the Swarm leaves.

The same route as for nodes, CFSSL's profile ``CA`` (swarmkit, ca/external.go, ``CrossSignRootCA``): no hosts, no names,
the new root's own subject, and basicConstraints as the one extension.
"""

from __future__ import annotations

from typing import Any

from ca.cross_requests import CROSS_SIGN_PROFILE, CrossSignRequest, RequestedExtension
from ca.requests import RootRequest, parse_root_request
from swarmsec.errors import UsageProblem

MAX_MEMBERS = 16


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
        raise UsageProblem(f"expected hosts and extensions, at most {MAX_MEMBERS} of each")
    wanted = CrossSignRequest(
        common_name=str(subject.get("CN", "")),
        name_count=len(names),
        hosts=hosts,
        profile=CROSS_SIGN_PROFILE,
        extensions=[_extension(item) for item in extensions],
    )
    return wanted, parse_root_request(request.encode("utf-8", "replace"))


def _is_short(value: object) -> bool:
    return isinstance(value, list) and len(value) <= MAX_MEMBERS


def _extension(item: object) -> RequestedExtension:
    match item:
        case {"id": str(oid), "critical": bool(critical), "value": str(value)}:
            return RequestedExtension(oid=oid, critical=critical, value=value)
    raise UsageProblem("expected an extension with id, critical and value")
