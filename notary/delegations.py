"""Which delegated roles a path belongs to, found without looking at every role.

The order of a delegator's roles is the order of trust (TUF specification 1.0, section 5.6.7). Patterns are matched part
by part, and ``*`` does not cross a slash (section 4.5), so the common pattern ``name/*`` covers exactly the paths one
level below ``name``: these are found by a look into a table, whatever their number, all others one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tuf.api.metadata import DelegatedRole, Delegations

_WHOLE_LEVEL: Final = re.compile(r"([^*?\[\]]+)/\*")


class DelegationIndex:
    """The delegations of one role.

    Args:
        delegations: as its metadata has them; None for none.
    """

    def __init__(self, delegations: Delegations | None) -> None:
        self._delegations = delegations
        self._levels: dict[str, list[tuple[int, DelegatedRole]]] = {}
        self._others: list[tuple[int, DelegatedRole]] = []
        for order, role in enumerate((delegations.roles or {}).values() if delegations is not None else ()):
            self._add(order, role)

    def of(self, path: str) -> Iterator[tuple[str, bool]]:
        """The roles that may speak of a path, in the order of trust, and whether the search ends with each."""
        if self._delegations is not None and self._delegations.succinct_roles is not None:
            yield from self._delegations.get_roles_for_target(path)
            return
        level = self._levels.get(path.rpartition("/")[0], [])
        others = [entry for entry in self._others if entry[1].is_delegated_path(path)]
        for _, role in sorted(level + others, key=lambda entry: entry[0]) if others else level:
            yield role.name, role.terminating

    def _add(self, order: int, role: DelegatedRole) -> None:
        levels = [_WHOLE_LEVEL.fullmatch(pattern) for pattern in role.paths or ()]
        if not levels or None in levels:
            self._others.append((order, role))
            return
        for name in {level[1] for level in levels if level is not None}:
            self._levels.setdefault(name, []).append((order, role))
