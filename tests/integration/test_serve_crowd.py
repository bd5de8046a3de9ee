"""A thousand nodes that hold a connection open do not keep another one from joining."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ca.identity import NodeRole
from tests.integration.serve_clients import SECONDS, Bearer, context
from tests.integration.serve_world import ServedHome

CROWD = 1000
AT_ONCE = 32


@contextmanager
def _many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, CROWD + 500) if hard > 0 else CROWD + 500, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_node_joins_beside_a_thousand_idle_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    # The server starts with fewer open files than it will need, as many systems have it.
    with ServedHome(tmp_path, wrapper=["prlimit", "--nofile=256:16384", "--"]) as home, _many_files():
        home.create().serve()
        worker = home.joined(NodeRole.WORKER)

        asyncio.run(_join_in_a_crowd(home, worker))

        home.wait_status(200, "GET", "/readyz")
        assert "warning" not in home.log


async def _join_in_a_crowd(home: ServedHome, worker: Bearer) -> None:
    tls, gate = context(worker), asyncio.Semaphore(AT_ONCE)
    writers: list[asyncio.StreamWriter] = []
    readers: list[asyncio.StreamReader] = []

    async def hold() -> None:
        async with gate:
            reader, writer = await asyncio.open_connection(home.host, home.port, ssl=tls)
            writers.append(writer)
            readers.append(reader)
            writer.write(b"GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")

    try:
        async with asyncio.timeout(4 * SECONDS):
            await asyncio.gather(*(hold() for _ in range(CROWD)))
            assert len(writers) == CROWD
            await asyncio.to_thread(home.joined, NodeRole.MANAGER)
            assert not any(reader.at_eof() for reader in readers)
    finally:
        for writer in writers:
            writer.transport.abort()


def test_too_few_open_files_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    with ServedHome(tmp_path, wrapper=["prlimit", "--nofile=256:300", "--"]) as home:
        home.create().serve()

        assert "warning: expected room for" in home.log
