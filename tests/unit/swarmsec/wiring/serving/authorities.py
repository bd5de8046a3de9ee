"""The authority of a test's home as a server uses it."""

from __future__ import annotations

from swarmsec.wiring.ca.authority import lifetime_of
from swarmsec.wiring.serving.authorities import Authorities
from tests.unit.swarmsec.services.desk import Desk


def authorities_of(desk: Desk) -> Authorities:
    return Authorities(desk.home.store, desk.keys, lifetime_of(desk.home.config))
