"""The agent goes on: a problem is told once and tried again, and only what is new is spoken of."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from swarmsec.errors import Denied, SwarmsecError, Unavailable
from swarmsec.wiring.reports.agent import keep_reporting

Answer = bool | SwarmsecError | TypeError


def run(*answers: Answer) -> list[str]:
    """What the operator is told of reports that end like this; the last one stops it."""
    told: list[str] = []
    stop, left = threading.Event(), list(answers)

    def report() -> bool:
        answer = left.pop(0)
        if not left:
            stop.set()
        if isinstance(answer, Exception):
            raise answer
        return answer

    keep_reporting(report, every=timedelta(), stop=stop, tell=told.append)
    return told


def test_a_problem_is_told_once_and_tried_again() -> None:
    away = Unavailable("it is away", hint="look there")

    assert run(away, away, True, away, False) == [
        "not reported: it is away (look there)",
        "reported: something is not as it was",
        "not reported: it is away (look there)",
    ]


def test_a_refusal_is_told_and_does_not_end_it() -> None:
    assert run(Denied("the certificate was revoked"), False) == ["not reported: the certificate was revoked"]


def test_a_defect_of_ours_ends_it() -> None:
    with pytest.raises(TypeError):
        run(TypeError("a defect"))
