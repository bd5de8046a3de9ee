"""Measuring in pairs: a round of ours, a round of the peer's, and so on; medians and ratios pair by pair."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure: how ours compares with the peer.

    ``unit`` names what the medians count; ``aim`` is the bound of the ratio, ``at_least`` says on which side of it
    the ratio is good.
    """

    name: str
    peer: str
    unit: str
    ours: float
    theirs: float
    ratio: float
    spread: tuple[float, float]
    aim: float
    at_least: bool

    @property
    def holds(self) -> bool:
        """Whether the median ratio meets the aim."""
        return self.ratio >= self.aim if self.at_least else self.ratio <= self.aim


def single_figure(
    name: str, peer: str, unit: str, ours: float, theirs: float, *, aim: float = 1.0, at_least: bool = False
) -> Figure:
    """A figure of one run, held against a bound rather than against a peer's rounds."""
    ratio = ours / theirs
    return Figure(
        name=name,
        peer=peer,
        unit=unit,
        ours=ours,
        theirs=theirs,
        ratio=ratio,
        spread=(ratio, ratio),
        aim=aim,
        at_least=at_least,
    )


def measure_pairs(
    name: str,
    peer: str,
    unit: str,
    *,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    aim: float,
    at_least: bool,
    rounds: int = 15,
    warm_ups: int = 2,
) -> Figure:
    """Run both sides in turn.

    Args:
        ours, theirs: one round each; returns its value in ``unit``.
        aim, at_least: see ``Figure``.
        rounds: counted pairs.
        warm_ups: pairs before those, not counted.
    """
    pairs = [(ours(), theirs()) for _ in range(warm_ups + rounds)][warm_ups:]
    ratios = sorted(mine / peers for mine, peers in pairs)
    return Figure(
        name=name,
        peer=peer,
        unit=unit,
        ours=statistics.median(mine for mine, _ in pairs),
        theirs=statistics.median(peers for _, peers in pairs),
        ratio=statistics.median(ratios),
        spread=(ratios[0], ratios[-1]),
        aim=aim,
        at_least=at_least,
    )
