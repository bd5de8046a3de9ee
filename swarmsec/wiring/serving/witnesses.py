"""A server asks the witnesses of its log by itself: those that have an address, when the log has grown.

One server of a home asks at a time. Nobody waits for it: a witness that is slow, away or of another mind is counted and
told by readiness, and the first refusal of each kind leaves an entry.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import ObjectRef
from swarmsec.audit.errors import HistoryContradicted
from swarmsec.errors import Denied, SwarmsecError, Unavailable
from swarmsec.server.metrics import Metrics
from swarmsec.services.log.log_records import WitnessRow
from swarmsec.services.log.witness_log import Lag, witness_lags
from swarmsec.services.requester import SERVICE
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.storage.store import Store, Unit
from swarmsec.storage.transaction import Transaction
from swarmsec.wiring.log.cosigning import MAX_ROUNDS, ask_witness
from swarmsec.wiring.log.witnessclient import TIMEOUT_SECONDS

T = TypeVar("T")
LEASE: Final = "audit.witnesses"
ROUND_SECONDS: Final = MAX_ROUNDS * int(TIMEOUT_SECONDS)
"""How long a round may take, and how long the lease of a server that died in one lasts."""


class Result(StrEnum):
    """What came of asking a witness."""

    COSIGNED = "cosigned"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"
    CONTRADICTED = "contradicted"


@dataclass(slots=True, kw_only=True)
class ServedWitnesses:
    """Keeps the log cosigned; implements ``cosigning.LogAccess``.

    Args:
        store, writer, metrics: this server's own.
        seconds: between two rounds; 0 for none at all.
    """

    store: Store
    writer: GroupWriter
    metrics: Metrics
    seconds: int
    _failures: dict[str, tuple[Result, str]] = field(default_factory=dict)
    _holder: str = field(default_factory=lambda: f"server {os.getpid()} on {os.uname().nodename}")

    def __post_init__(self) -> None:
        for result in Result:
            # What comes into being at 1 has not increased for Prometheus: the first contradiction would raise no alert.
            self.metrics.witness_answers.labels(result)

    @property
    def detail(self) -> str:
        """What is wrong with witnesses now, for those who look after the server; empty if nothing is."""
        return "; ".join(f"{name}: {what}" for name, (_, what) in sorted(self._failures.items()))

    async def keep_asking(self) -> None:
        """Ask, for ever."""
        while self.seconds:
            try:
                await self.ask()
            except Unavailable:
                # A store that is busy or full is told by every request and by readiness; the next round tries again.
                self.metrics.audit_write_failures.inc()
            await asyncio.sleep(self.seconds)
        await asyncio.Event().wait()

    async def ask(self) -> None:
        """Ask those witnesses that have not cosigned the newest checkpoint, all at once."""
        lags = await self.read(witness_lags)
        self._forget_removed(lags)
        due = [lag.row for lag in lags if lag.entries]
        if due:
            fence = await self.write(self._take)
            if fence is None:
                return
            try:
                await self._ask_all(due)
            finally:
                await self.write(lambda transaction: transaction.leases.release(LEASE, fence))
            lags = await self.read(witness_lags)
        self.metrics.unwitnessed.set(max((lag.entries for lag in lags), default=0))

    async def read(self, unit: Unit[T]) -> T:
        """Run a unit that only reads, beside what the server does."""
        return await asyncio.to_thread(self.store.read, unit)

    async def write(self, unit: Unit[T]) -> T:
        """Run a unit in the server's next group."""
        return await self.writer.write(unit)

    def _take(self, transaction: Transaction) -> int | None:
        return transaction.leases.take(LEASE, self._holder, ROUND_SECONDS)

    async def _ask_all(self, rows: Sequence[WitnessRow]) -> None:
        async with asyncio.TaskGroup() as group:
            for row in rows:
                group.create_task(self._ask_one(row))

    async def _ask_one(self, row: WitnessRow) -> None:
        failure: tuple[Result, str] | None
        try:
            async with asyncio.timeout(ROUND_SECONDS):
                await ask_witness(self, row)
        except TimeoutError:
            failure = Result.UNREACHABLE, "it did not answer in time"
        except SwarmsecError as error:
            failure = _result_of(error), str(error)
        else:
            failure = None
        self.metrics.witness_answers.labels(failure[0] if failure else Result.COSIGNED).inc()
        await self._note(row, failure)

    async def _note(self, row: WitnessRow, failure: tuple[Result, str] | None) -> None:
        """Remember how a witness stands; one that newly refuses is on record before it is remembered."""
        if failure is None:
            self._failures.pop(row.name, None)
            return
        result, reason = failure
        before = self._failures.get(row.name)
        if result is not Result.UNREACHABLE and (before is None or before[0] is not result):
            event = SERVICE.event(
                Action.AUDIT_WITNESS_REFUSE,
                ObjectRef(type="witness", id=row.name),
                outcome=Outcome.FAILURE,
                reason=reason,
                fields={"result": str(result)},
            )
            await self.write(lambda transaction: transaction.log(event))
        self._failures[row.name] = failure

    def _forget_removed(self, lags: Sequence[Lag]) -> None:
        known = {lag.row.name for lag in lags if lag.entries}
        for name in self._failures.keys() - known:
            del self._failures[name]


def _result_of(error: SwarmsecError) -> Result:
    match error:
        case HistoryContradicted():
            return Result.CONTRADICTED
        case Unavailable():
            return Result.UNREACHABLE
        case Denied():
            return Result.REFUSED
        case _:
            # Its answer is no cosignature of its own.
            return Result.REFUSED
