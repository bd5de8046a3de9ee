"""Many nodes in one process: they join, and follow a rotation of the root, each over connections of its own.

``python -m benchmarks.nodes`` reads what to do from its argument, makes keys and signing requests, says ``ready``, and
begins with the next line of its input. How far it is it says on its standard error, and prints as JSON how it went; it
gives up by itself when its time is over or its input ends. A node does what ``swarmsec node`` does, without
starting a process for each: it asks which roots to trust, takes the bundle, says so, renews when it is told to, and
calls again where a connection ends before the answer. It believes the answer because of its TLS connection alone, so
the cost of checking cross-certificates is not in here.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from benchmarks.load import Outcome, Tally, outcome_of

_WAIT_SECONDS: Final = 1.0
_SAY_SECONDS: Final = 5.0
_MOST_ROUNDS: Final = 1000
_MOST_LOST: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """What is to be done by how many nodes.

    ``directory`` has the nodes' keys and certificates, one file each; ``roots`` is what they trust; with a ``token``
    they join, and without one they follow a rotation. After so many ``seconds`` it gives up.
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
    key_pem: bytes
    request: str
    """For the next certificate, which has a key of its own, PEM."""
    trusted_sha256: str = ""
    has_renewed: bool = False
    is_done: bool = False
    context: ssl.SSLContext | None = None
    retry_after: float = 0.0
    lost: int = 0
    """Connections in a row that ended before an answer."""


class _Refused(Exception):
    """The server's answer is not a good one."""


async def _run(crowd: Crowd, nodes: list[_Node]) -> Outcome:
    tally, places = Tally(), asyncio.Semaphore(crowd.connections)
    roots = crowd.roots.read_bytes()
    do = _join if crowd.token else _follow
    begun = time.perf_counter()
    work = [asyncio.create_task(_until_done(crowd, roots, node, do, places, tally)) for node in nodes]
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
    return replace(outcome_of(seconds, tally), undone=sum(not node.is_done for node in nodes))


def _say(nodes: list[_Node], seconds: float) -> None:
    done, renewed = sum(node.is_done for node in nodes), sum(node.has_renewed for node in nodes)
    more = f", {renewed:,} renewed" if renewed else ""
    print(f"  {done:,} of {len(nodes):,} done{more} after {seconds:.0f} s", file=sys.stderr, flush=True)


async def _until_done(
    crowd: Crowd,
    roots: bytes,
    node: _Node,
    do: Callable[[Crowd, _Node, _Connection], Awaitable[None]],
    places: asyncio.Semaphore,
    tally: Tally,
) -> None:
    """Call as often as needed, with as many others at the same time as there are places."""
    node.trusted_sha256 = hashlib.sha256(roots).hexdigest()
    for _ in range(_MOST_ROUNDS):
        async with places:
            begun = time.perf_counter()
            try:
                async with _Connection(crowd, node) as connection:
                    await do(crowd, node, connection)
            except (OSError, EOFError, _Refused) as error:
                node.lost += 1
                if isinstance(error, _Refused) or node.lost > _MOST_LOST:
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


async def _join(crowd: Crowd, node: _Node, connection: _Connection) -> None:
    answer = await connection.ask("/api/v1/node/join", {"token": crowd.token, "csr": node.request})
    node.file.write_bytes(node.key_pem + answer["certificate"].encode())
    node.is_done = True


async def _follow(_: Crowd, node: _Node, connection: _Connection) -> None:
    answer = await connection.ask("/api/v1/node/check", {"roots_sha256": node.trusted_sha256})
    told = hashlib.sha256(answer["root_bundle"].encode()).hexdigest()
    if told != node.trusted_sha256:
        node.trusted_sha256 = told
        answer = await connection.ask("/api/v1/node/check", {"roots_sha256": told})
    node.retry_after = answer["retry_after"] or _WAIT_SECONDS
    # Shown the new certificate, the server has seen that this node is done.
    node.is_done = node.has_renewed
    if answer["renew"] and not node.has_renewed:
        renewed = await connection.ask("/api/v1/node/renew", {"csr": node.request})
        node.file.write_bytes(node.key_pem + renewed["certificate"].encode())
        node.has_renewed, node.context, node.retry_after = True, None, 0.0


class _Connection:
    """A TLS connection of one node, with its certificate where it has one."""

    def __init__(self, crowd: Crowd, node: _Node) -> None:
        self._crowd = crowd
        self._node = node

    async def __aenter__(self) -> _Connection:
        if self._node.context is None:
            self._node.context = _context(self._crowd, self._node)
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self._crowd.port, ssl=self._node.context
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.transport.abort()

    async def ask(self, path: str, members: dict[str, str]) -> dict[str, Any]:
        """One request on the kept connection."""
        body = json.dumps(members).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answered = await self._reader.readuntil(b"\r\n\r\n")
        lines = answered.decode("latin-1").lower().split("\r\n")
        length = next(int(line.partition(":")[2]) for line in lines if line.startswith("content-length:"))
        content = await self._reader.readexactly(length)
        if not answered.startswith(b"HTTP/1.1 200"):
            raise _Refused(f"{path}: {answered[:13].decode()} {content[:300].decode()}")
        answer: dict[str, Any] = json.loads(content)
        return answer


def _context(crowd: Crowd, node: _Node) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # The server's own certificate is of the former root or of the new one; which of them is not what is measured.
    context.verify_mode = ssl.CERT_NONE
    if not crowd.token:
        context.load_cert_chain(node.file)
    return context


def _node(crowd: Crowd, number: int) -> _Node:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return _Node(
        file=crowd.directory / f"node-{number}.pem",
        key_pem=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        request=request.public_bytes(serialization.Encoding.PEM).decode(),
    )


def _main() -> None:
    given = json.loads(sys.argv[1])
    crowd = Crowd(**{**given, "directory": Path(given["directory"]), "roots": Path(given["roots"])})
    nodes = [_node(crowd, number) for number in range(crowd.count)]
    print("ready", flush=True)
    sys.stdin.readline()
    outcome = uvloop.run(_run(crowd, nodes))
    print(json.dumps({name: getattr(outcome, name) for name in Outcome.__dataclass_fields__}))


if __name__ == "__main__":
    _main()
