"""What is kept of revocation lists: the newest of each root, and the highest number that was ever given out.

Two roots have a list each while one takes the place of the other. They have the same name, so their lists share one
row of numbers: whoever takes them for lists of one authority still sees them rise.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from swarmsec.clock import unix_seconds
from swarmsec.errors import IntegrityFailure
from swarmsec.services.ports import Transaction

LIFE_SECONDS: Final = 7 * 24 * 3600
SETTING: Final = "ca/revocations"
_NONE_YET: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListState:
    """What is kept of a root's newest list. Times in Unix seconds."""

    number: int
    generation: int
    """Of the root that signs it."""
    this_update: int
    previous_update: int | None
    """When the list before it was issued; entries whose certificates ended before that are gone."""
    entries_sha256: str

    @property
    def next_update(self) -> int:
        """When it ends."""
        return self.this_update + LIFE_SECONDS

    def is_past_half(self, now: int) -> bool:
        """Whether half of its life is over, or the clock stands before its begin."""
        return not self.this_update <= now < self.this_update + LIFE_SECONDS // 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ListStates:
    """What is kept of all lists."""

    number: int
    """The highest that was given out, to whatever root; 0 before the first."""
    by_generation: Mapping[int, ListState]


def load_list_states(transaction: Transaction) -> ListStates:
    """What is known of the lists.

    Raises:
        IntegrityFailure: the setting is none that we write.
    """
    text = transaction.settings.get(SETTING)
    if text is None:
        return ListStates(number=_NONE_YET, by_generation={})
    try:
        return _parse(json.loads(text))
    except (ValueError, TypeError, KeyError):
        raise IntegrityFailure(f"expected the states of revocation lists in the setting {SETTING}") from None


def _parse(members: Any) -> ListStates:
    """Before there could be two lists, the setting held the one state alone."""
    if "lists" not in members:
        only = ListState(**members)
        return ListStates(number=only.number, by_generation={only.generation: only})
    number, lists = members.pop("number"), [ListState(**each) for each in members.pop("lists")]
    if members or not isinstance(number, int):
        raise ValueError("expected a number and lists, and nothing more")
    return ListStates(number=number, by_generation={each.generation: each for each in lists})


def load_list_state(transaction: Transaction, generation: int) -> ListState | None:
    """What is known of a root's newest list; None before its first and after its last."""
    return load_list_states(transaction).by_generation.get(generation)


def next_number(transaction: Transaction) -> int:
    """The number of the list to be made; who makes it keeps its state, or ends the root's lists."""
    # Not below the clock: a home that was restored from a backup does not know how far its numbers went.
    return max(load_list_states(transaction).number + 1, unix_seconds(transaction.clock))


def save_list_state(transaction: Transaction, state: ListState) -> None:
    """Keep the state of a root's newest list; the caller logs the entry."""
    states = load_list_states(transaction)
    lists = {**states.by_generation, state.generation: state}
    _save(transaction, replace(states, number=max(states.number, state.number), by_generation=lists))


def end_lists(transaction: Transaction, generation: int, *, last_number: int) -> None:
    """Keep that a root gets no list after the one of this number; the caller logs the entry."""
    states = load_list_states(transaction)
    lists = {key: state for key, state in states.by_generation.items() if key != generation}
    _save(transaction, replace(states, number=max(states.number, last_number), by_generation=lists))


def _save(transaction: Transaction, states: ListStates) -> None:
    lists = [asdict(state) for _, state in sorted(states.by_generation.items())]
    transaction.settings.put(SETTING, json.dumps({"number": states.number, "lists": lists}, sort_keys=True))
