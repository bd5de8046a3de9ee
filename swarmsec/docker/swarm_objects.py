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
from swarmsec.services.swarm.swarm_records import EngineInfo, ExternalCa, IssuerName, SwarmNode, SwarmState

_FRACTION: Final = re.compile(r"(\.\d{6})\d*")
_EMPTY: Final[Mapping[str, Any]] = {}


def parse_info(document: object) -> EngineInfo:
    """``GET /info``.

    Raises:
        Unavailable: it is not that.
    """
    info = members_of(document, "/info")
    swarm = sub_members(info, "Swarm")
    return EngineInfo(
        version=text_of(info, "ServerVersion"),
        swarm_state=text_of(swarm, "LocalNodeState") or "inactive",
        node_id=text_of(swarm, "NodeID"),
        is_manager=swarm.get("ControlAvailable") is True,
        unix_time=_unix_time(text_of(info, "SystemTime")),
        problem=text_of(swarm, "Error"),
    )


def parse_swarm(document: object) -> SwarmState:
    """``GET /swarm``.

    Raises:
        Unavailable: it is not that.
    """
    swarm = members_of(document, "/swarm")
    spec = members_of(swarm.get("Spec"), "Spec of /swarm")
    tls = sub_members(swarm, "TLSInfo")
    authorities = sub_members(spec, "CAConfig").get("ExternalCAs") or []
    if not isinstance(authorities, list):
        raise _unexpected("ExternalCAs of /swarm")
    return SwarmState(
        id=required_text(swarm, "ID", "/swarm"),
        version=object_version(swarm),
        spec=spec,
        root_pem=required_text(tls, "TrustRoot", "TLSInfo of /swarm"),
        issuer=_issuer(tls),
        is_rotating=swarm.get("RootRotationInProgress") is True,
        is_autolocked=sub_members(spec, "EncryptionConfig").get("AutoLockManagers") is True,
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
    node = members_of(document, "/nodes")
    spec, description, status = sub_members(node, "Spec"), sub_members(node, "Description"), sub_members(node, "Status")
    manager, tls = sub_members(node, "ManagerStatus"), sub_members(description, "TLSInfo")
    wanted = text_of(spec, "Role") or "worker"
    return SwarmNode(
        id=required_text(node, "ID", "/nodes"),
        version=object_version(node),
        hostname=text_of(description, "Hostname"),
        # The API shows no role but the wished one; being listed as a manager is what shows the real one.
        role="manager" if manager else "worker",
        wanted_role=wanted,
        state=text_of(status, "State") or "unknown",
        address=text_of(status, "Addr"),
        engine_version=text_of(sub_members(description, "Engine"), "EngineVersion"),
        is_leader=manager.get("Leader") is True,
        manager_address=text_of(manager, "Addr"),
        root_pem=text_of(tls, "TrustRoot"),
        issuer=_issuer(tls),
        spec=spec,
    )


def _external(item: object) -> ExternalCa:
    members = members_of(item, "ExternalCAs of /swarm")
    return ExternalCa(
        protocol=text_of(members, "Protocol") or "cfssl",
        url=text_of(members, "URL"),
        root_pem=text_of(members, "CACert"),
    )


def _issuer(tls: Mapping[str, Any]) -> IssuerName:
    subject, spki = _bytes(tls, "CertIssuerSubject"), _bytes(tls, "CertIssuerPublicKey")
    return IssuerName(subject=subject, spki=spki)


def _bytes(members: Mapping[str, Any], name: str) -> bytes:
    with suppress(ValueError):
        return base64.b64decode(text_of(members, name), validate=True)
    return b""


def _unix_time(text: str) -> float | None:
    with suppress(ValueError):
        moment = datetime.fromisoformat(_FRACTION.sub(r"\1", text))
        return moment.timestamp() if moment.tzinfo else None
    return None


def object_version(members: Mapping[str, Any]) -> int:
    """The version of an object, which a write must name.

    Raises:
        Unavailable: it has none.
    """
    index = sub_members(members, "Version").get("Index")
    if not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise _unexpected("Version")
    return index


def members_of(value: object, where: str) -> Mapping[str, Any]:
    """The members of a JSON object.

    Raises:
        Unavailable: it is none; ``where`` names it.
    """
    if not isinstance(value, dict):
        raise _unexpected(where)
    return value


def sub_members(members: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The members of an object within; none where there is no such object."""
    value = members.get(name)
    return value if isinstance(value, dict) else _EMPTY


def text_of(members: Mapping[str, Any], name: str) -> str:
    """A text within; empty where there is none."""
    value = members.get(name)
    return value if isinstance(value, str) else ""


def required_text(members: Mapping[str, Any], name: str, where: str) -> str:
    """A text that must be there.

    Raises:
        Unavailable: it is not; ``where`` names the object.
    """
    text = text_of(members, name)
    if not text:
        raise _unexpected(f"{name} in {where}")
    return text


def _unexpected(what: str) -> Unavailable:
    return Unavailable(
        f"expected {what} as Docker Engine describes it, got something else",
        hint="check that a Docker Engine of version 19.03 or later listens there",
    )
