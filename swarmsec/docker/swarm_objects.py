"""Docker's JSON of a Swarm and its nodes, taken apart into values: lenient with members that nobody needs, not others.

Shapes: Docker Engine API 1.40 and later, ``GET /info``, ``/swarm`` and ``/nodes``.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from swarmsec.errors import Unavailable
from swarmsec.services.swarm_records import EngineInfo, ExternalCa, IssuerName, SwarmNode, SwarmState

_FRACTION: Final = re.compile(r"(\.\d{6})\d*")
_EMPTY: Final[Mapping[str, Any]] = {}


def parse_info(document: object) -> EngineInfo:
    """``GET /info``.

    Raises:
        Unavailable: it is not that.
    """
    info = _members(document, "/info")
    swarm = _sub(info, "Swarm")
    return EngineInfo(
        version=_text(info, "ServerVersion"),
        swarm_state=_text(swarm, "LocalNodeState") or "inactive",
        node_id=_text(swarm, "NodeID"),
        is_manager=swarm.get("ControlAvailable") is True,
        unix_time=_unix_time(_text(info, "SystemTime")),
        problem=_text(swarm, "Error"),
    )


def parse_swarm(document: object) -> SwarmState:
    """``GET /swarm``.

    Raises:
        Unavailable: it is not that.
    """
    swarm = _members(document, "/swarm")
    spec = _members(swarm.get("Spec"), "Spec of /swarm")
    tls = _sub(swarm, "TLSInfo")
    authorities = _sub(spec, "CAConfig").get("ExternalCAs") or []
    if not isinstance(authorities, list):
        raise _unexpected("ExternalCAs of /swarm")
    return SwarmState(
        id=_required(swarm, "ID", "/swarm"),
        version=_version(swarm),
        spec=spec,
        root_pem=_required(tls, "TrustRoot", "TLSInfo of /swarm"),
        issuer=_issuer(tls),
        is_rotating=swarm.get("RootRotationInProgress") is True,
        is_autolocked=_sub(spec, "EncryptionConfig").get("AutoLockManagers") is True,
        external_cas=tuple(_external(item) for item in authorities),
    )


def parse_nodes(document: object) -> list[SwarmNode]:
    """``GET /nodes``.

    Raises:
        Unavailable: it is not that.
    """
    if not isinstance(document, list):
        raise _unexpected("/nodes")
    return [parse_node(item) for item in document]


def parse_node(document: object) -> SwarmNode:
    """One entry of ``GET /nodes``, or ``GET /nodes/ID``.

    Raises:
        Unavailable: it is not that.
    """
    node = _members(document, "/nodes")
    spec, description, status = _sub(node, "Spec"), _sub(node, "Description"), _sub(node, "Status")
    manager, tls = _sub(node, "ManagerStatus"), _sub(description, "TLSInfo")
    wanted = _text(spec, "Role") or "worker"
    return SwarmNode(
        id=_required(node, "ID", "/nodes"),
        version=_version(node),
        hostname=_text(description, "Hostname"),
        # The API shows no role but the wished one; being listed as a manager is what shows the real one.
        role="manager" if manager else "worker",
        wanted_role=wanted,
        state=_text(status, "State") or "unknown",
        address=_text(status, "Addr"),
        engine_version=_text(_sub(description, "Engine"), "EngineVersion"),
        is_leader=manager.get("Leader") is True,
        root_pem=_text(tls, "TrustRoot"),
        issuer=_issuer(tls),
        spec=spec,
    )


def _external(item: object) -> ExternalCa:
    members = _members(item, "ExternalCAs of /swarm")
    return ExternalCa(
        protocol=_text(members, "Protocol") or "cfssl",
        url=_text(members, "URL"),
        root_pem=_text(members, "CACert"),
    )


def _issuer(tls: Mapping[str, Any]) -> IssuerName:
    subject, spki = _bytes(tls, "CertIssuerSubject"), _bytes(tls, "CertIssuerPublicKey")
    return IssuerName(subject=subject, spki=spki)


def _bytes(members: Mapping[str, Any], name: str) -> bytes:
    with suppress(ValueError):
        return base64.b64decode(_text(members, name), validate=True)
    return b""


def _unix_time(text: str) -> float | None:
    with suppress(ValueError):
        moment = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
        return moment.timestamp() if moment.tzinfo else None
    return None


def _version(members: Mapping[str, Any]) -> int:
    index = _sub(members, "Version").get("Index")
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise _unexpected("Version")
    return index


def _members(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _unexpected(where)
    return value


def _sub(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = members.get(name)
    return value if isinstance(value, dict) else _EMPTY


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


def _required(members: Mapping[str, Any], name: str, where: str) -> str:
    text = _text(members, name)
    if not text:
        raise _unexpected(f"{name} in {where}")
    return text


def _unexpected(what: str) -> Unavailable:
    return Unavailable(
        f"expected {what} as Docker Engine describes it, got something else",
        hint="check that a Docker Engine of version 19.03 or later listens there",
    )
