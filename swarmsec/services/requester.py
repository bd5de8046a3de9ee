"""Who asks for a service, as log entries name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.entry import Actor, Event, Field, ObjectRef, Source

__all__ = ["SERVICE", "Field", "Requester"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """The one on whose behalf a service runs."""

    actor: Actor
    source: Source = field(default_factory=Source)
    request_id: str = ""

    def event(
        self,
        action: Action,
        target: ObjectRef,
        *,
        outcome: Outcome = Outcome.SUCCESS,
        reason: str = "",
        fields: Mapping[str, Field] | None = None,
    ) -> Event:
        """Word an entry."""
        return Event(
            action=action,
            outcome=outcome,
            object=target,
            actor=self.actor,
            source=self.source,
            reason=reason,
            request_id=self.request_id,
            fields=fields or {},
        )


SERVICE = Requester(actor=Actor(type="service", id="swarmsec"))
"""swarmsec itself, where nobody asked."""
