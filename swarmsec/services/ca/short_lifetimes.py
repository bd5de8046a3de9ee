"""What is said about certificates that live for less than an hour, wherever it is said: status, reports, the server.

Such a certificate has no backdate, the only protection that nodes have against a clock that runs late, and leaves the
authority minutes to come back in. It can be meant; it is never silent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from ca.profiles import MIN_LIFETIME

FINDING_ID: Final = "ca-short-lifetimes"
SETTING: Final = "allow_short_lifetimes"
_NAMED: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorityFinding:
    """Something about the authority that its operator should know."""

    finding_id: str
    severity: str
    """``low``, ``medium`` or ``high``."""
    text: str
    hint: str

    def members(self) -> dict[str, object]:
        """The finding as JSON members."""
        return {"id": self.finding_id, "severity": self.severity, "text": self.text, "hint": self.hint}


def short_lifetime_findings(short_lived: Sequence[str], lifetime: timedelta) -> Sequence[AuthorityFinding]:
    """Nothing, or one finding.

    Args:
        short_lived: whose present certificate lives for less than an hour.
        lifetime: how long new certificates of nodes live.
    """
    if lifetime >= MIN_LIFETIME and not short_lived:
        return ()
    if lifetime < MIN_LIFETIME:
        minutes = int(lifetime.total_seconds()) // 60
        text = f"new certificates of nodes live for {minutes} minutes, without backdate ({SETTING})"
    else:
        more = f" and {len(short_lived) - _NAMED} more" if len(short_lived) > _NAMED else ""
        text = f"certificates of less than an hour are in use: {', '.join(short_lived[:_NAMED])}{more}"
    hint = "a node whose clock runs late refuses them, and each needs 'swarmsec node renew --daemon'"
    return (AuthorityFinding(finding_id=FINDING_ID, severity="medium", text=text, hint=hint),)
