"""Targets of what a Docker Engine answers, and of the addresses that people give for one."""

from __future__ import annotations

import json

import msgspec

from swarmsec.docker.endpoint import DockerEndpoint
from swarmsec.docker.engine import engine_words, refusal_of
from swarmsec.docker.swarm_objects import parse_info, parse_node, parse_nodes, parse_swarm
from swarmsec.errors import Unavailable, UsageProblem
from tests.fuzz.engine import CheckFailed, Target
from tests.fuzz.material import ROOT_PEM, text_of
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


def _refusal(data: bytes) -> None:
    words, error = engine_words(data), refusal_of(int.from_bytes(data[:2], "big") % 600, data, "x")
    if not words.isprintable() or not str(error):
        raise CheckFailed("expected printable words")


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
)
