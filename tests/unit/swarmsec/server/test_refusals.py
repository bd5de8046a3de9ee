"""Refusals are durable one by one, then counted, and none is lost."""

from __future__ import annotations

import asyncio

import pytest

from swarmsec.server.ports import Refusal
from swarmsec.server.refusals import OTHER_ADDRESSES, RefusalRecorder


class Log:
    def __init__(self) -> None:
        self.entries: list[Refusal] = []
        self.broken = False

    async def record(self, refusal: Refusal) -> None:
        if self.broken:
            raise OSError("full")
        self.entries.append(refusal)


def refusal(address: str = "192.0.2.1", reason: str = "denied", route: str = "join") -> Refusal:
    return Refusal(route=route, address=address, reason=reason, request_id="r", name="n", role="node:a")


def build(log: Log, *, each: int = 2, in_all: int = 100, max_keys: int = 100) -> RefusalRecorder:
    return RefusalRecorder(log, each=each, in_all=in_all, max_keys=max_keys)


def test_the_first_ones_are_entries_of_their_own_and_the_rest_is_one_count() -> None:
    async def main() -> None:
        log = Log()
        recorder = build(log)
        for _ in range(10):
            await recorder.record(refusal())
        assert log.entries == [refusal(), refusal()]
        await recorder.end_window()
        assert log.entries[2:] == [Refusal(route="join", address="192.0.2.1", reason="denied", count=8)]
        await recorder.record(refusal())
        assert log.entries[3:] == [refusal()]

    asyncio.run(main())


def test_routes_addresses_and_reasons_are_told_apart() -> None:
    async def main() -> None:
        log = Log()
        recorder = build(log, each=1)
        alike = [refusal(), refusal(address="192.0.2.2"), refusal(reason="limited"), refusal(route="sign")]
        for entry in alike:
            await recorder.record(entry)
        assert log.entries == alike

    asyncio.run(main())


def test_no_refusal_is_lost_however_many_addresses_there_are() -> None:
    async def main() -> None:
        log = Log()
        recorder = build(log, in_all=5, max_keys=10)
        for number in range(500):
            await recorder.record(refusal(address=f"198.51.{number // 250}.{number % 250}"))
        await recorder.flush()
        assert sum(entry.count for entry in log.entries) == 500
        assert len(log.entries) <= 5 + 11
        assert OTHER_ADDRESSES in {entry.address for entry in log.entries}

    asyncio.run(main())


def test_ipv6_floods_count_by_site() -> None:
    async def main() -> None:
        log = Log()
        recorder = build(log, each=1)
        for number in range(5):
            await recorder.record(refusal(address=f"2001:db8::{number + 1}"))
        await recorder.flush()
        assert [(entry.address, entry.count) for entry in log.entries] == [("2001:db8::1", 1), ("2001:db8::/64", 4)]

    asyncio.run(main())


def test_a_log_that_fails_fails_the_refusal() -> None:
    async def main() -> None:
        log = Log()
        recorder = build(log)
        log.broken = True
        with pytest.raises(OSError, match="full"):
            await recorder.record(refusal())

    asyncio.run(main())


def test_counts_survive_a_failed_window_and_block_until_they_are_written() -> None:
    async def main() -> None:
        log = Log()
        recorder = build(log, each=1)
        for _ in range(4):
            await recorder.record(refusal())
        log.broken = True
        with pytest.raises(OSError, match="full"):
            await recorder.end_window()
        with pytest.raises(OSError, match="full"):
            await recorder.record(refusal(address="192.0.2.9"))
        log.broken = False
        await recorder.record(refusal(address="192.0.2.9"))
        assert [(entry.address, entry.count) for entry in log.entries] == [
            ("192.0.2.1", 1),
            ("192.0.2.1", 3),
            ("192.0.2.9", 1),
        ]

    asyncio.run(main())
