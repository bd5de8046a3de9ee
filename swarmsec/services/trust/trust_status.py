"""How the repository stands: who may sign what, until when it holds, what is due, what waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from notary.roles import OWN_ROLES
from swarmsec.clock import rfc3339_seconds, unix_seconds
from swarmsec.services.ports import Transaction
from swarmsec.services.trust.pending_changes import missing_signatures
from swarmsec.services.trust.trust_records import PendingChange, TrustRole
from swarmsec.services.trust.trust_state import verify_initialised

WARNING_DAYS: Final = (7, 30, 60)
_DAY: Final = 86_400
ONLINE: Final = frozenset({"snapshot", "timestamp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleStatus:
    """One role.

    Attributes:
        row: as it is kept.
        embedded: how many of its keys lie in this home.
        due: ``7d``, ``30d`` or ``60d`` when it ends within so many days, ``expired``, or empty. What the service signs
            again by itself every hour is due only once it has expired.
    """

    row: TrustRole
    embedded: int
    due: str

    @property
    def custody(self) -> str:
        """``embedded`` where this home alone can sign, else ``shared`` or ``external``."""
        if not self.row.keyids:
            return "nobody"
        if self.embedded >= self.row.threshold:
            return "embedded"
        return "shared" if self.embedded else "external"

    def members(self) -> dict[str, Any]:
        """The status as ``trust status --json`` shows it."""
        return {
            "role": self.row.role,
            "version": self.row.version,
            "expires": rfc3339_seconds(self.row.expires) if self.row.version else None,
            "due": self.due or None,
            "threshold": self.row.threshold,
            "keys": list(self.row.keyids),
            "custody": self.custody,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustStatus:
    """The whole repository."""

    roles: tuple[RoleStatus, ...]
    pending: tuple[PendingChange, ...]

    @property
    def is_embedded(self) -> bool:
        """Whether one machine holds every key of root: its threshold then protects against nothing but mistakes."""
        return any(item.row.role == "root" and item.custody == "embedded" for item in self.roles)


def expiries(transaction: Transaction) -> tuple[dict[str, int], dict[str, int]]:
    """What metrics show: when roles end, in Unix seconds, and how many are due, by how soon.

    Repositories stand together, with the first of them to end: a label for each would be one too many.
    """
    now = unix_seconds(transaction.clock)
    ends: dict[str, int] = {}
    due = dict.fromkeys((*(f"{days}d" for days in WARNING_DAYS), "expired"), 0)
    for row in transaction.trust.roles.all():
        if row.version and row.keyids:
            name = row.role if row.role in OWN_ROLES else "repositories"
            ends[name] = min(row.expires, ends.get(name, row.expires))
            soon = due_of(row, now)
            if soon:
                due[soon] += 1
    return ends, due


def trust_status(transaction: Transaction) -> TrustStatus:
    """Look at every role.

    Raises:
        NotFound: there is no repository yet.
    """
    verify_initialised(transaction)
    sealed = {key.keyid for key in transaction.trust.keys.all() if key.key_name}
    now = unix_seconds(transaction.clock)
    roles = tuple(
        RoleStatus(row=row, embedded=len(sealed & set(row.keyids)), due=due_of(row, now))
        for row in sorted(transaction.trust.roles.all(), key=_order)
    )
    return TrustStatus(roles=roles, pending=tuple(transaction.trust.changes.all()))


def due_of(row: TrustRole, now: int) -> str:
    """How soon a role ends.

    Args:
        row: of the role.
        now: Unix seconds.
    """
    if row.version == 0 or not row.keyids:
        return ""
    left = row.expires - now
    if left <= 0:
        return "expired"
    if row.role in ONLINE:
        return ""
    return next((f"{days}d" for days in WARNING_DAYS if left <= days * _DAY), "")


def pending_members(transaction: Transaction, change: PendingChange) -> dict[str, Any]:
    """A pending change as ``trust pending --json`` shows it."""
    return {
        "id": change.change_id,
        "summary": change.summary,
        "created": rfc3339_seconds(change.created),
        "missing": missing_signatures(transaction, change),
    }


def _order(row: TrustRole) -> tuple[bool, str]:
    return row.role not in OWN_ROLES, row.role
