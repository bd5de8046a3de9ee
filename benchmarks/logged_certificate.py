"""What an entry of the log adds to a signed certificate.

Two homes issue nodes' certificates in turn, each commit beside the same commit of the other, so that whatever else the
machine does meets both: one home as it is, and one whose units word, write and chain no entry and are the same
otherwise. Each has its own database, write-ahead log and anchor, so that each pays for its own.
"""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from benchmarks.measure import Figure, measure_pairs
from ca.identity import NodeIdentity, NodeRole
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import Event, ObjectRef
from swarmsec.services.ca.authority import Authority, load_authority
from swarmsec.services.ca.init_authority import init_authority
from swarmsec.services.ca.issue_for_nodes import issue_for_node
from swarmsec.services.records import KeyKind
from swarmsec.services.requester import SERVICE, Requester
from swarmsec.storage import store as store_module
from swarmsec.storage.store import Unit
from swarmsec.storage.transaction import Transaction
from swarmsec.wiring.ca.authority import lifetime_of
from swarmsec.wiring.homes.creating import NewHome, create_home
from swarmsec.wiring.homes.home import Home, refuse_to_ask

GROUP = 64
ALONE_A_ROUND = 30
GROUPS_A_ROUND = 2
ROUNDS = 41
AIM = 1.15
_ID_LENGTH = 25


def make_home(path: Path) -> Home:
    """A new home with an authority."""
    home = create_home(NewHome(path=path), refuse_to_ask, SERVICE).home
    keys = home.keys()
    home.store.write(
        lambda transaction: init_authority(transaction, keys, SERVICE, cluster_id=None, key_kind=KeyKind.P256)
    )
    return home


def compare_logged(directory: Path) -> list[Figure]:
    """Measure certificates that are alone in their transaction, and 64 in one as a busy ``serve`` writes them."""
    logged = _Issuing(make_home(directory / "logged"), Transaction, SERVICE)
    silent = _Issuing(make_home(directory / "silent"), _Silent, _Wordless(actor=SERVICE.actor))
    try:
        return [
            _compare("a certificate, signed and durable", logged, silent, size=1, commits=ALONE_A_ROUND),
            _compare(f"the same, {GROUP} in a transaction", logged, silent, size=GROUP, commits=GROUPS_A_ROUND),
        ]
    finally:
        logged.home.close()
        silent.home.close()


def _compare(name: str, logged: _Issuing, silent: _Issuing, *, size: int, commits: int) -> Figure:
    sides = (logged, silent)
    spent = [0.0, 0.0]

    def round_of_both() -> float:
        # The other side's share is read afterwards.
        spent[:] = [0.0, 0.0]
        for turn in range(commits):
            nodes = [_Node() for _ in range(size)]
            # Who goes first alternates.
            for at in (turn % 2, 1 - turn % 2):
                spent[at] += sides[at].commit(nodes)
        return spent[0] / (size * commits) * 1e6

    return measure_pairs(
        name,
        "the same without its entry",
        "µs",
        ours=round_of_both,
        theirs=lambda: spent[1] / (size * commits) * 1e6,
        aim=AIM,
        at_least=False,
        rounds=ROUNDS,
    )


class _Node:
    """A node with its key."""

    def __init__(self) -> None:
        self.id = "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(_ID_LENGTH))
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        self.spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


class _Issuing:
    """A home that issues certificates in transactions of one kind."""

    def __init__(self, home: Home, kind: type[Transaction], requester: Requester) -> None:
        self.home = home
        self._kind = kind
        self._requester = requester
        keys, lifetime = home.keys(), lifetime_of(home.config)
        self._authority: Authority = home.store.read(lambda transaction: load_authority(transaction, keys, lifetime))

    def commit(self, nodes: Sequence[_Node]) -> float:
        """Issue to these nodes in one transaction; returns the seconds that it took."""
        units: list[Unit[None]] = [partial(self._issue, node=node) for node in nodes]
        original, store_module.Transaction = store_module.Transaction, self._kind  # type: ignore[attr-defined]  # a name that it imports
        try:
            begun = time.perf_counter()
            outcomes = self.home.store.write_group(units)
            seconds = time.perf_counter() - begun
        finally:
            store_module.Transaction = original  # type: ignore[attr-defined]  # a name that it imports
        for outcome in outcomes:
            if outcome.error is not None:
                raise outcome.error
        return seconds

    def _issue(self, transaction: Transaction, *, node: _Node) -> None:
        identity = NodeIdentity(node_id=node.id, cluster_id=self._authority.cluster_id, role=NodeRole.WORKER)
        issue_for_node(transaction, self._authority, identity, node.spki, self._requester, via="swarm-manager:bench")


class _Silent(Transaction):
    """A transaction that takes entries and writes none."""

    def log(self, event: Event) -> int:
        self._changes = []
        return 0


_WORDED = SERVICE.event(Action.CA_ISSUE, ObjectRef(type="certificate"))


class _Wordless(Requester):
    """One on whose behalf nothing is worded."""

    def event(self, *_: Any, **__: Any) -> Event:
        return _WORDED
