"""The limit of open files goes up as far as it may, and never down."""

from __future__ import annotations

import resource

import pytest

from swarmsec.wiring.process.descriptors import raise_descriptor_limit

UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "wanted", "expected"),
    [
        (1024, 4096, 2000, 2000),
        (1024, 1500, 2000, 1500),
        (1024, UNLIMITED, 2000, 2000),
        (4096, 4096, 2000, 4096),
        (2000, 4096, 2000, 2000),
        (UNLIMITED, UNLIMITED, 2000, 2000),
    ],
)
def test_the_limit_that_holds(
    soft: int, hard: int, wanted: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, value: limits.append(value))

    assert raise_descriptor_limit(wanted) == expected
    now_soft, now_hard = limits[-1]
    assert now_hard == hard
    assert now_soft == UNLIMITED or now_soft >= min(expected, soft)
