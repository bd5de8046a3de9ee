"""Who is let in: every kind of client certificate against a real handshake and the issuance table."""

from __future__ import annotations

import ssl

import pytest

from swarmsec.http import Role, RoleKind
from tests.integration.server_world import Authority, Identity, World, operator, run, serving

REFUSED_IN_HANDSHAKE = (ssl.SSLError, ConnectionError, EOFError)


async def assert_handshake_refused(world: World, identity: Identity) -> None:
    asked = world.table.asked
    with pytest.raises(REFUSED_IN_HANDSHAKE):
        # A client of TLS 1.3 learns of the refusal only when it reads.
        await world.ask("GET /who", identity)
    assert world.table.asked == asked


def test_without_certificate_is_anonymous() -> None:
    async def main() -> None:
        async with serving() as world:
            answer = await world.ask("GET /who")
            assert (answer.status, answer.json()["role"]) == (200, "anonymous")

    run(main)


def test_role_is_what_the_table_says_not_the_subject() -> None:
    async def main() -> None:
        async with serving() as world:
            identity = world.authority.issue("admin")
            world.table.add(identity, Role(kind=RoleKind.NODE, scope="abc"), "worker-1")
            answer = (await world.ask("GET /who", identity)).json()
            assert (answer["role"], answer["name"]) == ("node:abc", "worker-1")

    run(main)


def test_foreign_authority_is_refused_in_the_handshake() -> None:
    async def main() -> None:
        async with serving() as world:
            await assert_handshake_refused(world, Authority("swarm-ca").issue("olga"))

    run(main)


def test_expired_certificate_is_refused_in_the_handshake() -> None:
    async def main() -> None:
        async with serving() as world:
            await assert_handshake_refused(world, world.authority.issue("olga", days=(-2, -1)))

    run(main)


def test_server_certificate_as_client_is_refused_in_the_handshake() -> None:
    async def main() -> None:
        async with serving() as world:
            await assert_handshake_refused(world, world.authority.issue("olga", server=True))

    run(main)


def test_certificate_unknown_to_the_table_is_refused_and_not_anonymous() -> None:
    async def main() -> None:
        async with serving() as world:
            identity = world.authority.issue("stranger")
            client = await world.connect(identity)
            answer = await client.ask("GET /healthz")
            assert (answer.status, answer.error_code) == (401, "unauthenticated")
            assert await client.until_closed() == b""
            await client.close()
            [refusal] = world.log.entries
            assert refusal.certificate_sha256 == identity.sha256
            assert refusal.request_id == answer.headers["x-request-id"]

    run(main)


def test_revocation_counts_from_the_next_request_of_an_open_connection() -> None:
    async def main() -> None:
        async with serving() as world:
            identity = operator(world)
            client = await world.connect(identity)
            assert (await client.ask("GET /who")).status == 200
            del world.table.callers[identity.sha256]
            assert (await client.ask("GET /who")).error_code == "unauthenticated"
            await client.close()

    run(main)


def test_revocation_closes_exactly_the_connections_of_the_certificate() -> None:
    async def main() -> None:
        async with serving() as world:
            revoked, other = operator(world, "olga"), operator(world, "otto")
            clients = [await world.connect(revoked), await world.connect(revoked)]
            kept = [await world.connect(other), await world.connect()]
            for client in (*clients, *kept):
                assert (await client.ask("GET /who")).status == 200
            assert await world.server.close_revoked([revoked.sha256]) == 2
            for client in clients:
                assert await client.until_closed() == b""
            for client in kept:
                assert (await client.ask("GET /who")).status == 200
            for client in (*clients, *kept):
                await client.close()

    run(main)


def test_denied_route_is_logged_before_it_is_answered() -> None:
    async def main() -> None:
        async with serving() as world:
            world.access.denied.add(("who", RoleKind.ANONYMOUS))
            answer = await world.ask("GET /who")
            assert (answer.status, answer.error_code) == (403, "denied")
            [refusal] = world.log.entries
            assert (refusal.route, refusal.reason, refusal.address) == ("who", "not in the table", "127.0.0.1")

    run(main)


def test_refusal_that_cannot_be_logged_is_unavailable() -> None:
    async def main() -> None:
        async with serving() as world:
            world.access.denied.add(("who", RoleKind.ANONYMOUS))
            world.log.broken = True
            answer = await world.ask("GET /who")
            assert (answer.status, answer.error_code) == (503, "unavailable")
            assert b"space" not in answer.body
            world.log.broken = False
            assert (await world.ask("GET /who")).status == 403

    run(main)
