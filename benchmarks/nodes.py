"""Many nodes in one process: they join, and follow a rotation of the root, each over connections of its own.

``python -m benchmarks.nodes`` reads what to do from its argument, makes keys and signing requests, says ``ready``, and
begins with the next line of its input. How far it is it says on its standard error, and prints as JSON how it went; it
gives up by itself when its time is over or its input ends. A node does what ``swarmsec node renew --daemon`` does,
without a process for each: it verifies the server under the roots that it trusts, shows its own certificate, asks which
roots to trust, takes the bundle, says so, renews with a new key when it is told to, shows the new certificate, and
calls again where a connection ends before the answer. It keeps its connection from one look to the next for as long as
it shows the same certificate, so nodes that follow have each had a look before it begins. Real ones look once a minute;
these all do as soon as the authority gives out both roots, for which one of them looks ten times a second. What a node
writes to its own disk is kept in memory here. It believes the answer because of its TLS connection alone, so the cost
of checking cross-certificates is not in here.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.calls import Call, Refused, Trust
from benchmarks.load import Outcome, Tally, outcome_of
from swarmsec.wiring.process.descriptors import raise_descriptor_limit

_WAIT_SECONDS: Final = 1.0
_SCOUT_SECONDS: Final = 0.1
_SAY_SECONDS: Final = 5.0
_MOST_ROUNDS: Final = 1000
_MOST_LOST: Final = 5
_OTHER_FILES: Final = 64
_END: Final = "-----END CERTIFICATE-----\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """What is to be done by how many nodes.

    ``directory`` has the nodes' keys and certificates, one file each; ``roots`` is what they trust; with a ``token``
    they join, and without one they follow a rotation. So many ``connections`` are at work at the same time; others may
    be kept beside them. After so many ``seconds`` it gives up.
    """

    port: int
    count: int
    directory: Path
    roots: Path
    token: str = ""
    connections: int = 64
    seconds: float = 600.0


@dataclass(slots=True)
class _Node:
    file: Path
    """Where key and certificate are from one crowd to the next."""
    key_pem: bytes
    """Of the next certificate."""
    request: str
    """For the next certificate, which has a key of its own, PEM."""
    trust: Trust
    identity: bytes | None = None
    """Key and certificate, once there is one, PEM."""
    call: Call | None = None
    """Its connection, while that is kept."""
    has_renewed: bool = False
    is_done: bool = False
    retry_after: float = 0.0
    lost: int = 0
    """Connections in a row that ended before an answer."""

    def hang_up(self) -> None:
        if self.call is not None:
            self.call.close()
            self.call = None


async def _run(crowd: Crowd, nodes: list[_Node]) -> Outcome:
    tally, places = Tally(), asyncio.Semaphore(crowd.connections)
    do = _join if crowd.token else _follow
    if not crowd.token:
        await asyncio.gather(*(_look(crowd, node, places) for node in nodes))
    # What lives as long as the process is not gone through again and again.
    gc.freeze()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    if not crowd.token:
        await _wait_for_both_roots(crowd, nodes[0])
    begun = time.perf_counter()
    work = [asyncio.create_task(_until_done(crowd, node, do, places, tally)) for node in nodes]
    waiting = set(work)
    given_up = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin, given_up.set)
    while waiting and not given_up.is_set() and (left := begun + crowd.seconds - time.perf_counter()) > 0:
        _, waiting = await asyncio.wait(waiting, timeout=min(left, _SAY_SECONDS))
        _say(nodes, time.perf_counter() - begun)
    for task in waiting:
        task.cancel()
    seconds = time.perf_counter() - begun
    for ended in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(ended, Exception):
            tally.fail(repr(ended))
    if crowd.token:
        # For the crowd that follows; what that has in the end is for nobody.
        for node in nodes:
            if node.identity is not None:
                node.file.write_bytes(node.identity)
    return replace(outcome_of(seconds, tally), undone=sum(not node.is_done for node in nodes))


async def _wait_for_both_roots(crowd: Crowd, scout: _Node) -> None:
    while True:
        call = await _called(crowd, scout)
        answer = await call.ask("/api/v1/node/check", {"roots_sha256": scout.trust.sha256})
        if Trust.of(answer["root_bundle"]) is not scout.trust:
            return
        await asyncio.sleep(_SCOUT_SECONDS)


def _say(nodes: list[_Node], seconds: float) -> None:
    done, renewed = sum(node.is_done for node in nodes), sum(node.has_renewed for node in nodes)
    more = f", {renewed:,} renewed" if renewed else ""
    print(f"  {done:,} of {len(nodes):,} done{more} after {seconds:.0f} s", file=sys.stderr, flush=True)


async def _until_done(
    crowd: Crowd,
    node: _Node,
    do: Callable[[Crowd, _Node, Call], Awaitable[None]],
    places: asyncio.Semaphore,
    tally: Tally,
) -> None:
    """Call as often as needed, with as many others at the same time as there are places."""
    for _ in range(_MOST_ROUNDS):
        async with places:
            begun = time.perf_counter()
            try:
                await do(crowd, node, await _called(crowd, node))
            except (OSError, EOFError, Refused) as error:
                node.hang_up()
                node.lost += 1
                if isinstance(error, Refused) or node.lost > _MOST_LOST:
                    tally.fail(f"{node.file.name}: {type(error).__name__} {error}")
                    return
                # The server ends handshakes that are under way while its roots change.
                tally.again += 1
                node.retry_after = _WAIT_SECONDS
            else:
                node.lost = 0
                tally.latencies.append(time.perf_counter() - begun)
        if node.is_done:
            return
        await asyncio.sleep(node.retry_after)
    tally.fail(f"{node.file.name}: no end after {_MOST_ROUNDS} calls")


async def _called(crowd: Crowd, node: _Node) -> Call:
    """The node's connection: the one that it kept, if the server has kept it too, or another."""
    if node.call is None or node.call.has_ended:
        node.call = node.trust.call(node.identity)
        await node.call.open(crowd.port)
    return node.call


async def _look(crowd: Crowd, node: _Node, places: asyncio.Semaphore) -> None:
    """Look as nodes do each minute, and keep the connection until the next time."""
    async with places:
        call = await _called(crowd, node)
        await call.ask("/api/v1/node/check", {"roots_sha256": node.trust.sha256})


async def _join(crowd: Crowd, node: _Node, call: Call) -> None:
    answer = await call.ask("/api/v1/node/join", {"token": crowd.token, "csr": node.request})
    node.identity = node.key_pem + answer["certificate"].encode()
    node.is_done = True
    node.hang_up()


async def _follow(_: Crowd, node: _Node, call: Call) -> None:
    answer = await call.ask("/api/v1/node/check", {"roots_sha256": node.trust.sha256})
    told = Trust.of(answer["root_bundle"])
    if told is not node.trust:
        node.trust = told
        answer = await call.ask("/api/v1/node/check", {"roots_sha256": told.sha256})
    node.retry_after = answer["retry_after"] or _WAIT_SECONDS
    # Shown the new certificate, the server has seen that this node is done.
    node.is_done = node.has_renewed
    if answer["renew"] and not node.has_renewed:
        renewed = await call.ask("/api/v1/node/renew", {"csr": node.request})
        node.identity = node.key_pem + _leaf(renewed["certificate"])
        node.has_renewed, node.retry_after = True, 0.0
        # The next connection shows the new certificate.
        node.hang_up()


def _leaf(chain: str) -> bytes:
    """What a node shows of its chain: who looks at it trusts both roots."""
    return chain[: chain.index(_END) + len(_END)].encode()


def _node(crowd: Crowd, trust: Trust, number: int) -> _Node:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    file = crowd.directory / f"node-{number}.pem"
    return _Node(
        file=file,
        identity=None if crowd.token else file.read_bytes(),
        key_pem=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        request=request.public_bytes(serialization.Encoding.PEM).decode(),
        trust=trust,
    )


def _main() -> None:
    given = json.loads(sys.argv[1])
    crowd = Crowd(**{**given, "directory": Path(given["directory"]), "roots": Path(given["roots"])})
    trust = Trust.of(crowd.roots.read_text())
    nodes = [_node(crowd, trust, number) for number in range(crowd.count)]
    raise_descriptor_limit(crowd.count + _OTHER_FILES)
    outcome = uvloop.run(_run(crowd, nodes))
    print(json.dumps({name: getattr(outcome, name) for name in Outcome.__dataclass_fields__}))


if __name__ == "__main__":
    _main()
