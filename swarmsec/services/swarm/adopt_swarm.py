"""Putting a running Swarm on this authority: what is decided, what is kept, and what the log has of it.

The Swarm does the work: its specification is given our root and our endpoint, and its leader has every node renewed.
So the beginning is on record before the specification is written, and the end when every node was seen with a
certificate that stands in our table. In between nothing is lost if this process ends; whoever repeats the command
finds the same work and follows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ca.bundle import parse_bundle
from ca.identity import parse_cluster_id
from ca.issuing import fingerprint
from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.canonical import encode_canonical
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import unix_seconds
from swarmsec.errors import AlreadyExists, Changed, Denied
from swarmsec.http import RoleKind
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ports import Transaction
from swarmsec.services.records import Intent
from swarmsec.services.requester import Field, Requester
from swarmsec.services.rotation.rotation_roots import change_epoch
from swarmsec.services.swarm.convergence import issuer_of
from swarmsec.services.swarm.swarm_link import LinkState, SwarmLink, load_link, save_link
from swarmsec.services.swarm.swarm_ports import ChangeSpec, Spec
from swarmsec.services.swarm.swarm_records import SwarmState
from swarmsec.services.swarm.trust_swarm import trust_swarm

ACTION = Action.SWARM_ADOPT.value


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionPlan:
    """What an adoption does.

    Args:
        cluster_id: the Swarm's.
        takes_cluster_id: whether it becomes ours.
        former_root: the Swarm's present root, PEM; accepted while the Swarm moves.
        root_pem: ours.
        url: of our signing endpoint.
        docker, docker_tls: the engine that answers for the Swarm.
    """

    cluster_id: str
    takes_cluster_id: bool
    former_root: str
    root_pem: str
    url: str
    docker: str
    docker_tls: str

    @property
    def former_root_sha256(self) -> str:
        """The SHA-256 of the Swarm's present root; empty for a bundle of several."""
        certificates = x509.load_pem_x509_certificates(self.former_root.encode())
        return fingerprint(certificates[0].public_bytes(Encoding.DER)) if len(certificates) == 1 else ""


def may_take_cluster_id(transaction: Transaction, wanted: str) -> bool:
    """Whether a Swarm's id has to become ours, and can: certificates of nodes carry it.

    Returns:
        True where it has to be taken, False where it is ours already.

    Raises:
        Denied: this home has issued certificates for another cluster.
        ca.errors.InvalidRequest: the Swarm's id cannot be one.
    """
    present = transaction.settings.get("cluster_id")
    if present == parse_cluster_id(wanted):
        return False
    kinds = (RoleKind.NODE, RoleKind.SWARM_MANAGER)
    if any(record.role.startswith(kinds) for record in transaction.certificates.all()):
        raise Denied(
            f"this home is the authority of cluster {present} and has issued certificates of nodes for it",
            hint=f"make another home for the Swarm: swarmsec --home DIR ca init --cluster-id {wanted}",
        )
    return True


def begin_adoption(
    transaction: Transaction, authority: Authority, plan: AdoptionPlan, requester: Requester, request_id: str
) -> str:
    """Put the beginning on record, accept the Swarm's managers under their present root, and take the Swarm's id.

    Returns:
        the request id of the work: that of an earlier beginning, where one never ended.

    Raises:
        Changed: the root is being rotated.
    """
    if authority.rotation is not None:
        raise Changed("expected a root that stays while a Swarm is adopted", hint="wait: swarmsec ca rotate --follow")
    asking = replace(requester, request_id=request_id)
    if plan.takes_cluster_id and may_take_cluster_id(transaction, plan.cluster_id):
        transaction.settings.put("cluster_id", plan.cluster_id)
        change_epoch(transaction)
        authority = replace(authority, cluster_id=plan.cluster_id)
    former = load_link(transaction)
    resumed = former is not None and former.state is LinkState.ADOPTING and bool(former.request_id)
    if resumed and former is not None:
        asking = replace(requester, request_id=former.request_id)
    else:
        data = encode_canonical({"cluster_id": plan.cluster_id, "url": plan.url}).decode()
        started = unix_seconds(transaction.clock)
        transaction.intents.open(Intent(request_id=request_id, action=ACTION, started=started, data=data))
    link = SwarmLink(
        docker=plan.docker,
        docker_tls=plan.docker_tls,
        url=plan.url,
        state=LinkState.ADOPTING,
        request_id=asking.request_id,
    )
    save_link(transaction, link)
    fields: Mapping[str, Field] = {
        "url": plan.url,
        "docker": plan.docker,
        "root_sha256": fingerprint(authority.record.certificate),
        "former_root_sha256": plan.former_root_sha256,
        "takes_cluster_id": plan.takes_cluster_id,
        "resumed": resumed,
    }
    transaction.log(
        asking.event(Action.SWARM_ADOPT, _reference(plan.cluster_id), outcome=Outcome.INTENT, fields=fields)
    )
    _accept_former_root(transaction, authority, plan, asking)
    return asking.request_id


def conclude_adoption(
    transaction: Transaction, plan: AdoptionPlan, requester: Requester, *, nodes: int = 0, failure: str = ""
) -> None:
    """Put the end on record.

    Args:
        nodes: how many nodes were read back and verified.
        failure: why nothing was changed; empty where the Swarm is ours now.
    """
    link = load_link(transaction)
    if link is None or link.state is not LinkState.ADOPTING:
        # Somebody who followed the same work was faster.
        return
    state = LinkState.RELEASED if failure else LinkState.ADOPTED
    save_link(transaction, replace(link, state=state, request_id=""))
    transaction.intents.close(link.request_id)
    asking = replace(requester, request_id=link.request_id)
    outcome = Outcome.FAILURE if failure else Outcome.SUCCESS
    fields: Mapping[str, Field] = {} if failure else {"nodes": nodes, "url": plan.url}
    transaction.log(
        asking.event(Action.SWARM_ADOPT, _reference(plan.cluster_id), outcome=outcome, reason=failure, fields=fields)
    )


def keep_link(transaction: Transaction, plan: AdoptionPlan, requester: Requester) -> None:
    """For a Swarm that is on our root already: keep where it is and where it finds us."""
    link = SwarmLink(docker=plan.docker, docker_tls=plan.docker_tls, url=plan.url, state=LinkState.ADOPTED)
    if load_link(transaction) != link:
        save_link(transaction, link)
        fields: Mapping[str, Field] = {"url": plan.url, "docker": plan.docker}
        transaction.log(requester.event(Action.SWARM_ADOPT, _reference(plan.cluster_id), fields=fields))


def change_for_adoption(plan: AdoptionPlan) -> ChangeSpec:
    """The change of the Swarm's specification: our root signs, at our endpoint."""
    (root,) = parse_bundle(plan.root_pem.encode())

    def change(state: SwarmState, spec: Spec) -> Spec:
        if state.id != plan.cluster_id:
            raise Changed(f"expected the Swarm {plan.cluster_id}, got {state.id}", hint="repeat the command")
        if state.is_rotating and state.issuer != issuer_of(root):
            raise Denied(
                "the Swarm's root is being rotated to another root",
                hint="wait for it, or stop it with: docker swarm ca --rotate",
            )
        return with_authority(spec, root_pem=plan.root_pem, url=plan.url)

    return change


def with_authority(spec: Spec, *, root_pem: str, url: str) -> Spec:
    """A specification in which a root signs at an endpoint; entries of other roots stay as they are."""
    present = spec.get("CAConfig") or {}
    others = [item for item in present.get("ExternalCAs") or [] if not is_of(item, root_pem)]
    ours = {"Protocol": "cfssl", "URL": url, "CACert": root_pem}
    authority = {name: value for name, value in present.items() if name != "SigningCAKey"}
    return {**spec, "CAConfig": {**authority, "SigningCACert": root_pem, "ExternalCAs": [*others, ours]}}


def is_of(item: object, root_pem: str) -> bool:
    """Whether an entry of ``ExternalCAs`` belongs to a root."""
    return isinstance(item, dict) and str(item.get("CACert", "")).strip() == root_pem.strip()


def _accept_former_root(
    transaction: Transaction, authority: Authority, plan: AdoptionPlan, requester: Requester
) -> None:
    if plan.former_root_sha256 == fingerprint(authority.record.certificate):
        return
    try:
        trust_swarm(transaction, authority, plan.former_root.encode(), requester)
    except AlreadyExists:
        return


def _reference(cluster_id: str) -> ObjectRef:
    return ObjectRef(type="swarm", id=cluster_id)
