"""Every target on its seeds and on mutated inputs; ``SWARMSEC_SOAK=1`` runs fifty times as many."""

from __future__ import annotations

import os

import pytest

from tests.fuzz.engine import Target, fuzz
from tests.fuzz.targets import BY_NAME, TARGETS

INPUTS = 600
SOAK_FACTOR = 50
COUNT = INPUTS * (SOAK_FACTOR if os.environ.get("SWARMSEC_SOAK") else 1)

NEVER_TAKEN = {"backup-payload": "whoever lacks the MAC key makes no backup that verifies"}


@pytest.mark.parametrize("target", TARGETS, ids=BY_NAME)
def test_no_input_breaks_it(target: Target) -> None:
    found = list(fuzz(target, COUNT // 4 if target.is_slow else COUNT))
    assert not found, "\n\n".join(map(str, found))


def test_names_are_given_once() -> None:
    assert len(BY_NAME) == len(TARGETS)


TAKING = [target for target in TARGETS if target.name not in NEVER_TAKEN]


@pytest.mark.parametrize("target", TAKING, ids=[target.name for target in TAKING])
def test_the_first_seed_is_taken(target: Target) -> None:
    """A target whose valid input is refused would test nothing but its first check."""
    target.run(target.seeds[0])
