"""Every error is answered in one shape, and a defect keeps its text to itself."""

from __future__ import annotations

import json
from http import HTTPStatus

import pytest

from swarmsec.errors import Denied, IntegrityFailure, TooManyAttempts, Unauthenticated, UsageProblem
from swarmsec.server.errors import HttpProblem, Overloaded, build_error_response, is_defect


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Denied("no"), 403, "denied"),
        (Unauthenticated("no"), 401, "unauthenticated"),
        (UsageProblem("no"), 400, "invalid"),
        (IntegrityFailure("no"), 500, "integrity"),
        (TooManyAttempts("no", retry_after=7), 429, "too_many_attempts"),
        (Overloaded("no", retry_after=2), 503, "unavailable"),
        (HttpProblem("no", status=HTTPStatus.CONFLICT, code="word", hint="do"), 409, "word"),
        (ValueError("no"), 500, "defect"),
    ],
)
def test_every_error_is_answered_in_one_shape(error: Exception, status: int, code: str) -> None:
    response = build_error_response(error, "id")
    content = json.loads(response.body)["error"]
    assert (response.status, content["code"], content["request_id"]) == (status, code, "id")
    assert set(content) == {"code", "message", "hint", "request_id"}
    assert all(type(text) is str and text for text in content.values())
    assert is_defect(error) == (code == "defect")


def test_the_time_to_wait_is_a_header() -> None:
    assert build_error_response(TooManyAttempts("no", retry_after=7), "id").headers["Retry-After"] == "7"
    assert build_error_response(Overloaded("no", retry_after=2), "id").headers["Retry-After"] == "2"
    assert not build_error_response(Denied("no"), "id").headers


def test_a_defect_does_not_show_its_text() -> None:
    assert b"hunter2" not in build_error_response(RuntimeError("hunter2"), "id").body
