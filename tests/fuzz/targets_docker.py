"""Targets of what a Docker Engine answers, and of the addresses that people give for one."""

from __future__ import annotations

import json

import msgspec

from ca.errors import CaError, InvalidRequest
from swarmsec.docker.control_messages import parse_node_list
from swarmsec.docker.endpoint import DockerEndpoint
from swarmsec.docker.engine import engine_words, refusal_of
from swarmsec.docker.external_ca import parse_cross_sign_request
from swarmsec.docker.grpc_call import parse_answer
from swarmsec.docker.protobuf import MalformedMessage, parse_fields
from swarmsec.docker.secret_driver import parse_secret_request
from swarmsec.docker.service_objects import parse_each, parse_secret, parse_service, parse_task
from swarmsec.docker.swarm_control import ControlDoor
from swarmsec.docker.swarm_objects import parse_info, parse_node, parse_nodes, parse_swarm
from swarmsec.errors import Denied, Unavailable, UsageProblem
from swarmsec.server.driver_metrics import parse_loopback
from swarmsec.services.secrets.service_records import TaskState
from swarmsec.services.swarm.told_certificates import match_certificate
from swarmsec.wiring.swarm.signing_endpoint import SigningUrl
from tests.fuzz.engine import CheckFailed, Target
from tests.fuzz.material import PASSWORD, REQUEST_PEM, ROOT_PEM, text_of
from tests.peers.simulated_manager import tls_info

_ROOT = ROOT_PEM.decode()
_TLS = tls_info(_ROOT, _ROOT)
_SWARM = {
    "ID": "c1",
    "Version": {"Index": 7},
    "Spec": {"CAConfig": {"ExternalCAs": [{"Protocol": "cfssl", "URL": "https://a", "CACert": _ROOT}]}},
    "TLSInfo": _TLS,
    "RootRotationInProgress": False,
}
_NODE = {
    "ID": "n1",
    "Version": {"Index": 7},
    "Spec": {"Role": "manager"},
    "Description": {"Hostname": "m1", "TLSInfo": _TLS},
    "Status": {"State": "ready"},
    "ManagerStatus": {"Leader": True},
}
_CROSS = {
    "hosts": None,
    "certificate_request": REQUEST_PEM.decode(),
    "subject": {"CN": "swarm-ca", "names": []},
    "profile": "CA",
    "extensions": [{"id": "2.5.29.19", "critical": True, "value": "30030101ff"}],
}
_INFO = {"ServerVersion": "20.10", "SystemTime": "2026-01-01T00:00:00.123456789Z", "Swarm": {"NodeID": "n1"}}


def _document(data: bytes) -> object:
    try:
        return msgspec.json.decode(data)
    except (ValueError, RecursionError):
        return None


def _endpoint(data: bytes) -> None:
    endpoint = DockerEndpoint.parse(text_of(data))
    if DockerEndpoint.parse(endpoint.url) != endpoint or not endpoint.url.isprintable():
        raise CheckFailed("expected one printable address")


def _info(data: bytes) -> None:
    info = parse_info(_document(data))
    if not isinstance(info.swarm_state, str):
        raise CheckFailed("expected a state")


def _swarm(data: bytes) -> None:
    state = parse_swarm(_document(data))
    if not state.id or not state.root_pem or state.version < 0:
        raise CheckFailed("expected a Swarm with its id and root")


def _nodes(data: bytes) -> None:
    nodes = parse_nodes(_document(data))
    if [parse_node(item) for item in msgspec.json.decode(data)] != nodes or any(not node.id for node in nodes):
        raise CheckFailed("expected nodes with their ids")


def _signing_url(data: bytes) -> None:
    text = text_of(data)
    try:
        url = SigningUrl.parse(text)
    except UsageProblem as error:
        if "@" in text and PASSWORD in str(error):
            raise CheckFailed("expected no password in the error") from None
        raise
    if SigningUrl.parse(url.text) != url or not url.text.startswith("https://") or not url.text.isprintable():
        raise CheckFailed("expected one address of an endpoint")


def _cross_sign(data: bytes) -> None:
    document = _document(data)
    found = parse_cross_sign_request(document) if isinstance(document, dict) else None
    if found is not None and (found[0].profile != "CA" or not found[1].key.spki_der):
        raise CheckFailed("expected the profile and a key")


def _refusal(data: bytes) -> None:
    words, error = engine_words(data), refusal_of(int.from_bytes(data[:2], "big") % 600, data, "x")
    if not words.isprintable() or not str(error):
        raise CheckFailed("expected printable words")


def _service(data: bytes) -> None:
    service = parse_service(_document(data))
    if not service.id or not service.name:
        raise CheckFailed("expected a service with its id and name")


def _task(data: bytes) -> None:
    if not parse_task(_document(data)).id:
        raise CheckFailed("expected a task with its id")


def _each(data: bytes) -> None:
    task_id = str(_TASK["ID"])
    for name, found in parse_each(_document(data), {task_id}, parse_task).items():
        if name != task_id or (isinstance(found, TaskState) and found.id != task_id):
            raise CheckFailed("expected the task that was asked for, or why it cannot be read")


def _secret(data: bytes) -> None:
    if not parse_secret(_document(data)).name:
        raise CheckFailed("expected a secret with its name")


def _loopback(data: bytes) -> None:
    host, port = parse_loopback(text_of(data))
    if host in {"0.0.0.0", "::"} or not 0 <= port <= 65_535:  # what must not come through
        raise CheckFailed("expected a loopback address")


def _secret_request(data: bytes) -> None:
    request = parse_secret_request(data)
    if not all((text + "a").isalnum() for text in (request.task_id, request.service_id, request.node_id)):
        raise CheckFailed("expected plain ids")
    request.secret_name.encode()


def _fields(data: bytes) -> None:
    total = sum(0 if isinstance(value, int) else len(value) for _, value in parse_fields(memoryview(data)))
    if total > len(data):
        raise CheckFailed("expected no more bytes than there are")


def _node_list(data: bytes) -> None:
    for node_id, told in parse_node_list(data).items():
        if not node_id.isascii() or told not in data:
            raise CheckFailed("expected an id, and bytes that were told")
        match_certificate(told, _SIMULATED, "c1")


def _answer(data: bytes) -> None:
    status, _, content = data.partition(b"\n")
    message = parse_answer({":status": "200", "grpc-status": text_of(status), "grpc-message": text_of(data)}, content)
    if message != content[5:]:
        raise CheckFailed("expected the message")


def _door(data: bytes) -> None:
    door = ControlDoor.parse(text_of(data))
    if ControlDoor.parse(str(door)) != door or not str(door).isprintable():
        raise CheckFailed("expected one address")


def field(number: int, content: bytes) -> bytes:
    """A field of bytes, shorter than 16 KiB, as Protocol Buffers write it."""
    size = len(content)
    return bytes([number << 3 | 2, size & 0x7F | 0x80, size >> 7]) + content


_SIMULATED = parse_node(_NODE)
_TOLD = field(1, field(1, b"n1") + b"\x48\x01" + field(8, b"\x08\x01" + field(4, _ROOT.encode())))
_CONTAINER = {"Image": "a/b:c", "Secrets": [{"File": {"Name": "db", "Mode": 256}, "SecretID": "s", "SecretName": "n"}]}
_SERVICE = {"ID": "a", "Version": {"Index": 1}, "Spec": {"Name": "n", "TaskTemplate": {"ContainerSpec": _CONTAINER}}}
_TASK = {"ID": "a", "ServiceID": "b", "NodeID": "c", "Spec": {"ContainerSpec": _CONTAINER}, "Status": {"State": "new"}}
_SECRET = {"ID": "a", "Spec": {"Name": "n", "Labels": {"k": "v"}, "Driver": {"Name": "swarmsec"}}}
_REQUEST = {
    "SecretName": "team.app.db",
    "SecretLabels": {"io.swarmsec.name": "team/app/db"},
    "ServiceID": "a1",
    "ServiceName": "shop_api",
    "TaskID": "b2",
    "NodeID": "c3",
}
_WORDS = (b'"', b"{}", b"[]", b",", b":", b"null", b"true", b"-1", b"1e400", b'"TLSInfo"', b'"\\ud800"')

TARGETS = (
    Target(
        name="docker-endpoint",
        run=_endpoint,
        seeds=(b"unix:///var/run/docker.sock", b"tcp://m1:2376", b"ssh://m1"),
        allowed=(UsageProblem,),
        covers=("swarmsec.docker.endpoint.DockerEndpoint.parse",),
        words=(b"tcp://", b"unix://", b"[::1]", b"@", b"?", b"#", b":0"),
    ),
    Target(
        name="signing-url",
        run=_signing_url,
        seeds=(
            b"https://ca.example.internal:8443",
            b"https://[2001:db8::1]/sign",
            b"https://a:%b@b" % PASSWORD.encode(),
        ),
        allowed=(UsageProblem, InvalidRequest),
        covers=("swarmsec.wiring.swarm.signing_endpoint.SigningUrl.parse",),
        words=(b"https://", b"/", b"//", b"..", b"@", b":", b"[", b"]", b"?", b"#", b"%", b":0"),
    ),
    Target(
        name="cross-sign-request",
        run=_cross_sign,
        seeds=(json.dumps(_CROSS).encode(), b'{"profile":""}'),
        allowed=(UsageProblem, CaError),
        covers=("swarmsec.docker.external_ca.parse_cross_sign_request",),
        words=(*_WORDS, b'"profile":"CA"', b'"names":[]'),
    ),
    Target(
        name="docker-info",
        run=_info,
        seeds=(json.dumps(_INFO).encode(),),
        allowed=(Unavailable,),
        covers=("swarmsec.docker.swarm_objects.parse_info",),
        words=_WORDS,
    ),
    Target(
        name="docker-swarm",
        run=_swarm,
        seeds=(json.dumps(_SWARM).encode(),),
        allowed=(Unavailable,),
        covers=("swarmsec.docker.swarm_objects.parse_swarm",),
        words=_WORDS,
    ),
    Target(
        name="docker-nodes",
        run=_nodes,
        seeds=(json.dumps([_NODE]).encode(), b"[]"),
        allowed=(Unavailable,),
        covers=("swarmsec.docker.swarm_objects.parse_nodes", "swarmsec.docker.swarm_objects.parse_node"),
        words=_WORDS,
    ),
    Target(
        name="docker-refusal",
        run=_refusal,
        seeds=(b'{"message":"rpc error: code = Unknown desc = update out of sequence"}', b"<html>"),
        allowed=(),
        covers=("swarmsec.docker.engine.engine_words",),
        words=(b"rpc error: code = ", b" desc = ", b'"message":', b"\\u001b"),
    ),
    Target(
        name="protobuf",
        run=_fields,
        seeds=(_TOLD, b"\x08\x96\x01\x11" + bytes(8) + b"\x1d" + bytes(4)),
        allowed=(MalformedMessage,),
        covers=("swarmsec.docker.protobuf.parse_fields",),
        words=(b"\xff" * 9, b"\x80", b"\x0b", b"\x0a\x7f"),
    ),
    Target(
        name="control-nodes",
        run=_node_list,
        seeds=(_TOLD, _TOLD + field(1, field(1, b"n2")), b""),
        allowed=(Unavailable,),
        covers=("swarmsec.docker.control_messages.parse_node_list",),
        words=(b"\xff" * 9, b"\x0a\x02", b"\x42", b"-----BEGIN CERTIFICATE-----"),
    ),
    Target(
        name="grpc-answer",
        run=_answer,
        seeds=(b"0\n\0\0\0\0\3abc", b"7\n", b"2\n"),
        allowed=(Unavailable, Denied),
        covers=("swarmsec.docker.grpc_call.parse_answer",),
        words=(b"%1b", b"%", b"\0\0\0\0\0", b"16"),
    ),
    Target(
        name="control-door",
        run=_door,
        seeds=(b"10.0.0.1:2377", b"[2001:db8::1]:2377"),
        allowed=(UsageProblem,),
        covers=("swarmsec.docker.swarm_control.ControlDoor.parse",),
        words=(b":", b"[", b"]", b":0", b"0x1"),
    ),
    Target(
        name="docker-service",
        run=_service,
        seeds=(json.dumps(_SERVICE).encode(),),
        allowed=(Unavailable,),
        covers=("swarmsec.docker.service_objects.parse_service",),
        words=_WORDS,
    ),
    Target(
        name="docker-task",
        run=_task,
        seeds=(json.dumps(_TASK).encode(),),
        allowed=(Unavailable,),
        covers=("swarmsec.docker.service_objects.parse_task",),
        words=_WORDS,
    ),
    Target(
        name="docker-tasks",
        run=_each,
        seeds=(json.dumps([_TASK, {"ID": "another"}]).encode(), b"null"),
        allowed=(Unavailable,),
        covers=("swarmsec.docker.service_objects.parse_each",),
        words=_WORDS,
    ),
    Target(
        name="docker-secret",
        run=_secret,
        seeds=(json.dumps(_SECRET).encode(),),
        allowed=(Unavailable,),
        covers=("swarmsec.docker.service_objects.parse_secret",),
        words=_WORDS,
    ),
    Target(
        name="secret-request",
        run=_secret_request,
        seeds=(json.dumps(_REQUEST).encode(), b"{}"),
        allowed=(UsageProblem,),
        covers=("swarmsec.docker.secret_driver.parse_secret_request",),
        words=(*_WORDS, b'"TaskID":', b'"SecretLabels":{', b"NaN"),
    ),
    Target(
        name="loopback",
        run=_loopback,
        seeds=(b"127.0.0.1:9327", b"[::1]:0", b"0.0.0.0:1"),
        allowed=(UsageProblem,),
        covers=("swarmsec.server.driver_metrics.parse_loopback",),
    ),
)
