"""Evicting a node: ours first, then Docker's part, a manager being demoted before it is removed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from swarmsec.audit.entry import uuid7
from swarmsec.errors import NotFound, SwarmsecError, Unavailable
from swarmsec.services.records import CertificateRecord
from swarmsec.services.requester import Requester
from swarmsec.services.swarm.evict_node import begin_eviction, conclude_eviction, find_node
from swarmsec.services.swarm.swarm_records import SwarmNode
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.swarm.opening import OpenSwarm, verify_same_swarm
from swarmsec.wiring.swarm.watching import Sleep

DEMOTE_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Evicted:
    """A node that is out.

    Args:
        node: as the Swarm had it; None where the Swarm did not know it any more.
        unexpired: its certificates of the present root that count, by their signature, until they expire.
    """

    node_id: str
    node: SwarmNode | None
    unexpired: Sequence[CertificateRecord]


def evict(
    home: Home, swarm: OpenSwarm, wanted: str, requester: Requester, *, reason: str, sleep: Sleep = time.sleep
) -> Evicted:
    """Take a node out of the Swarm for good.

    Args:
        wanted: its id or host name.

    Raises:
        NotFound: nobody knows it.
        UsageProblem, Unavailable: Docker does not remove it; it gets no certificate from us all the same, and
            repeating goes on.
    """
    # Host names are the same in many Swarms.
    verify_same_swarm(home, swarm)
    node = find_node(swarm.engine.nodes(), wanted)
    node_id, hostname = (node.id, node.hostname) if node else (wanted, "")
    request_id = uuid7(home.clock.unix_ms(), home.clock.random(10))
    unexpired = home.store.write(
        lambda transaction: begin_eviction(transaction, node_id, hostname, requester, request_id, reason=reason)
    )
    try:
        if node is not None:
            _remove(swarm, node, sleep)
    except SwarmsecError as error:
        failure = str(error)
        home.store.write(
            lambda transaction: conclude_eviction(transaction, node_id, requester, request_id, failure=failure)
        )
        raise
    home.store.write(partial(conclude_eviction, node_id=node_id, requester=requester, request_id=request_id))
    return Evicted(node_id=node_id, node=node, unexpired=unexpired)


def _remove(swarm: OpenSwarm, node: SwarmNode, sleep: Sleep) -> None:
    if node.role == "manager":
        swarm.engine.change_node(node.id, role="worker")
        tries = round(DEMOTE_SECONDS / LOOK_SECONDS)
        while _is_manager(swarm, node.id):
            tries -= 1
            if tries <= 0:
                raise Unavailable(
                    f"{node.label} is still a manager {round(DEMOTE_SECONDS)} s after it was demoted",
                    hint="repeat when the managers have a quorum without it",
                )
            sleep(LOOK_SECONDS)
    try:
        swarm.engine.remove_node(node.id)
    except NotFound:
        return


def _is_manager(swarm: OpenSwarm, node_id: str) -> bool:
    return any(node.id == node_id and node.role == "manager" for node in swarm.engine.nodes())
