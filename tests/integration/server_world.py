"""A running server with a small authority of its own, for the tests of ``swarmsec.server`` over real TLS.

Servers run on uvloop, as in production; clients are plain blocking sockets of ``ssl`` in threads, or asyncio streams
of the same loop.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from swarmsec.errors import Unauthenticated
from swarmsec.http import ANONYMOUS, Caller, Request, Response, Role, RoleKind, Route
from swarmsec.secretbytes import SecretBytes
from swarmsec.server.app import Server, ServerParts
from swarmsec.server.metrics import Metrics
from swarmsec.server.ports import Check, Refusal, TlsMaterial
from swarmsec.server.settings import ServerSettings

T = TypeVar("T")
SECONDS = 20.0
"""Bound of every wait in these tests; reached only when something is broken."""


def run(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a test's coroutine on uvloop, bounded."""

    async def bounded() -> T:
        async with asyncio.timeout(3 * SECONDS):
            return await main()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(bounded())


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A leaf certificate with its key."""

    certificate: x509.Certificate
    key_pem: bytes

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def sha256(self) -> str:
        return sha256(self.der).hexdigest()


class Authority:
    """A root that signs leaves."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.root = (
            self._builder(self._name, self._key.public_key(), days=(-2, 10))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    @property
    def root_pem(self) -> bytes:
        return self.root.public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str, *, server: bool = False, days: tuple[int, int] = (-1, 5)) -> Identity:
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = (
            self._builder(subject, key.public_key(), days=days)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Identity(certificate=certificate, key_pem=encode_key(key))

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, *, days: tuple[int, int]
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + datetime.timedelta(days=days[0]))
            .not_valid_after(now + datetime.timedelta(days=days[1]))
        )


def encode_key(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@dataclass(slots=True)
class Table:
    """Identities by certificate, in memory."""

    callers: dict[str, tuple[Role, str]] = field(default_factory=dict)
    asked: int = 0

    def add(self, identity: Identity, role: Role, name: str) -> None:
        self.callers[identity.sha256] = (role, name)

    def identify(self, certificate_der: bytes | None, address: str) -> Caller:
        self.asked += 1
        if certificate_der is None:
            return Caller(role=ANONYMOUS, name="", address=address)
        fingerprint = sha256(certificate_der).hexdigest()
        if fingerprint not in self.callers:
            raise Unauthenticated("expected a certificate that is known and not revoked")
        role, name = self.callers[fingerprint]
        return Caller(
            role=role,
            name=name,
            address=address,
            certificate_sha256=fingerprint,
            certificate_der=certificate_der,
        )


@dataclass(slots=True)
class Access:
    """Everybody may call everything but what is listed."""

    denied: set[tuple[str, RoleKind]] = field(default_factory=set)

    def refusal(self, route_name: str, caller: Caller) -> str | None:
        return "not in the table" if (route_name, caller.role.kind) in self.denied else None


@dataclass(slots=True)
class Log:
    """A refusal log that can be broken."""

    entries: list[Refusal] = field(default_factory=list)
    broken: bool = False

    async def record(self, refusal: Refusal) -> None:
        if self.broken:
            raise OSError("no space left on device")
        self.entries.append(refusal)


@dataclass(slots=True)
class Source:
    """TLS material that a test replaces."""

    material: TlsMaterial

    def current(self) -> TlsMaterial:
        return self.material


@dataclass(slots=True)
class Ready:
    """Readiness that a test decides."""

    answers: list[Check] = field(default_factory=lambda: [Check(name="storage", ok=True)])

    async def checks(self) -> Sequence[Check]:
        return self.answers


async def echo(request: Request) -> Response:
    """Answer with what the server understood."""
    content = {
        "path": request.path,
        "body": request.body.decode(),
        "role": str(request.caller.role),
        "name": request.caller.name,
        "values": dict(request.path_values),
        "query": dict(request.query),
    }
    return Response(body=json.dumps(content).encode())


OPERATION = {"summary": "a route of the tests", "responses": {"200": {"description": "good"}}}
WHO = Route(name="who", method="GET", path="/who", handler=echo, operation=OPERATION)
ECHO = Route(name="echo", method="POST", path="/echo", handler=echo, operation=OPERATION, body_limit=1000)


@dataclass(slots=True, kw_only=True)
class World:
    """One server and everything it was given."""

    server: Server
    port: int
    authority: Authority
    table: Table
    access: Access
    log: Log
    source: Source
    ready: Ready
    metrics: Metrics

    async def connect(self, identity: Identity | None = None) -> Client:
        """Open a connection."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=client_context(identity), limit=2**20
        )
        return Client(reader=reader, writer=writer)

    async def ask(self, request: str, identity: Identity | None = None, body: bytes = b"") -> Answer:
        """Send one request on a connection of its own."""
        client = await self.connect(identity)
        try:
            return await client.ask(request, body)
        finally:
            await client.close()

    def replace_material(self, **changes: Any) -> None:
        """Put other TLS material in place; the server sees it when told to swap."""
        generation = self.source.material.generation + 1
        self.source.material = replace(self.source.material, generation=generation, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A parsed answer; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error_code(self) -> str:
        """The code of an error, after checking that it has the one shape."""
        content = self.json()
        assert list(content) == ["error"]
        assert set(content["error"]) == {"code", "message", "hint", "request_id"}
        assert content["error"]["message"]
        assert content["error"]["hint"]
        assert content["error"]["request_id"] == self.headers["x-request-id"]
        assert self.headers["content-type"] == "application/json"
        assert self.headers["cache-control"] == "no-store"
        assert self.headers["x-content-type-options"] == "nosniff"
        assert self.headers["server"] == "swarmsec"
        return str(content["error"]["code"])


@dataclass(slots=True, kw_only=True)
class Client:
    """A connection that speaks HTTP as bluntly as a test wants."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, request: str, body: bytes = b"") -> Answer:
        """Send ``METHOD target`` with a body, and read the answer."""
        head = f"{request} HTTP/1.1\r\nHost: x\r\n"
        if body:
            head += f"Content-Length: {len(body)}\r\n"
        await self.send(head.encode() + b"\r\n" + body)
        return await self.answer(has_body=not request.startswith("HEAD "))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, has_body: bool = True) -> Answer:
        async with asyncio.timeout(SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {}
            for line in head[1:-2]:
                name, _, value = line.partition(": ")
                headers[name.lower()] = value
            length = int(headers.get("content-length", "0")) if has_body else 0
            body = await self.reader.readexactly(length)
        return Answer(status=int(head[0].split()[1]), headers=headers, body=body)

    async def until_closed(self) -> bytes:
        """Return what still comes until the server ends the connection."""
        async with asyncio.timeout(SECONDS):
            try:
                return await self.reader.read(-1)
            except (ConnectionError, ssl.SSLError):
                return b""

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


def client_context(identity: Identity | None = None, *, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    """Build a client's context that does not check the server; these tests judge the server's side."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if identity is not None:
        _load(context, identity)
    return context


def _load(context: ssl.SSLContext, identity: Identity) -> None:
    descriptor = os.memfd_create("client")
    try:
        os.write(descriptor, identity.key_pem + identity.certificate_pem)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


@asynccontextmanager
async def serving(
    *routes: Route, settings: ServerSettings | None = None, authority: Authority | None = None
) -> AsyncIterator[World]:
    """Run a server with the given routes (``WHO`` and ``ECHO`` where none are) until the block ends."""
    authority = authority or Authority("swarm-ca")
    leaf = authority.issue("server", server=True)
    material = TlsMaterial(
        certificate_chain_pem=leaf.certificate_pem,
        key_pem=SecretBytes(leaf.key_pem),
        client_roots_pem=authority.root_pem,
        generation=1,
    )
    table, access, log, source, ready = Table(), Access(), Log(), Source(material), Ready()
    metrics = Metrics(version="0.0.0")
    parts = ServerParts(
        identities=table,
        access=access,
        refusal_log=log,
        tls=source,
        readiness=ready,
        metrics=metrics,
        routes=routes or (WHO, ECHO),
        version="0.0.0",
    )
    server = Server(settings or ServerSettings(), parts)
    [(_, port)] = await server.start()
    world = World(
        server=server,
        port=port,
        authority=authority,
        table=table,
        access=access,
        log=log,
        source=source,
        ready=ready,
        metrics=metrics,
    )
    try:
        yield world
    finally:
        await server.stop(0.2)


def operator(world: World, name: str = "olga") -> Identity:
    """Issue a client certificate that the table knows as an operator."""
    identity = world.authority.issue(name)
    world.table.add(identity, Role(kind=RoleKind.OPERATOR), name)
    return identity


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something to become true, bounded."""
    async with asyncio.timeout(SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


def open_files_of_this_process() -> int:
    """Return how many descriptors are open."""
    return len(list(Path("/proc/self/fd").iterdir()))
