"""What a server answers with: the services over one home, and the routes that lead to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from swarmsec.docker.external_ca import build_sign_route
from swarmsec.http import Route
from swarmsec.keys.signers import SealedKeys
from swarmsec.server.agent_api import build_agent_route
from swarmsec.server.delivery_api import build_delivery_route
from swarmsec.server.identity_api import build_identity_route
from swarmsec.server.log_api import build_log_routes
from swarmsec.server.node_api import build_node_routes
from swarmsec.server.revocation_api import build_revocation_routes
from swarmsec.server.trust_api import build_trust_routes
from swarmsec.server.tuf_api import build_tuf_routes
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.secrets.taskcertificates import task_issuing
from swarmsec.wiring.serving.agents import ServedAgents
from swarmsec.wiring.serving.authorities import Authorities
from swarmsec.wiring.serving.delivering import ServedDeliveries
from swarmsec.wiring.serving.enrolling import EnrolledIdentities
from swarmsec.wiring.serving.identities import IssuedIdentities
from swarmsec.wiring.serving.logservice import ServedLogFiles
from swarmsec.wiring.serving.requestchecks import RequestChecks
from swarmsec.wiring.serving.revocations import ServedRevocations
from swarmsec.wiring.serving.services import AuthorityServices
from swarmsec.wiring.serving.trust import ServedTrust, issuers_of
from swarmsec.wiring.serving.turns import Turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """The routes of one server, and of the services behind them those that its upkeep keeps up to date."""

    services: AuthorityServices
    turns: Turns
    revocations: ServedRevocations
    trust: ServedTrust
    routes: Sequence[Route]


def build_answering(
    home: Home,
    writer: GroupWriter,
    keys: SealedKeys,
    authorities: Authorities,
    identities: IssuedIdentities,
    names: Sequence[str],
) -> Answering:
    """Put the services together over a home.

    Args:
        writer: every write of theirs goes through it.
        names: under which the server is known, as its certificate has them.
    """
    store = home.store
    turns = Turns(home.clock, home.config.ca.rotation_nodes_per_second)
    services = AuthorityServices(
        store, writer, keys, authorities, identities, names, turns, holds_managers=home.config.ca.require_approval
    )
    revocations = ServedRevocations(store, writer, keys)
    trust = ServedTrust(store, writer, keys, issuers_of(home))
    check = RequestChecks().check
    routes = [
        *build_node_routes(services, check),
        build_delivery_route(ServedDeliveries(store, writer, keys, task_issuing(home.config, keys))),
        build_identity_route(EnrolledIdentities(writer, keys, authorities), check),
        *build_revocation_routes(revocations),
        *build_log_routes(ServedLogFiles(store, writer)),
        *build_tuf_routes(trust),
        *build_trust_routes(trust),
        build_agent_route(ServedAgents(writer)),
        build_sign_route(services.sign, services.cross_sign, services.refuse_to_sign, check),
    ]
    return Answering(services=services, turns=turns, revocations=revocations, trust=trust, routes=routes)
