"""What the settings say about certificates, in the services' terms."""

from __future__ import annotations

from datetime import timedelta

from swarmsec.config import Config


def lifetime_of(config: Config) -> timedelta:
    """How long certificates live that somebody has to renew: those of programs and people."""
    return timedelta(hours=config.ca.certificate_hours)


def served_lifetime_of(config: Config) -> timedelta:
    """How long certificates live that a server issues and that renew by themselves: nodes', and its own."""
    return timedelta(minutes=config.ca.certificate_minutes) or lifetime_of(config)
