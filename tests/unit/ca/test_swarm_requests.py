"""Which requests of a Swarm are fulfilled; each rule is broken once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.errors import RequestRefused
from ca.identity import NodeIdentity, NodeRole, hosts_of
from ca.swarm_requests import SwarmRequest, check_swarm_request

CLUSTER = "ocluster00000000000000000"
CALLER = NodeIdentity(cluster_id=CLUSTER, role=NodeRole.MANAGER, node_id="leader")


def request_for(role: NodeRole) -> SwarmRequest:
    identity = NodeIdentity(cluster_id=CLUSTER, role=role, node_id="node")
    return SwarmRequest(
        common_name="node", organization=CLUSTER, organizational_unit=role.value, hosts=hosts_of(identity), profile=""
    )


WORKER, MANAGER = request_for(NodeRole.WORKER), request_for(NodeRole.MANAGER)


@pytest.mark.parametrize("role", NodeRole)
def test_what_swarmkit_asks_for_is_granted(role: NodeRole) -> None:
    expected = NodeIdentity(cluster_id=CLUSTER, role=role, node_id="node")
    request = request_for(role)
    assert check_swarm_request(request, caller=CALLER, cluster_id=CLUSTER) == expected
    backwards = replace(request, hosts=list(reversed(request.hosts)))
    assert check_swarm_request(backwards, caller=CALLER, cluster_id=CLUSTER) == expected


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (replace(WORKER, profile="CA"), "without profile, got 'CA'"),
        (replace(WORKER, organization="other"), "subject of cluster"),
        (replace(WORKER, organization=""), "subject of cluster"),
        (replace(WORKER, organizational_unit="swarm-admin"), "unit swarm-worker or swarm-manager"),
        (replace(WORKER, organizational_unit=""), "unit swarm-worker or swarm-manager"),
        (replace(WORKER, common_name=""), "node id"),
        (replace(WORKER, common_name="swarm-manager", hosts=["swarm-worker", "swarm-manager"]), "reserved name"),
        (replace(WORKER, hosts=[]), "exactly the hosts swarm-worker, node"),
        (replace(WORKER, hosts=["swarm-worker"]), "exactly the hosts"),
        (replace(WORKER, hosts=["swarm-worker", "node", "swarm-ca"]), "exactly the hosts"),
        (replace(WORKER, hosts=["swarm-worker", "node", "node"]), "exactly the hosts"),
        (replace(WORKER, hosts=["swarm-worker", "NODE"]), "exactly the hosts"),
        (replace(WORKER, hosts=["swarm-manager", "node"]), "exactly the hosts"),
        (replace(WORKER, hosts=MANAGER.hosts), "exactly the hosts"),
        (replace(MANAGER, hosts=WORKER.hosts), "exactly the hosts"),
        (replace(MANAGER, hosts=["swarm-manager", "node"]), "exactly the hosts swarm-manager, node, swarm-ca"),
    ],
)
def test_everything_else_is_refused_with_its_reason(request_: SwarmRequest, reason: str) -> None:
    with pytest.raises(RequestRefused, match=reason):
        check_swarm_request(request_, caller=CALLER, cluster_id=CLUSTER)


@pytest.mark.parametrize(
    ("caller", "reason"),
    [
        (replace(CALLER, role=NodeRole.WORKER), "expected a manager to ask, got worker 'leader'"),
        (replace(CALLER, cluster_id="other"), "caller of cluster"),
    ],
)
def test_other_callers_are_refused(caller: NodeIdentity, reason: str) -> None:
    with pytest.raises(RequestRefused, match=reason):
        check_swarm_request(WORKER, caller=caller, cluster_id=CLUSTER)


def test_a_caller_and_subject_that_agree_on_another_cluster_are_refused() -> None:
    with pytest.raises(RequestRefused, match="caller of cluster 'mine'"):
        check_swarm_request(WORKER, caller=CALLER, cluster_id="mine")


TEXTS = st.sampled_from([CLUSTER, "node", "swarm-worker", "swarm-manager", "swarm-ca", ""]) | st.text(max_size=20)


@given(
    st.builds(
        SwarmRequest,
        common_name=TEXTS,
        organization=TEXTS,
        organizational_unit=TEXTS,
        profile=TEXTS,
        hosts=st.lists(TEXTS),
    )
)
def test_arbitrary_values_are_refused_or_exactly_right(request_: SwarmRequest) -> None:
    try:
        identity = check_swarm_request(request_, caller=CALLER, cluster_id=CLUSTER)
    except RequestRefused:
        return
    assert request_.profile == ""
    assert sorted(request_.hosts) == sorted(hosts_of(identity))
    assert identity.cluster_id == request_.organization == CLUSTER
