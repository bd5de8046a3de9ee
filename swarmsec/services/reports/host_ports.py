"""What the services of host facts keep, and what they need of a transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from swarmsec.services.ports import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptHost:
    """The newest facts of a node. Times in Unix seconds.

    Args:
        node: as its agent's certificate names it.
        facts: as they came: the one form of ``reports.host_report``.
        changed: when they first came like this.
        last_seen: when they last came.
    """

    node: str
    facts: bytes
    changed: int
    last_seen: int


class HostReports(Protocol):
    """The newest report of each node."""

    def get(self, node: str) -> KeptHost | None: ...
    def put(self, kept: KeptHost) -> None: ...
    def touch(self, node: str, moment: int) -> None: ...
    def all(self) -> Sequence[KeptHost]: ...
    def contacts(self) -> Mapping[str, int]: ...


class HostTransaction(Transaction, Protocol):
    """A unit of work over what agents say."""

    @property
    def hosts(self) -> HostReports: ...
