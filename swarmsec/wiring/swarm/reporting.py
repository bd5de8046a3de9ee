"""How a Swarm stands: its own word, our table, and whether its external authorities answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from ca.errors import CaError
from swarmsec.errors import SwarmsecError
from swarmsec.services.swarm.swarm_records import ExternalCa, SwarmState
from swarmsec.services.swarm.swarm_status import SwarmStatus, swarm_status
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.swarm.opening import OpenSwarm, verify_manages
from swarmsec.wiring.swarm.signing_endpoint import SigningUrl, dial

if TYPE_CHECKING:
    from swarmsec.wiring.swarm.controlling import ControlAccess

MAX_DIALS: Final = 8


def report_swarm(home: Home, swarm: OpenSwarm, access: ControlAccess | None = None) -> SwarmStatus:
    """Look at a Swarm and change nothing; errors as an engine has them.

    Args:
        access: to the control API, which is asked only with it.
    """
    verify_manages(swarm.engine.info(), swarm.endpoint.url)
    state, nodes = swarm.engine.swarm(), swarm.engine.nodes()
    told = access.ask(state, nodes) if access else None
    with ThreadPoolExecutor(max_workers=MAX_DIALS) as pool:
        answers = list(pool.map(lambda item: _answers(item, state), state.external_cas))
    return home.store.read(lambda transaction: swarm_status(transaction, state, nodes, answers, told))


def _answers(item: ExternalCa, state: SwarmState) -> bool | None:
    try:
        return dial(SigningUrl.parse(item.url), item.root_pem or state.root_pem).answers
    except (SwarmsecError, CaError, ValueError):
        # An address that Docker took and that we cannot read: whether it answers is not known.
        return None
