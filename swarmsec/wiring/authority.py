"""What the settings say about certificates, in the services' terms."""

from __future__ import annotations

from datetime import timedelta

from swarmsec.config import Config


def lifetime_of(config: Config) -> timedelta:
    """How long leaf certificates live."""
    return timedelta(hours=config.ca.certificate_hours)
