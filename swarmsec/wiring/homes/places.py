"""Where things lie by default."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

HOME_VARIABLE: Final = "SWARMSEC_HOME"
STATE_VARIABLE: Final = "SWARMSEC_STATE"


def default_home() -> Path:
    """The home where none is named: ``SWARMSEC_HOME``, else the system's or the user's data directory."""
    named = os.environ.get(HOME_VARIABLE)
    if named:
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/lib/swarmsec")
    from platformdirs import user_data_path

    return user_data_path("swarmsec")


def state_directory(store_id: str) -> Path:
    """Where a store's seal key and anchor lie, outside its home: ``SWARMSEC_STATE`` or the user's state directory."""
    return _state_base() / store_id


def trust_directory() -> Path:
    """Where this machine keeps the root that it pinned, and what it has seen of signed metadata since."""
    return _state_base() / "trust"


def _state_base() -> Path:
    named = os.environ.get(STATE_VARIABLE)
    if named:
        return Path(named)
    from platformdirs import user_state_path

    return user_state_path("swarmsec")
