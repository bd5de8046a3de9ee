"""How many files and connections this process may have open."""

from __future__ import annotations

import resource
from typing import Final

SPARE_DESCRIPTORS: Final = 256
"""For the database, its log files, sockets that listen and whatever else is open beside connections."""


def raise_descriptor_limit(wanted: int) -> int:
    """Raise the soft limit of open files, which many systems set to 1,024, as far as the hard limit lets it.

    Args:
        wanted: open files.

    Returns:
        the limit from now on; never lower than before.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return max(soft, wanted)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed
