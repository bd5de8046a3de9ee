"""A server asks the witnesses of its log: real ones over loopback, and ones that are slow, away or of another mind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from swarmsec._version import __version__
from swarmsec.audit.actions import Action
from swarmsec.audit.checkpoints import Checkpoint, open_checkpoint, sign_checkpoint
from swarmsec.audit.entry import ObjectRef, parse_entry
from swarmsec.audit.witnessing import AddCheckpoint
from swarmsec.clock import SystemClock
from swarmsec.keys.signers import SealedKeys
from swarmsec.server.metrics import Metrics
from swarmsec.services.log.sign_log import open_log_key
from swarmsec.services.log.witness_log import add_witness, newest_checkpoint, remove_witness, witnessed_sizes
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.log import witnessclient
from swarmsec.wiring.log.checkpointing import sign_log
from swarmsec.wiring.log.witnessdir import Witness
from swarmsec.wiring.log.witnessserver import WitnessServer
from swarmsec.wiring.serving import witnesses
from swarmsec.wiring.serving.witnesses import LEASE, Result, ServedWitnesses
from tests.unit.swarmsec.homes import OPERATOR, make_home

NAME = "witness.example/ci"
OTHER = "witness.example/other"
Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Log:
    """A home whose log is served, and witnesses of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home, _, _ = make_home(directory / "home")
        self.keys: SealedKeys = self.home.keys()
        self.writer = GroupWriter(self.home.store)
        self.writer.start()
        self.metrics = Metrics(version=__version__)
        self.served = self.server()
        sign_log(self.home.store, self.keys)

    def server(self) -> ServedWitnesses:
        return ServedWitnesses(store=self.home.store, writer=self.writer, metrics=self.metrics, seconds=1)

    def grow(self, count: int = 3) -> int:
        event = OPERATOR.event(Action.KEY_REWRAP, ObjectRef(type="test"))
        for outcome in self.home.store.write_group([lambda unit: unit.log(event)] * count):
            assert outcome.error is None
        return sign_log(self.home.store, self.keys)[1].size

    def witness(self, name: str = NAME) -> Witness:
        """Make one that watches this log."""
        made = Witness.create(self.directory / name.replace("/", "-"), name, SystemClock())
        key = self.home.store.read(lambda transaction: open_log_key(transaction, self.keys))
        assert key is not None
        made.watch(key.key)
        return made

    def add(self, witness: Witness, url: str) -> None:
        self.home.store.write(lambda transaction: add_witness(transaction, OPERATOR, witness.key, url))

    def sizes(self) -> dict[str, int]:
        return {row.name: size for row, size in self.home.store.read(witnessed_sizes)}

    def refusals(self) -> list[dict[str, object]]:
        with self.home.store.reading() as transaction:
            entries = [parse_entry(stored.data) for stored in transaction.log_entries.since(0)]
        return [entry for entry in entries if entry["action"] == "audit.witness-refuse"]

    def counted(self, result: str) -> float:
        value = self.metrics.registry.get_sample_value("swarmsec_audit_witness_answers_total", {"result": result})
        return value or 0

    def unwitnessed(self) -> float | None:
        return self.metrics.registry.get_sample_value("swarmsec_audit_unwitnessed_entries")

    def close(self) -> None:
        self.writer.close()
        self.home.close()


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    made = Log(tmp_path)
    yield made
    made.close()


@asynccontextmanager
async def listening(answer: Answer) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def real(witness: Witness) -> Answer:
    return WitnessServer(witness, SystemClock()).handle


def test_every_witness_with_an_address_cosigns_what_is_new(log: Log) -> None:
    first, second, silent = log.witness(), log.witness(OTHER), log.witness("witness.example/carried")

    async def work() -> None:
        async with listening(real(first)) as one, listening(real(second)) as two:
            log.add(first, one)
            log.add(second, two)
            log.add(silent, "")
            for _ in range(3):
                size = log.grow()
                await log.served.ask()
                assert log.sizes() == {NAME: size, OTHER: size, silent.key.name: 0}
                assert log.unwitnessed() == 0
            # What is cosigned already is asked of nobody.
            await log.served.ask()

    asyncio.run(work())
    assert log.counted("cosigned") == 6
    assert (log.served.detail, log.refusals()) == ("", [])
    log.home.store.read(newest_checkpoint)


def test_of_what_the_same_witnesses_cosigned_in_an_hour_the_last_is_kept(log: Log) -> None:
    first, second = log.witness(), log.witness(OTHER)

    def kept() -> list[int]:
        rows = log.home.store.read(lambda transaction: transaction.checkpoints.all())
        hours = {row.created // 3600 for row in rows}
        return [row.size for row in rows if row.created // 3600 == max(hours) and row.note.count("—".encode()) > 1]

    async def work() -> int:
        async with listening(real(first)) as one, listening(real(second)) as two:
            log.add(first, one)
            log.add(second, two)
            for _ in range(4):
                size = log.grow()
                await log.served.ask()
            log.home.store.write(lambda transaction: remove_witness(transaction, OPERATOR, OTHER))
            log.grow()
            await log.served.ask()
            return size

    of_both = asyncio.run(work())
    # The last that both cosigned stays beside the newer one of one alone, unless the hour has turned meanwhile.
    assert kept()[-1] > of_both
    assert set(kept()[:-1]) <= {of_both}


def test_one_that_is_away_is_told_and_asked_again(log: Log) -> None:
    witness, other = log.witness(), log.witness(OTHER)

    async def work() -> None:
        async with listening(real(other)) as url:
            log.add(witness, "http://127.0.0.1:1")
            log.add(other, url)
            size = log.grow()
            await log.served.ask()
            assert log.sizes() == {NAME: 0, OTHER: size}
            assert log.unwitnessed() == size
            assert log.served.detail.startswith(f"{NAME}: the witness at http://127.0.0.1:1 could not be reached")
            await log.served.ask()

    asyncio.run(work())
    assert (log.counted("unreachable"), log.refusals()) == (2, [])
    log.home.store.write(lambda transaction: remove_witness(transaction, OPERATOR, NAME))
    asyncio.run(log.served.ask())
    assert (log.served.detail, log.unwitnessed()) == ("", 0)


async def hang(_: web.BaseRequest) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError


async def drip(request: web.BaseRequest) -> web.StreamResponse:
    """A byte now and then, so that no single wait is long."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x")
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("answer", [hang, drip])
def test_one_that_never_ends_its_answer_holds_nobody_up(
    log: Log, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    # The other one makes its cosignature last within it.
    monkeypatch.setattr(witnessclient, "TIMEOUT_SECONDS", 3.0)
    witness, other = log.witness(), log.witness(OTHER)

    async def work() -> None:
        async with listening(answer) as slow, listening(real(other)) as url:
            log.add(witness, slow)
            log.add(other, url)
            size = log.grow()
            asking = asyncio.create_task(log.served.ask())
            # While it is waited for, the writer writes.
            await log.writer.write(lambda unit: unit.log(OPERATOR.event(Action.KEY_REWRAP, ObjectRef(type="test"))))
            await asking
            assert log.sizes() == {NAME: 0, OTHER: size}

    asyncio.run(work())
    assert log.counted("unreachable") == 1
    assert "TimeoutError" in log.served.detail


def test_a_round_has_an_end_of_its_own(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witnesses, "ROUND_SECONDS", 1)
    witness = log.witness()

    async def work() -> None:
        async with listening(hang) as url:
            log.add(witness, url)
            log.grow()
            await log.served.ask()

    asyncio.run(work())
    assert log.served.detail == f"{NAME}: it did not answer in time"


def test_one_that_saw_another_history_is_on_record_once(log: Log) -> None:
    witness = log.witness()
    size = log.grow()
    signer = log.home.store.read(lambda transaction: open_log_key(transaction, log.keys))
    assert signer is not None
    forged = sign_checkpoint(Checkpoint(origin=signer.key.name, size=size - 1, root=b"\x07" * 32), signer)
    witness.add_checkpoint(AddCheckpoint(old_size=0, proof=(), note=forged), SystemClock())

    async def work() -> None:
        async with listening(real(witness)) as url:
            log.add(witness, url)
            for _ in range(3):
                log.grow()
                await log.served.ask()

    asyncio.run(work())
    (entry,) = log.refusals()
    assert (entry["outcome"], entry["fields"]) == ("failure", {"result": "contradicted"})
    assert "has seen another history" in str(entry["reason"])
    assert "has seen another history" in log.served.detail
    assert log.counted("contradicted") == 3


@pytest.mark.parametrize(("status", "text"), [(404, ""), (200, "nothing"), (200, "— other AAAA\n")])
def test_one_that_does_not_watch_or_does_not_sign_is_on_record(log: Log, status: int, text: str) -> None:
    witness = log.witness()

    async def answer(_: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=status, text=text)

    async def work() -> None:
        async with listening(answer) as url:
            log.add(witness, url)
            log.grow()
            await log.served.ask()

    asyncio.run(work())
    (entry,) = log.refusals()
    assert entry["fields"] == {"result": "refused"}


def test_one_server_asks_at_a_time(log: Log) -> None:
    witness = log.witness()
    other = log.server()
    other._holder = "server 1 on another machine"

    async def work() -> None:
        async with listening(real(witness)) as url:
            log.add(witness, url)
            log.grow()
            fence = await other.write(other._take)
            await log.served.ask()
            assert log.sizes() == {NAME: 0}
            log.home.store.write(lambda transaction: transaction.leases.release(LEASE, fence or 0))
            await log.served.ask()
            assert log.sizes()[NAME] > 0

    asyncio.run(work())


def test_answers_begin_at_0_so_that_the_first_contradiction_is_an_increase(log: Log) -> None:
    name = "swarmsec_audit_witness_answers_total"

    assert [log.metrics.registry.get_sample_value(name, {"result": result}) for result in Result] == [0, 0, 0, 0]


def test_zero_seconds_ask_nobody(log: Log) -> None:
    log.served.seconds = 0

    async def work() -> None:
        async with asyncio.timeout(0.2):
            await log.served.keep_asking()

    with pytest.raises(TimeoutError):
        asyncio.run(work())
    assert log.unwitnessed() == 0


def test_what_is_kept_opens_with_the_logs_key_and_the_home_stays_whole(log: Log) -> None:
    witness = log.witness()

    async def work() -> None:
        async with listening(real(witness)) as url:
            log.add(witness, url)
            log.grow(300)
            await log.served.ask()

    asyncio.run(work())
    home: Home = log.home
    row = home.store.read(newest_checkpoint)
    signer = home.store.read(lambda transaction: open_log_key(transaction, log.keys))
    assert signer is not None
    assert open_checkpoint(row.note, signer.key)[0].size == row.size
