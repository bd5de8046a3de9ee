"""Where the server listens."""

from __future__ import annotations

import subprocess
import sys

import pytest

from swarmsec.errors import Unavailable, UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.server.app import Server
from swarmsec.server.listener import open_sockets
from swarmsec.server.settings import ServerSettings
from tests.integration.server_world import run, serving


def test_a_name_with_several_addresses_gets_one_port() -> None:
    sockets = open_sockets("localhost", 0, backlog=1, reuse_port=False)
    try:
        assert len({listening.getsockname()[1] for listening in sockets}) == 1
    finally:
        for listening in sockets:
            listening.close()


FEW_PORTS = """
import socket, sys
from swarmsec.errors import Unavailable
from swarmsec.server.listener import open_sockets

addresses = ("127.0.0.1", "127.0.0.2")
socket.getaddrinfo = lambda host, port, **_: [(socket.AF_INET, 1, 6, "", (address, port)) for address in addresses]
taken = [socket.create_server(("127.0.0.2", int(port))) for port in sys.argv[1:]]
try:
    print({listening.getsockname()[1] for listening in open_sockets("both", 0, backlog=1, reuse_port=False)})
except Unavailable as error:
    print(error, error.hint)
"""


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        ("40000 40001 40003", "{40002}"),
        ("40000 40001 40002", "{40003}"),
        ("40000 40001 40002 40003", "cannot listen on both:0: Address already in use"),
    ],
)
def test_a_port_that_is_taken_on_another_address_is_passed_over(taken: str, said: str) -> None:
    """In a network of its own, in which the kernel has four ports to pick from."""
    script = 'ip link set lo up; echo 40000 40003 > /proc/sys/net/ipv4/ip_local_port_range; exec "$@"'
    inside = ("unshare", "--net", "sh", "-euc", script, "sh", sys.executable, "-c", FEW_PORTS, *taken.split())
    done = subprocess.run(inside, check=False, capture_output=True, text=True)
    assert said in done.stdout, done


def test_an_address_in_use_is_said_so() -> None:
    [taken] = open_sockets("127.0.0.1", 0, backlog=1, reuse_port=False)
    port = taken.getsockname()[1]
    try:
        with pytest.raises(Unavailable, match=f"cannot listen on 127.0.0.1:{port}") as caught:
            open_sockets("127.0.0.1", port, backlog=1, reuse_port=False)
        assert caught.value.hint
    finally:
        taken.close()


def test_several_processes_may_share_a_port_when_told() -> None:
    [first] = open_sockets("127.0.0.1", 0, backlog=1, reuse_port=True)
    [second] = open_sockets("127.0.0.1", first.getsockname()[1], backlog=1, reuse_port=True)
    first.close()
    second.close()


def test_a_server_that_could_not_start_can_be_stopped() -> None:
    async def main() -> None:
        async with serving() as world:
            world.replace_material(key_pem=SecretBytes(b"not a key"))
            other = Server(ServerSettings(), world.server._parts)
            with pytest.raises(UsageProblem):
                await other.start()
            await other.stop(0)

    run(main)


def test_stopping_twice_is_stopping() -> None:
    async def main() -> None:
        async with serving() as world:
            assert (await world.ask("GET /who")).status == 200
            await world.server.stop(1)
            await world.server.stop(1)

    run(main)
