"""The setting by which every opening of a home sees that it was restored; what accepting it takes is elsewhere."""

from __future__ import annotations

from typing import Final

RESTORED: Final = "restored"
"""The setting of a home that was restored and not yet accepted; empty or absent otherwise."""
