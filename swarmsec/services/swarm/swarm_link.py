"""What ties a home to its Swarm: which Docker Engine answers for it, under which URL it finds us, and how far that is.

Kept as one setting in canonical JSON, so that it is covered by a row's digest and by the log like everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from swarmsec.audit.canonical import encode_canonical, parse_canonical
from swarmsec.errors import IntegrityFailure, NotFound, UsageProblem
from swarmsec.services.ports import Transaction

SETTING: Final = "swarm"
_DOCKER_TOKENS: Final = "nodes of an adopted Swarm join with Docker's token: docker swarm join-token {role}"


class LinkState(StrEnum):
    """How far a Swarm is on its way to us, or from us."""

    ADOPTING = "adopting"
    ADOPTED = "adopted"
    RELEASING = "releasing"
    RELEASED = "released"

    @property
    def is_ours(self) -> bool:
        """Whether the Swarm's managers may ask for certificates here."""
        return self is not LinkState.RELEASED


@dataclass(frozen=True, slots=True, kw_only=True)
class SwarmLink:
    """One home's Swarm.

    Args:
        docker: the address of an engine that manages it.
        docker_tls: the directory of that engine's client certificate; empty for none.
        url: where the managers find our signing endpoint.
        state: how far it is.
        request_id: of the work that is under way; empty for none.
    """

    docker: str
    docker_tls: str
    url: str
    state: LinkState
    request_id: str = ""


def load_link(transaction: Transaction) -> SwarmLink | None:
    """This home's Swarm; None where it never had one.

    Raises:
        IntegrityFailure: the setting is not what this version writes.
    """
    text = transaction.settings.get(SETTING)
    if text is None:
        return None
    try:
        return _link(parse_canonical(text.encode()))
    except (ValueError, TypeError, KeyError):
        raise IntegrityFailure("expected the setting of this home's Swarm, got another") from None


def save_link(transaction: Transaction, link: SwarmLink) -> None:
    """Keep it; the caller logs why."""
    members = {
        "docker": link.docker,
        "docker_tls": link.docker_tls,
        "request_id": link.request_id,
        "state": link.state.value,
        "url": link.url,
    }
    transaction.settings.put(SETTING, encode_canonical(members).decode())


def require_link(transaction: Transaction) -> SwarmLink:
    """This home's Swarm.

    Raises:
        NotFound: it has none.
    """
    link = load_link(transaction)
    if link is None or not link.state.is_ours:
        raise NotFound("this home has not adopted a Swarm", hint="adopt one with: swarmsec swarm adopt --url URL")
    return link


def verify_own_nodes(transaction: Transaction, role: str) -> None:
    """Refuse to let workers or managers in by our own tokens where a Swarm decides who its nodes are.

    A manager's certificate of ours rules the Swarm, so none is given for a node that the Swarm does not know.

    Raises:
        UsageProblem: this home has adopted a Swarm.
    """
    link = load_link(transaction)
    if link is not None and link.state.is_ours and role in {"worker", "manager"}:
        raise UsageProblem(
            f"expected a token that is not for a {role}: this home has adopted a Swarm",
            hint=_DOCKER_TOKENS.format(role=role),
        )


def _link(members: Mapping[str, object]) -> SwarmLink:
    texts = {name: value for name, value in members.items() if isinstance(value, str)}
    if len(texts) != len(members):
        raise TypeError("expected texts")
    return SwarmLink(**{**texts, "state": LinkState(texts["state"])})  # type: ignore[arg-type]  # texts but for state
