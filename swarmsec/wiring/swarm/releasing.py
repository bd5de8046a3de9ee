"""Releasing a Swarm to Docker's own authority; repeated after any end it goes on where it was."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ca.bundle import parse_certificate, write_bundle
from ca.issuing import issue_root, serial_from
from swarmsec.audit.entry import uuid7
from swarmsec.clock import Clock, unix_seconds
from swarmsec.errors import Denied, SwarmsecError, Unavailable
from swarmsec.keys.signers import SealedSigner
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.ca.show_authority import root_bundle
from swarmsec.services.requester import Requester
from swarmsec.services.swarm.convergence import converge_on, is_root, issuer_of
from swarmsec.services.swarm.preflight import Finding, Result, blockers, check_lock, check_nodes, check_versions
from swarmsec.services.swarm.release_swarm import (
    Release,
    begin_release,
    begun_release,
    change_for_release,
    change_without,
    conclude_release,
)
from swarmsec.services.swarm.swarm_link import require_link
from swarmsec.services.swarm.swarm_records import SwarmNode
from swarmsec.wiring.homes.home import Home
from swarmsec.wiring.swarm.opening import OpenSwarm, verify_manages
from swarmsec.wiring.swarm.signing_endpoint import SigningUrl, dial
from swarmsec.wiring.swarm.watching import RotationWatch, RotationWatcher, Sleep

AGAIN: Final = "swarmsec swarm release"
_SERIAL_BYTES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseCheck:
    """What stands for and against a release, and how far it is.

    Args:
        begun: the work that is under way; None for none.
        is_under_way: whether the Swarm is on its way to that work's root.
        is_there: whether it has it.
    """

    cluster_id: str
    nodes: Sequence[SwarmNode]
    findings: Sequence[Finding]
    begun: Release | None
    is_under_way: bool
    is_there: bool

    @property
    def blockers(self) -> Sequence[Finding]:
        """What stands against it."""
        return blockers(self.findings)


def look_at_release(home: Home, swarm: OpenSwarm) -> ReleaseCheck:
    """Look at everything and change nothing.

    Raises:
        NotFound: this home has no Swarm.
        UsageProblem, Unavailable: the engine is no manager, locked, or does not answer.
    """
    begun = home.store.read(begun_release)
    verify_manages(swarm.engine.info(), swarm.endpoint.url)
    state, nodes = swarm.engine.swarm(), swarm.engine.nodes()
    is_under_way = begun is not None and state.is_rotating and state.issuer == issuer_of(begun.root)
    is_there = begun is not None and not state.is_rotating and is_root(state.root_pem, begun.root)
    ours = home.store.read(root_bundle).decode("ascii")
    findings = [*check_nodes(nodes), *check_versions(nodes), *check_lock(state)]
    if not (is_under_way or is_there):
        if state.is_rotating or state.root_pem.strip() != ours.strip():
            text = "the Swarm is not on our root alone"
            findings.append(Finding(check="root", result=Result.BLOCKER, text=text, hint="see: swarmsec swarm status"))
        findings.append(_check_server(home, ours))
    return ReleaseCheck(
        cluster_id=state.id,
        nodes=nodes,
        findings=findings,
        begun=begun,
        is_under_way=is_under_way,
        is_there=is_there,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Releasing:
    """The work on one Swarm."""

    home: Home
    swarm: OpenSwarm
    sleep: Sleep = time.sleep

    def carry_out(
        self, found: ReleaseCheck, requester: Requester, watcher: RotationWatcher, timeout: timedelta
    ) -> Sequence[SwarmNode]:
        """Do it, or follow it where it is under way.

        Returns:
            the nodes, all under the Swarm's own root.

        Raises:
            Denied: something stands against it, or the Swarm's leader refuses; the Swarm stays with us then.
            Unavailable: not finished in time, or the engine went away; repeat to go on.
        """
        release = found.begun
        if release is None or not (found.is_under_way or found.is_there):
            if found.blockers:
                first = found.blockers[0]
                raise Denied(f"{len(found.blockers)} of the checks stand against it: {first.text}", hint=first.hint)
            release = self._ask(found.cluster_id, requester)
        watch = RotationWatch(
            reader=self.swarm.engine,
            root=release.root,
            clock=self.home.clock,
            timeout=timeout,
            watcher=watcher,
            again=AGAIN,
            sleep=self.sleep,
        )
        nodes = watch.wait()
        ours = self.home.store.read(root_bundle).decode("ascii")
        self.swarm.engine.change_swarm(change_without(ours))
        self.home.store.write(partial(conclude_release, release=release, nodes=nodes, requester=requester))
        return nodes

    def _ask(self, cluster_id: str, requester: Requester) -> Release:
        clock = self.home.clock
        release, key, spki_sha256 = _make_root(cluster_id, clock)
        request_id = uuid7(clock.unix_ms(), clock.random(10))
        self.home.store.write(
            lambda transaction: begin_release(transaction, release, spki_sha256, requester, request_id)
        )
        try:
            self.swarm.engine.change_swarm(change_for_release(release, key))
        except Unavailable as error:
            if self._has_begun(release):
                return release
            if "cross-signed" not in str(error):
                # Whether the Swarm has heard it is not known; the work stays open and is found out by repeating it.
                raise
            self._give_up(release, requester, error)
            raise Denied(str(error), hint="see the authority's log: swarmsec audit log --action ca") from None
        except SwarmsecError as error:
            self._give_up(release, requester, error)
            raise
        finally:
            key.wipe()
        return release

    def _has_begun(self, release: Release) -> bool:
        try:
            state, nodes = self.swarm.engine.swarm(), self.swarm.engine.nodes()
        except SwarmsecError:
            return False
        return state.issuer == issuer_of(release.root) or converge_on(release.root, state, nodes).is_over

    def _give_up(self, release: Release, requester: Requester, error: SwarmsecError) -> None:
        self.home.store.write(
            partial(conclude_release, release=release, nodes=(), requester=requester, failure=str(error) or "refused")
        )


def _check_server(home: Home, root_pem: str) -> Finding:
    link = home.store.read(require_link)
    dialled = dial(SigningUrl.parse(link.url), root_pem)
    if dialled.answers:
        return Finding(check="server", result=Result.GOOD, text=f"{link.url} answers under our root")
    return Finding(
        check="server",
        result=Result.BLOCKER,
        text=f"{link.url}: {dialled.problem}",
        hint="start it: swarmsec serve; it has to sign the Swarm's own root",
    )


def _make_root(cluster_id: str, clock: Clock) -> tuple[Release, SecretBytes, str]:
    """A root as SwarmKit makes its own, its key in PEM, and the hash of its public key."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer = SealedSigner(key)
    now = datetime.fromtimestamp(unix_seconds(clock), UTC)
    der = issue_root(signer, serial=serial_from(clock.random(_SERIAL_BYTES)), now=now)
    release = Release(cluster_id=cluster_id, root_pem=write_bundle([parse_certificate(der)]).decode("ascii"))
    key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return release, SecretBytes(key_pem), hashlib.sha256(signer.public_key_der).hexdigest()
