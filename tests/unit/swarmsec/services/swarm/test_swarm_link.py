"""What ties a home to its Swarm, and what it forbids."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from ca.identity import NodeRole
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.errors import IntegrityFailure, NotFound, UsageProblem
from swarmsec.services.nodes.join_node import JoinRequest, join_node
from swarmsec.services.nodes.limited_tokens import TokenRole, WantedToken, create_limited_token
from swarmsec.services.nodes.standing_tokens import (
    renew_standing_token,
    reveal_standing_token,
    rotate_standing_token,
)
from swarmsec.services.ports import Transaction
from swarmsec.services.swarm.swarm_link import SETTING, LinkState, SwarmLink, load_link, require_link, save_link
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key, request_of

LINK = SwarmLink(
    docker="unix:///var/run/docker.sock", docker_tls="", url="https://ca:8443/sign", state=LinkState.ADOPTED
)


def keep(desk: Desk, state: LinkState) -> SwarmLink:
    """Put the home into a state."""
    link = SwarmLink(docker=LINK.docker, docker_tls="", url=LINK.url, state=state)

    def unit(transaction: Transaction) -> None:
        save_link(transaction, link)
        transaction.log(OPERATOR.event(Action.SWARM_ADOPT, ObjectRef(type="swarm", id="x")))

    desk.home.store.write(unit)
    return link


def test_it_is_read_as_it_was_kept(desk: Desk) -> None:
    assert desk.home.store.read(load_link) is None
    assert keep(desk, LinkState.RELEASING) == desk.home.store.read(load_link)


def test_a_released_home_has_no_swarm(desk: Desk) -> None:
    with pytest.raises(NotFound, match="has not adopted a Swarm"):
        desk.home.store.read(require_link)
    keep(desk, LinkState.RELEASED)
    with pytest.raises(NotFound):
        desk.home.store.read(require_link)


@pytest.mark.parametrize("text", ["", "{}", '{"state":"adopted"}', '{"docker":5}', "[]"])
def test_another_text_is_not_guessed_at(desk: Desk, text: str) -> None:
    def unit(transaction: Transaction) -> None:
        transaction.settings.put(SETTING, text)
        transaction.log(OPERATOR.event(Action.SWARM_ADOPT, ObjectRef(type="swarm", id="x")))

    desk.home.store.write(unit)
    with pytest.raises(IntegrityFailure, match="expected the setting of this home's Swarm"):
        desk.home.store.read(load_link)


@pytest.mark.parametrize("state", [LinkState.ADOPTING, LinkState.ADOPTED, LinkState.RELEASING])
@pytest.mark.parametrize("role", list(NodeRole))
def test_an_adopted_home_has_no_tokens_of_its_own_for_nodes(desk: Desk, state: LinkState, role: NodeRole) -> None:
    keep(desk, state)
    for service in (reveal_standing_token, rotate_standing_token):
        with pytest.raises(UsageProblem, match=f"not for a {role.word}") as caught:
            desk.home.store.write(partial(service, keys=desk.keys, requester=OPERATOR, role=role))
        assert str(caught.value.hint).endswith(f": docker swarm join-token {role.word}")
    wanted = WantedToken(role=TokenRole(role.word), ttl=timedelta(minutes=5))
    with pytest.raises(UsageProblem):
        desk.write(
            lambda transaction, authority: create_limited_token(transaction, desk.keys, authority, OPERATOR, wanted)
        )


def test_other_tokens_are_made_as_ever(desk: Desk) -> None:
    keep(desk, LinkState.ADOPTED)
    wanted = WantedToken(role=TokenRole.DRIVER, ttl=timedelta(minutes=5))
    desk.write(lambda transaction, authority: create_limited_token(transaction, desk.keys, authority, OPERATOR, wanted))


@pytest.mark.parametrize("role", list(NodeRole))
def test_a_token_from_before_joins_nobody_any_more(desk: Desk, role: NodeRole) -> None:
    token = desk.home.store.write(lambda transaction: renew_standing_token(transaction, desk.keys, OPERATOR, role))
    keep(desk, LinkState.ADOPTED)
    request = JoinRequest(token=token, signing_request=request_of(new_key()), node_name=None)
    with pytest.raises(UsageProblem, match="has adopted a Swarm"):
        desk.write(lambda transaction, authority: join_node(transaction, desk.keys, authority, request, OPERATOR))
    entry = desk.last_entry()
    assert (entry["action"], entry["outcome"]) == ("ca.token-redeem", "denied")
    assert desk.states() == {}
    keep(desk, LinkState.RELEASED)
    desk.write(lambda transaction, authority: join_node(transaction, desk.keys, authority, request, OPERATOR))
