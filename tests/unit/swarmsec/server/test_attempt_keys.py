"""What failed joins count against: never something that a stranger can say as well."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from cryptography import x509

from ca.requests import SigningRequest
from swarmsec.http import ANONYMOUS, Caller, Request
from swarmsec.server.node_api import CheckAnswer, JoinAnswer, build_node_routes

CALLER = Caller(role=ANONYMOUS, name="", address="192.0.2.1")
TOKEN = "SWMTKN-1-" + "0" * 50 + "-" + "1" * 25
GUESS = "SWMTKN-1-" + "0" * 50 + "-" + "2" * 25


class _Service:
    """Answers nothing; only the routes' keys are asked for."""

    def root_bundle(self) -> bytes:
        return b""

    async def join(
        self, caller: Caller, token: str, signing_request: SigningRequest, name: str | None, request_id: str
    ) -> JoinAnswer:
        raise AssertionError

    async def renew(self, caller: Caller, signing_request: SigningRequest, request_id: str) -> JoinAnswer:
        raise AssertionError

    async def check(self, caller: Caller, roots_sha256: bytes, request_id: str) -> CheckAnswer:
        raise AssertionError

    async def recover(
        self, caller: Caller, token: str, proof: SigningRequest | x509.Certificate, request_id: str
    ) -> JoinAnswer:
        raise AssertionError

    async def certificates(self) -> Sequence[Mapping[str, object]]:
        return []

    async def policies(self) -> Sequence[Mapping[str, object]]:
        return []


async def _check(data: bytes) -> SigningRequest:
    raise AssertionError


def _keys(**members: object) -> tuple[str, ...]:
    (route,) = [route for route in build_node_routes(_Service(), _check) if route.name == "node.join"]
    body = json.dumps({"csr": "x", **members}).encode()
    return route.attempt_keys(Request(method="POST", path=route.path, caller=CALLER, request_id="1", body=body))


def test_a_wrong_guess_does_not_count_against_the_right_token() -> None:
    assert not set(_keys(token=TOKEN)) & set(_keys(token=GUESS))


def test_a_guess_does_not_count_against_the_name_it_gives() -> None:
    assert not set(_keys(token=TOKEN, name="n1")) & set(_keys(token=GUESS, name="n1"))


def test_the_same_token_counts_together_and_does_not_show() -> None:
    (key,) = _keys(token=TOKEN)

    assert _keys(token=TOKEN, name="n2") == (key,)
    assert TOKEN not in key
    assert "1" * 25 not in key


def test_a_body_that_is_none_counts_by_address_alone() -> None:
    assert _keys(token=5) == ()
