"""Fixtures of the tests against real Docker Engines. They need root and the packages of scripts/install-test-deps."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.engines import Engine, StartEngines, kill_engines
from tests.peers.namespaces import Site
from tests.peers.swarmsec_host import SwarmsecHost


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files begin first that may take longest, so that none keeps a process when the others have ended."""
    longest: dict[Path, float] = {}
    for item in items:
        marker = item.get_closest_marker("timeout")
        longest[item.path] = max(longest.get(item.path, 0.0), float(marker.args[0]) if marker else 0.0)
    items.sort(key=lambda item: -longest[item.path])


@pytest.fixture
def site() -> Iterator[Site]:
    """A private network for one test."""
    with Site() as made:
        yield made


@pytest.fixture
def peer_directory() -> Iterator[Path]:
    """A directory whose path is short enough for unix sockets, which pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="ss-", dir="/tmp") as path:
        yield Path(path)


@pytest.fixture
def authority(site: Site, peer_directory: Path) -> Iterator[SwarmsecHost]:
    """A host with swarmsec and an empty directory for its home, beside the engines."""
    with SwarmsecHost(site.add_host("ca"), peer_directory / "ca") as host:
        yield host


@pytest.fixture
def engines(site: Site, peer_directory: Path) -> Iterator[StartEngines]:
    """Start engines side by side: ``manager, worker = engines("m1", "w1")``; they are killed after the test."""
    started: list[Engine] = []

    def start(*names: str) -> list[Engine]:
        made = [Engine(site.add_host(name), peer_directory / name) for name in names]
        started.extend(made)
        for engine in made:
            engine.start()
        for engine in made:
            engine.wait_ready()
        return made

    try:
        yield start
    finally:
        kill_engines(started)
