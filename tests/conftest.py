"""How property tests run, in all folders."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# How long an example takes says how busy the machine is. A run tries the same examples each time; a long one others.
settings.register_profile(
    "steady",
    deadline=None,
    derandomize=not os.environ.get("SWARMSEC_SOAK"),
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("steady")
