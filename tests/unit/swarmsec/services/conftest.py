"""Fixtures of the tests of services."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.swarmsec.homes import make_home
from tests.unit.swarmsec.services.desk import Desk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """An authority in a home of its own."""
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    home, keys, _ = make_home(tmp_path / "home")
    yield Desk(home=home, keys=keys)
    home.close()
