"""The signing endpoint: what is read of a request, and which answers are final."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.cross_requests import CrossSignRequest
from ca.errors import CaError
from ca.requests import RootRequest, SigningRequest, parse_signing_request
from ca.swarm_requests import SwarmRequest
from swarmsec.docker import external_ca
from swarmsec.docker.external_ca import MAX_BODY, MAX_HOSTS, build_sign_route, parse_sign_request
from swarmsec.errors import Denied, IntegrityFailure, TooManyAttempts, Unavailable, UsageProblem
from swarmsec.http import Caller, Request, Response, Role, RoleKind
from tests.peers.cfssl import DockerGeneration, build_cross_sign_request, build_node_csr, build_sign_request
from tests.unit.swarmsec.docker.test_cross_signing import document
from tests.unit.swarmsec.services.desk import new_key

KEY = new_key()
CALLER = Caller(role=Role(kind=RoleKind.SWARM_MANAGER, scope="m1"), name="m1", address="192.0.2.1", cluster_id="c1")


def _body(generation: DockerGeneration = DockerGeneration.DOCKER_25, role: str = "swarm-worker") -> bytes:
    return build_sign_request(build_node_csr(KEY), node_id="n1", cluster_id="c1", role=role, generation=generation)


def _changed(**members: object) -> bytes:
    return json.dumps(json.loads(_body()) | members).encode()


def _answer(body: bytes, outcome: bytes | Exception = b"PEM", refused: list[str] | None = None) -> Any:
    async def sign(caller: Caller, wanted: SwarmRequest, signing_request: SigningRequest, request_id: str) -> bytes:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def refuse(caller: Caller, reason: str, request_id: str) -> None:
        if refused is None:
            raise Unavailable("the refusal cannot be logged")
        refused.append(reason)

    async def cross_sign(caller: Caller, wanted: CrossSignRequest, root: RootRequest, request_id: str) -> bytes:
        return b"CROSS"

    async def check(data: bytes) -> SigningRequest:
        return parse_signing_request(data)

    route = build_sign_route(sign, cross_sign, refuse, check)
    request = Request(method="POST", path=route.path, caller=CALLER, request_id="r1", body=body)

    async def handle() -> Response:
        return await route.handler(request)

    response = asyncio.run(handle())
    return response.status, json.loads(response.body)


@pytest.mark.parametrize("generation", list(DockerGeneration))
def test_both_shapes_say_the_same(generation: DockerGeneration) -> None:
    wanted, asked = parse_sign_request(_body(generation, "swarm-manager"))

    assert wanted == SwarmRequest(
        common_name="n1",
        organization="c1",
        organizational_unit="swarm-manager",
        hosts=["swarm-manager", "n1", "swarm-ca"],
        profile="",
    )
    assert parse_signing_request(asked).spki_der


def test_a_certificate_is_answered_as_cfssl_does() -> None:
    assert _answer(_body()) == (
        200,
        {"success": True, "result": {"certificate": "PEM"}, "errors": [], "messages": []},
    )


def test_a_request_for_a_root_goes_another_way() -> None:
    status, answer = _answer(json.dumps(document()).encode())
    assert (status, answer["result"]) == (200, {"certificate": "CROSS"})


@pytest.mark.parametrize("error", [Denied("no"), UsageProblem("no"), CaError("no")])
def test_a_decision_is_final_for_the_manager(error: Exception) -> None:
    assert _answer(_body(), error) == (
        200,
        {"success": False, "result": None, "errors": [{"code": 1, "message": "no"}], "messages": []},
    )


@pytest.mark.parametrize(
    "error", [Unavailable("full"), TooManyAttempts("slow", retry_after=1), IntegrityFailure("broken"), KeyError("x")]
)
def test_what_may_pass_is_left_to_the_servers_own_answer(error: Exception) -> None:
    with pytest.raises(type(error)):
        _answer(_body(), error)


@pytest.mark.parametrize("generation", list(DockerGeneration))
def test_a_cross_signing_request_names_nobody(generation: DockerGeneration) -> None:
    with pytest.raises(UsageProblem, match="names"):
        parse_sign_request(build_cross_sign_request(build_node_csr(KEY), generation=generation))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"1",
        b"\xff",
        b"[" * MAX_BODY,
        _body()[:-1] + b',"profile":"CA"}',
        _body().replace(b'"CN":"n1"', b'"CN":"n2","CN":"n1"'),
        _changed(hosts=None),
        _changed(hosts="swarm-worker"),
        _changed(hosts=["x"] * (MAX_HOSTS + 1)),
        _changed(hosts=[1]),
        _changed(subject=None),
        _changed(subject=[]),
        _changed(subject={"CN": "n1"}),
        _changed(subject={"CN": "n1", "names": [1]}),
        _changed(subject={"CN": 1, "names": [{"O": "c1", "OU": "swarm-worker"}]}),
        _changed(profile=None),
        _changed(certificate_request=7),
        _changed(certificate_request="\ud800"),
    ],
)
def test_what_managers_do_not_send_is_refused(body: bytes) -> None:
    refused: list[str] = []

    status, document = _answer(body, refused=refused)

    assert (status, document["success"]) == (200, False)
    assert refused == [document["errors"][0]["message"]]


def test_a_refusal_that_cannot_be_logged_is_not_answered() -> None:
    with pytest.raises(Unavailable):
        _answer(b"{")


@pytest.mark.parametrize("generation", list(DockerGeneration))
def test_what_managers_send_is_read_the_quick_way(generation: DockerGeneration) -> None:
    body = _body(generation)

    read = external_ca._read_quickly(body)

    assert read is not None
    assert read.taken() == external_ca._node_request(json.loads(body))
    assert external_ca._read_quickly(json.dumps(json.loads(body)).encode()) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "CA", "n1", "\u00e9", "\ud800"]),
    lambda inner: st.lists(inner, max_size=MAX_HOSTS + 2) | st.dictionaries(st.sampled_from(["O", "OU", "a"]), inner),
    max_leaves=20,
)


@given(
    members=st.dictionaries(st.sampled_from(["hosts", "subject", "profile", "certificate_request", "a"]), VALUES),
    subject=st.dictionaries(st.sampled_from(["CN", "names", "a"]), VALUES),
    is_whole=st.booleans(),
)
def test_the_quick_way_reads_nothing_that_the_general_way_does_not(
    members: dict[str, object], subject: dict[str, object], is_whole: bool
) -> None:
    sent = json.loads(_body())
    sent = sent | members if is_whole else sent | {"subject": sent["subject"] | subject}
    body = json.dumps(sent, separators=(",", ":")).encode()

    read = external_ca._read_quickly(body)

    if read is not None:
        assert external_ca.parse_cross_sign_request(sent) is None
        assert read.taken() == external_ca._node_request(sent)


@pytest.mark.parametrize("value", [b"[" * 900 + b"]" * 900, b"%d" % 10**40, b"-%d" % 2**64, b"1e999", b"NaN", b"1.0"])
def test_what_the_quick_way_has_other_bounds_for_is_read_as_ever(value: bytes) -> None:
    body = _body()[:-1] + b',"unknown":' + value + b"}"

    wanted, _ = parse_sign_request(body)

    assert wanted.common_name == "n1"


def test_members_that_mean_nothing_are_ignored() -> None:
    wanted, _ = parse_sign_request(_changed(NotAfter="2099-01-01T00:00:00Z", extensions=[], request="x", serial="1"))

    assert wanted.common_name == "n1"
