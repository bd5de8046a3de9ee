"""Adopting a Swarm: look, show, begin, wait, verify. Repeated after any end it goes on where it was."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from cryptography import x509

from ca.profiles import BACKDATE
from swarmsec.audit.entry import uuid7
from swarmsec.clock import unix_seconds
from swarmsec.errors import Denied, IntegrityFailure, SwarmsecError, Unavailable
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.ca.authority import Authority, load_authority
from swarmsec.services.requester import Requester
from swarmsec.services.swarm.adopt_swarm import (
    AdoptionPlan,
    begin_adoption,
    change_for_adoption,
    conclude_adoption,
    keep_link,
    may_take_cluster_id,
)
from swarmsec.services.swarm.convergence import Held, converge_on, hold_against_issued, issuer_of
from swarmsec.services.swarm.preflight import (
    Finding,
    Result,
    blockers,
    check_clock,
    check_lock,
    check_nodes,
    check_root,
    check_versions,
    others_not_checked,
)
from swarmsec.services.swarm.swarm_link import LinkState
from swarmsec.services.swarm.swarm_records import SwarmNode, SwarmState
from swarmsec.wiring.ca.authority import served_lifetime_of
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.swarm.opening import OpenSwarm, verify_manages
from swarmsec.wiring.swarm.signing_endpoint import SigningUrl, dial
from swarmsec.wiring.swarm.watching import RotationWatch, RotationWatcher, Sleep

FOLLOW_SECONDS: Final = 0.5
"""A server in this home takes up what we write within this time."""
LOOK_SECONDS: Final = 0.1
FOLLOW_TRIES: Final = 100
AGAIN: Final = "swarmsec swarm adopt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What an adoption would do, and what stands for and against it."""

    plan: AdoptionPlan
    nodes: Sequence[SwarmNode]
    findings: Sequence[Finding]
    is_under_way: bool
    """Whether the Swarm is on its way to our root already."""
    is_done: bool
    """Whether it is there."""

    @property
    def blockers(self) -> Sequence[Finding]:
        """What stands against it."""
        return blockers(self.findings)


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """The work on one Swarm.

    Args:
        home: ours, open.
        keys: its keys.
        swarm: the engine.
        url: where managers find us.
    """

    home: Home
    keys: SealedKeys
    swarm: OpenSwarm
    url: SigningUrl
    sleep: Sleep = time.sleep

    def look(self) -> Preflight:
        """Look at everything that can be looked at, and change nothing.

        Raises:
            UsageProblem, Unavailable: the engine is no manager, locked, or does not answer.
            Denied: this home serves another cluster.
        """
        engine = self.swarm.engine
        info = engine.info()
        verify_manages(info, self.swarm.endpoint.url)
        state, nodes = engine.swarm(), engine.nodes()
        authority = self._authority()
        root = authority.issuer.certificate
        takes = self.home.store.read(lambda transaction: may_take_cluster_id(transaction, state.id))
        plan = AdoptionPlan(
            cluster_id=state.id,
            takes_cluster_id=takes,
            former_root=state.root_pem,
            root_pem=authority.bundle_pem.decode("ascii"),
            url=self.url.text,
            docker=self.swarm.endpoint.url,
            docker_tls=self.swarm.docker_tls,
        )
        is_under_way = state.is_rotating and state.issuer == issuer_of(root)
        is_done = converge_on(root, state, nodes).is_over
        now = datetime.fromtimestamp(unix_seconds(self.home.clock), UTC)
        backdate = timedelta() if self.home.config.ca.certificate_minutes else BACKDATE
        findings = [
            *check_nodes(nodes),
            *check_versions(nodes),
            *_check_rotation(state, root),
            *check_lock(state),
            *check_root(authority.issuer.not_after, now),
            *check_clock(info.unix_time, now, backdate),
            *self._check_reach(plan, is_settled=is_under_way or is_done),
            *others_not_checked(nodes, self.url.text, info.node_id),
        ]
        return Preflight(plan=plan, nodes=nodes, findings=findings, is_under_way=is_under_way, is_done=is_done)

    def carry_out(
        self, found: Preflight, requester: Requester, watcher: RotationWatcher, timeout: timedelta
    ) -> Sequence[Held]:
        """Do it, or follow it where it is under way.

        Returns:
            each node with the certificate that was read back.

        Raises:
            Denied: something stands against it, or the Swarm's leader refuses; nothing was changed then.
            Unavailable: not finished in time, or the engine went away; repeat to go on.
            IntegrityFailure: a node shows a certificate that is not in our table.
        """
        plan = found.plan
        link = self.swarm.link
        if found.is_done and (link is None or link.state is not LinkState.ADOPTING):
            self.home.store.write(partial(keep_link, plan=plan, requester=requester))
            return self._verified(found.nodes)
        if found.blockers and not found.is_under_way:
            raise Denied(
                f"{len(found.blockers)} of the checks stand against it: {found.blockers[0].text}",
                hint=found.blockers[0].hint or None,
            )
        self._begin(plan, requester)
        if not (found.is_under_way or found.is_done):
            self._ask(plan, requester)
        nodes = RotationWatch(
            reader=self.swarm.engine,
            root=self._authority().issuer.certificate,
            clock=self.home.clock,
            timeout=timeout,
            watcher=watcher,
            again=AGAIN,
            sleep=self.sleep,
        ).wait()
        held = self._verified(nodes)
        self.home.store.write(partial(conclude_adoption, plan=plan, requester=requester, nodes=len(held)))
        return held

    def _begin(self, plan: AdoptionPlan, requester: Requester) -> None:
        clock = self.home.clock
        request_id = uuid7(clock.unix_ms(), clock.random(10))
        authority = self._authority()
        self.home.store.write(lambda transaction: begin_adoption(transaction, authority, plan, requester, request_id))
        # NOTE: a manager that comes before the server has taken up its root is turned away in the handshake and
        # tries again only after ten seconds; one that meets another cluster id is refused for good.
        if not plan.takes_cluster_id:
            self.sleep(FOLLOW_SECONDS)
            return
        for _ in range(FOLLOW_TRIES):
            self.sleep(LOOK_SECONDS)
            if dial(self.url, plan.root_pem).cluster_id == plan.cluster_id:
                # It takes up the Swarm's root in the same breath.
                self.sleep(LOOK_SECONDS)
                return
        raise Unavailable(
            f"the server at {self.url.text} does not serve cluster {plan.cluster_id}",
            hint=f"see that it serves this home, start it again, then repeat: {AGAIN}",
        )

    def _ask(self, plan: AdoptionPlan, requester: Requester) -> None:
        """Have the Swarm begin."""
        try:
            self.swarm.engine.change_swarm(change_for_adoption(plan))
        except Unavailable:
            # Whether the Swarm has heard it is not known; the work stays open and is found out by repeating it.
            raise
        except SwarmsecError as error:
            self.home.store.write(
                partial(conclude_adoption, plan=plan, requester=requester, failure=str(error) or "refused")
            )
            raise

    def _verified(self, nodes: Sequence[SwarmNode]) -> Sequence[Held]:
        root = self._authority().issuer.certificate
        held = self.home.store.read(lambda transaction: hold_against_issued(transaction, nodes, root))
        unknown = [item.node.label for item in held if item.record is None]
        if unknown:
            raise IntegrityFailure(
                f"expected a certificate in our table for each node, got none for {', '.join(unknown[:5])}",
                hint="another authority has our key, or this home is older than it was: swarmsec audit verify",
            )
        return held

    def _authority(self) -> Authority:
        lifetime = served_lifetime_of(self.home.config)
        return self.home.store.read(lambda transaction: load_authority(transaction, self.keys, lifetime))

    def _check_reach(self, plan: AdoptionPlan, *, is_settled: bool) -> list[Finding]:
        leader = [] if is_settled else self._check_leader(plan)
        # Only the leader has to reach us; but that our server has taken up another cluster id is seen from here alone.
        reached = not plan.takes_cluster_id and any(finding.result is Result.GOOD for finding in leader)
        return [*self._check_server(plan, Result.WARNING if reached else Result.BLOCKER), *leader]

    def _check_server(self, plan: AdoptionPlan, otherwise: Result) -> list[Finding]:
        dialled = dial(self.url, plan.root_pem)
        if dialled.answers:
            text = f"{self.url.text} answers under our root"
            return [Finding(check="server", result=Result.GOOD, text=text)]
        return [
            Finding(
                check="server",
                result=otherwise,
                text=f"{self.url.text} as seen from here: {dialled.problem}",
                hint="start it: swarmsec serve --listen HOST:PORT --name NAME-IN-THE-URL",
            )
        ]

    def _check_leader(self, plan: AdoptionPlan) -> list[Finding]:
        """Have the leader itself check the specification, which includes dialling our server."""
        try:
            self.swarm.engine.try_spec(change_for_adoption(plan))
        except Unavailable as error:
            return [Finding(check="reach", result=Result.NOT_CHECKED, text=f"the leader: {error}", hint="repeat")]
        except SwarmsecError as error:
            return [Finding(check="reach", result=Result.BLOCKER, text=str(error), hint=_leader_hint(str(error)))]
        return [Finding(check="reach", result=Result.GOOD, text=f"the leading manager reaches {self.url.text}")]


def _check_rotation(state: SwarmState, root: x509.Certificate) -> list[Finding]:
    if not state.is_rotating:
        return [Finding(check="rotation", result=Result.GOOD, text="no rotation is running")]
    if state.issuer == issuer_of(root):
        return [Finding(check="rotation", result=Result.GOOD, text="the Swarm is on its way to our root already")]
    return [
        Finding(
            check="rotation",
            result=Result.BLOCKER,
            text="the Swarm's root is being rotated to another root",
            hint="wait for it, or stop it with: docker swarm ca --rotate",
        )
    ]


def _leader_hint(words: str) -> str:
    if "external CA to a different external CA" in words:
        return "the Swarm has another external authority: give it back a root of its own with that one first"
    if "reachable external CA" in words:
        return "from the leading manager, see: curl --cacert root.pem URL/healthz"
    return "see docs/adopt.md"
