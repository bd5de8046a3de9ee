"""Changing certificate and client roots under a running server, with clients that try to resume what they had."""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass

import pytest

from swarmsec.errors import UsageProblem
from swarmsec.http import Role, RoleKind
from swarmsec.secretbytes import SecretBytes
from swarmsec.server.connections import State
from tests.integration.server_world import (
    SECONDS,
    Authority,
    World,
    client_context,
    operator,
    run,
    serving,
    until,
)

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@dataclass(frozen=True, slots=True)
class Visit:
    """What a client saw of one connection."""

    status: bytes
    session: ssl.SSLSession | None
    is_resumed: bool


def visit_blocking(port: int, context: ssl.SSLContext, session: ssl.SSLSession | None) -> Visit:
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as tcp:
        return visit_over(tcp, context, session)


def visit_over(tcp: socket.socket, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> Visit:
    with context.wrap_socket(tcp, session=session) as tls:
        tls.sendall(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = tls.recv(4096)
        if not answer:
            raise ConnectionResetError("the server closed")
        session, is_resumed = tls.session, bool(tls.session_reused)
        tls.unwrap()  # a session that was not closed in order is not resumed by OpenSSL
        return Visit(answer.split(b" ")[1], session, is_resumed)


async def visit(world: World, context: ssl.SSLContext, session: ssl.SSLSession | None = None) -> Visit:
    return await asyncio.to_thread(visit_blocking, world.port, context, session)


async def swap_to(world: World, authority: Authority) -> None:
    leaf = authority.issue("server-2", server=True)
    world.replace_material(
        certificate_chain_pem=leaf.certificate_pem,
        key_pem=SecretBytes(leaf.key_pem),
        client_roots_pem=authority.root_pem,
    )
    await world.server.swap_tls()


@pytest.mark.parametrize("version", VERSIONS)
def test_removed_root_is_refused_in_full_and_in_resumed_handshakes(version: ssl.TLSVersion) -> None:
    async def main() -> None:
        async with serving() as world:
            context = client_context(operator(world), version=version)
            kept = await world.connect(operator(world))
            before = await visit(world, context)
            again = await visit(world, context, before.session)
            # The control: within one generation TLS 1.2 resumes by session id, TLS 1.3 has nothing to resume with.
            assert again.is_resumed == (version is ssl.TLSVersion.TLSv1_2)
            await swap_to(world, Authority("swarm-ca-2"))
            for session in (None, before.session, again.session):
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    await visit(world, context, session)
            assert (await kept.ask("GET /who")).json()["role"] == "operator"
            await kept.close()

    run(main)


@pytest.mark.parametrize("version", VERSIONS)
def test_no_tickets_are_given(version: ssl.TLSVersion) -> None:
    async def main() -> None:
        async with serving() as world:
            visited = await visit(world, client_context(version=version))
            assert visited.status == b"200"
            assert visited.session is None or not visited.session.has_ticket

    run(main)


def test_new_root_and_new_certificate_are_used_after_the_swap() -> None:
    async def main() -> None:
        async with serving() as world:
            successor = Authority("swarm-ca-2")
            newcomer = successor.issue("nora")
            world.table.add(newcomer, Role(kind=RoleKind.OPERATOR), "nora")
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await visit(world, client_context(newcomer))
            await swap_to(world, successor)
            assert (await visit(world, client_context(newcomer))).status == b"200"
            shown = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", world.port))
            assert shown.encode() == world.source.material.certificate_chain_pem

    run(main)


def test_several_roots_are_accepted_together() -> None:
    async def main() -> None:
        async with serving() as world:
            old = client_context(operator(world))
            successor = Authority("swarm-ca-2")
            newcomer = successor.issue("nora")
            world.table.callers[newcomer.sha256] = next(iter(world.table.callers.values()))
            world.replace_material(client_roots_pem=world.authority.root_pem + successor.root_pem)
            await world.server.swap_tls()
            assert (await visit(world, old)).status == b"200"
            assert (await visit(world, client_context(newcomer))).status == b"200"

    run(main)


def test_handshake_under_way_ends_where_a_root_is_removed() -> None:
    async def main() -> None:
        async with serving() as world:
            reader, writer = await asyncio.open_connection("127.0.0.1", world.port)
            await until(lambda: world.server.connections.count(State.HANDSHAKE) == 1)
            await swap_to(world, Authority("swarm-ca-2"))
            async with asyncio.timeout(SECONDS):
                assert await reader.read() == b""
            writer.close()

    run(main)


def test_handshake_under_way_goes_on_where_roots_are_added_under_those_that_it_began_with() -> None:
    async def main() -> None:
        async with serving() as world:
            successor = Authority("swarm-ca-2")
            newcomer = successor.issue("nora")
            world.table.add(newcomer, Role(kind=RoleKind.OPERATOR), "nora")
            begun = [socket.create_connection(("127.0.0.1", world.port), timeout=SECONDS) for _ in range(2)]
            await until(lambda: world.server.connections.count(State.HANDSHAKE) == 2)
            world.replace_material(client_roots_pem=world.authority.root_pem + successor.root_pem)
            await world.server.swap_tls()
            known = await asyncio.to_thread(visit_over, begun[0], client_context(operator(world)))
            assert known.status == b"200"
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.to_thread(visit_over, begun[1], client_context(newcomer))
            begun[1].close()

    run(main)


def test_material_that_cannot_be_used_leaves_the_server_as_it_was() -> None:
    async def main() -> None:
        async with serving() as world:
            stranger = Authority("other").issue("server", server=True)
            world.replace_material(key_pem=SecretBytes(stranger.key_pem))
            with pytest.raises(UsageProblem) as caught:
                await world.server.swap_tls()
            assert caught.value.__cause__ is None
            assert (await world.ask("GET /who")).status == 200

    run(main)
