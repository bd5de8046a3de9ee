"""Targets of what the network brings to the server: targets, bodies, signing requests, roles, unlock messages."""

from __future__ import annotations

import asyncio
import json
import struct
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

from ca.errors import CaError
from ca.identity import NodeIdentity, NodeRole
from ca.requests import SigningRequest, parse_signing_request
from ca.swarm_requests import check_swarm_request
from swarmsec.docker.external_ca import parse_sign_request
from swarmsec.errors import UsageProblem
from swarmsec.http import ANONYMOUS, Caller, Request, Role, Route
from swarmsec.keys.errors import WrongUnlock
from swarmsec.secretbytes import SecretBytes
from swarmsec.server.addresses import is_loopback, parse_peer, site_of
from swarmsec.server.node_api import CheckAnswer, JoinAnswer, JoinBody, build_node_routes, parse_body
from swarmsec.server.targets import parse_target
from swarmsec.services.access.manage_access import parse_identity_name, parse_identity_role
from swarmsec.wiring.homes.unlocking import SOCKET_NAME, UnlockSocket
from tests.fuzz.engine import CheckFailed, Target
from tests.fuzz.material import CLUSTER, NODE, PASSWORD, REQUEST_PEM, ROOT_PEM, SECRET, text_of
from tests.fuzz.targets_ca import TOKEN

_CALLER = Caller(role=ANONYMOUS, name="", address="192.0.2.1")
_MANAGER = NodeIdentity(cluster_id=CLUSTER, role=NodeRole.MANAGER, node_id=NODE)
_LENGTH = struct.Struct(">I")


def _target(data: bytes) -> None:
    target = parse_target(text_of(data))
    texts = [*target.segments, *target.query, *target.query.values()]
    if any(character < " " for text in texts for character in text) or {".", ".."} & set(target.segments):
        raise CheckFailed("expected no control characters and no dot segments")
    if len(target.query) > 32 or any(0xD800 <= ord(character) < 0xE000 for text in texts for character in text):
        raise CheckFailed("expected few fields of Unicode text")


def _body(data: bytes) -> None:
    body = parse_body(JoinBody, data)
    if len(body.token) > 128 or SECRET in repr(body):
        raise CheckFailed("expected a bounded token that does not show")


class _JoinService:
    """Takes every request that is well formed."""

    def root_bundle(self) -> bytes:
        return b""

    async def join(
        self, caller: Caller, token: str, signing_request: object, name: str | None, request_id: str
    ) -> JoinAnswer:
        return JoinAnswer(node_id=name or "", role="worker", certificate="", root_bundle="")

    async def renew(self, caller: Caller, signing_request: object, request_id: str) -> JoinAnswer:
        return JoinAnswer(node_id="", role="worker", certificate="", root_bundle="")

    async def check(self, caller: Caller, roots_sha256: bytes, request_id: str) -> CheckAnswer:
        return CheckAnswer(root_bundle="", cross_signed="", renew=False, retry_after=0, phase="")

    async def recover(self, caller: Caller, token: str, proof: object, request_id: str) -> JoinAnswer:
        return JoinAnswer(node_id="", role="worker", certificate="", root_bundle="")

    async def certificates(self) -> list[dict[str, object]]:
        return []

    async def policies(self) -> list[dict[str, object]]:
        return []


async def _check(data: bytes) -> SigningRequest:
    return parse_signing_request(data)


_ROUTES = {route.name: route for route in build_node_routes(_JoinService(), _check)}


def _join(data: bytes) -> None:
    _redeem(_ROUTES["node.join"], data)


def _recover(data: bytes) -> None:
    _redeem(_ROUTES["node.recover"], data)


def _redeem(route: Route, data: bytes) -> None:
    """The route as a whole, with what a failed attempt would count against."""
    request = Request(method="POST", path=route.path, caller=_CALLER, request_id="", body=data)
    keys = route.attempt_keys(request)
    if len(keys) > 2 or any(SECRET in key or len(key) > 96 for key in keys):
        raise CheckFailed("expected few and short keys without the secret")
    # The handler waits for nothing here, and a loop for each input would cost more than the parsing.
    steps = cast(Generator[Any, Any, object], route.handler(request).__await__())
    try:
        steps.send(None)
    except StopIteration:
        return
    raise CheckFailed("expected a handler that waits for nothing")


def _sign_request(data: bytes) -> None:
    wanted, asked = parse_sign_request(data)
    request = parse_signing_request(asked)
    identity = check_swarm_request(wanted, caller=_MANAGER, cluster_id=CLUSTER)
    if identity.cluster_id != CLUSTER or not request.spki_der:
        raise CheckFailed("expected an identity of the cluster")


def _role(data: bytes) -> None:
    text = text_of(data)
    if str(Role.parse(text)) != text:
        raise CheckFailed("expected one text for one role")


def _identity_role(data: bytes) -> None:
    text = text_of(data)
    if str(parse_identity_role(text)) != text or not text.isprintable():
        raise CheckFailed("expected one printable text for one role")


def _identity_name(data: bytes) -> None:
    name = parse_identity_name(text_of(data))
    if not name.isascii() or len(name) > 63:
        raise CheckFailed("expected a short name in ASCII")


def _peer(data: bytes) -> None:
    peer = parse_peer((text_of(data), 443))
    if peer != "unknown" and parse_peer((peer, 443)) != peer:
        raise CheckFailed("expected one spelling of one address")
    is_loopback(peer)
    site_of(peer)


def _unlock(data: bytes) -> None:
    """Bytes on the unlock socket; the server answers with a framed message or closes, and stays there."""
    with tempfile.TemporaryDirectory() as home, asyncio.Runner() as runner:
        runner.run(_talk(Path(home), data))


async def _talk(home: Path, data: bytes) -> None:
    failures: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    sock = UnlockSocket(home, _refuse, lambda: None)
    await sock.start()
    try:
        answer = await _ask(home, data)
    finally:
        await sock.stop()
    if failures:
        raise CheckFailed(f"expected no exception to escape, got {failures[0]}")
    if answer and _LENGTH.unpack(answer[:4])[0] != len(answer) - 4:
        raise CheckFailed("expected one framed answer or none")
    if (answer and not answer[4:].startswith(b"no ")) or PASSWORD.encode() in answer:
        raise CheckFailed("expected a refusal without the passphrase")


async def _ask(home: Path, data: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(home / SOCKET_NAME)
    try:
        writer.write(data)
        writer.write_eof()
        return await reader.read()
    except ConnectionError:
        return b""  # it read as much as it takes and closed
    finally:
        writer.close()


def _refuse(passphrase: SecretBytes) -> None:
    raise WrongUnlock("the seal does not open with what was given")


_REQUEST = json.dumps(
    {
        "certificate_request": REQUEST_PEM.decode(),
        "hosts": ["swarm-worker", NODE],
        "subject": {"CN": NODE, "names": [{"O": CLUSTER, "OU": "swarm-worker"}]},
        "profile": "",
    }
).encode()
_RECOVER_BODY = json.dumps({"token": TOKEN, "csr": REQUEST_PEM.decode()}).encode()
_SHOWN_BODY = json.dumps({"token": TOKEN, "certificate": ROOT_PEM.decode()}).encode()
_BODY = json.dumps({"token": TOKEN, "csr": REQUEST_PEM.decode(), "name": "worker-1"}).encode()
_JSON_WORDS = (b'"', b"{}", b"[]", b",", b":", b'{"a":1}', b'"\\ud800"', b"1e3", b"true", b"null", b'"O":', b'"hosts":')

TARGETS = (
    Target(
        name="request-target",
        run=_target,
        seeds=(
            b"/api/v1/ca/bundle",
            b"/api/v1/x/%C3%A9?a=1&b=%2F+c",
            b"/?" + b"&".join(b"a%d=1" % n for n in range(33)),
        ),
        allowed=(UsageProblem,),
        covers=("swarmsec.server.targets.parse_target",),
        words=(b"/..", b"/%2e%2e", b"?", b"&", b"=", b"%2F", b"http://a/", b"*", b"#", b";", b"//"),
    ),
    Target(
        name="join-body",
        run=_body,
        seeds=(
            _BODY,
            _BODY.replace(b'"name"', b'"other"'),
            # Names of members are the sender's words, too.
            b'{"token":"a","csr":"b","%b":1}' % (b"c" * 3000),
            b'{"token":"a","csr":"b","\\u001b[2J":1}',
        ),
        allowed=(UsageProblem,),
        covers=("swarmsec.server.node_api.parse_body",),
        words=_JSON_WORDS,
        secrets=(SECRET,),
    ),
    Target(
        name="join-route",
        run=_join,
        seeds=(_BODY,),
        allowed=(UsageProblem, CaError),
        covers=("swarmsec.server.node_api.parse_body",),
        words=_JSON_WORDS,
        secrets=(SECRET,),
    ),
    Target(
        name="recover-route",
        run=_recover,
        seeds=(_RECOVER_BODY, _SHOWN_BODY),
        allowed=(UsageProblem, CaError),
        covers=("swarmsec.server.node_api.parse_body",),
        words=_JSON_WORDS,
        secrets=(SECRET,),
    ),
    Target(
        name="sign-request",
        run=_sign_request,
        seeds=(
            _REQUEST,
            # JSON can name half of a character, which has no bytes.
            _REQUEST.replace(b"-----BEGIN", b"\\ud800-----BEGIN"),
            _REQUEST.replace(NODE.encode(), b"\\udfff"),
        ),
        allowed=(UsageProblem, CaError),
        covers=("swarmsec.docker.external_ca.parse_sign_request", "ca.swarm_requests.check_swarm_request"),
        words=(*_JSON_WORDS, b"swarm-manager", b"swarm-ca", b'"names":[]'),
    ),
    Target(
        name="role",
        run=_role,
        seeds=(b"admin", b"signer:registry.example/shop/api", b"node:" + NODE.encode(), b"x" * 2000),
        allowed=(ValueError,),
        covers=("swarmsec.http.Role.parse",),
        words=(b":", b"agent", b"anonymous", b"swarm-manager"),
    ),
    Target(
        name="identity-role",
        run=_identity_role,
        seeds=(b"operator", b"signer:registry.example/shop/api", b"agent:worker-1", b"signer:./\xd9"),
        allowed=(UsageProblem,),
        covers=("swarmsec.services.access.manage_access.parse_identity_role",),
        words=(b":", b"node", b"anonymous", b"swarm-manager", b"driver", b"*"),
    ),
    Target(
        name="identity-name",
        run=_identity_name,
        seeds=(b"alice", b"shop-ci.example", b"alice@example.com"),
        allowed=(UsageProblem,),
        covers=("swarmsec.services.access.manage_access.parse_identity_name",),
    ),
    Target(
        name="peer-address",
        run=_peer,
        seeds=(b"192.0.2.1", b"::ffff:127.0.0.1", b"fe80::1%eth0", b"2001:db8::1"),
        allowed=(),
        covers=("swarmsec.server.addresses.parse_peer",),
        words=(b"%", b"::", b"."),
    ),
    Target(
        name="unlock-socket",
        run=_unlock,
        seeds=(
            _LENGTH.pack(7 + len(PASSWORD)) + b"unlock " + PASSWORD.encode(),
            _LENGTH.pack(4) + b"root",
            _LENGTH.pack(2**32 - 1) + b"root",
        ),
        allowed=(),
        covers=("swarmsec.wiring.homes.unlocking.UnlockSocket",),
        words=(b"unlock ", b"root"),
        is_slow=True,
    ),
)
