"""A clock that was set while the server runs leaves an entry that says by how much."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from swarmsec.audit.entry import parse_entry
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.wiring.serving.upkeep import Upkeep
from tests.unit.swarmsec.homes import make_home


@dataclass
class SetClock:
    """A watch that saw the clock being set."""

    milliseconds: int

    def step(self) -> int:
        return self.milliseconds


@dataclass
class Parts:
    """What of an upkeep this is about."""

    clock: SetClock
    writer: GroupWriter


@pytest.mark.parametrize("milliseconds", [-5000, 5000])
def test_a_step_is_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, milliseconds: int) -> None:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    home, _, _ = make_home(tmp_path / "home")
    size = home.store.head().size
    writer = GroupWriter(home.store)
    writer.start()
    asyncio.run(Upkeep._log_clock_step(cast("Upkeep", Parts(SetClock(milliseconds), writer))))
    writer.close()
    with home.store.reading() as transaction:
        (stored,) = transaction.log_entries.since(size)
    entry = parse_entry(stored.data)
    assert (entry["action"], entry["fields"]) == ("clock.step", {"milliseconds": milliseconds})
    home.close()
