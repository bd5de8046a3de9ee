"""Errors of the HTTP edge and the one shape in which every error is answered.

    UsageProblem
    └── HttpProblem           a request that HTTP itself has a status for
    Unavailable
    └── Overloaded            no place is free; with the time to wait

    {"error": {"code": word, "message": text, "hint": text, "request_id": id}}

Every answer says what to do next: what the error itself says, or else what is true of every error of its kind.

A defect is answered without its text; its traceback goes to the log alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from swarmsec.errors import Kind, Unavailable, UsageProblem, describe
from swarmsec.http import Response


class HttpProblem(UsageProblem):
    """A request that HTTP has a status of its own for.

    Args:
        status: the HTTP status.
        code: the machine-readable word.
        hint: what to send instead.
        headers: what the status asks for beside it (``Allow``).
        close: whether the connection ends with the answer.
    """

    def __init__(
        self,
        message: str,
        *,
        status: HTTPStatus,
        code: str,
        hint: str,
        headers: Mapping[str, str] | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})
        self.close = close


class Overloaded(Unavailable):
    """No place is free; ``retry_after`` is in whole seconds."""

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message, hint=f"try again in {retry_after} s")
        self.retry_after = retry_after


def is_defect(error: BaseException) -> bool:
    """Return whether an error is one that nobody worded."""
    return describe(error).kind is Kind.DEFECT


def build_error_response(error: BaseException, request_id: str) -> Response:
    """Render any error.

    Args:
        error: what was raised.
        request_id: the id under which the log knows the request.
    """
    if isinstance(error, HttpProblem):
        return _response(
            error.status, error.code, str(error), error.hint or _NEXT_STEPS[Kind.USAGE], request_id, error.headers
        )
    description = describe(error)
    headers = _waiting(error.retry_after if isinstance(error, Overloaded) else description.retry_after)
    kind = description.kind
    if kind is Kind.DEFECT:
        return _response(kind.http_status, kind.word, "internal error", _NEXT_STEPS[kind], request_id, headers)
    hint = description.hint or _NEXT_STEPS[kind]
    return _response(kind.http_status, kind.word, description.text, hint, request_id, headers)


_NEXT_STEPS: Final[Mapping[Kind, str]] = {
    Kind.DENIED: "whoever runs the server finds this refusal in its log: swarmsec audit log",
    Kind.UNAUTHENTICATED: "present a certificate of this authority that counts: renew it, or enrol anew",
    Kind.USAGE: "correct the request; /openapi.json says what is expected",
    Kind.NOT_FOUND: "look at what there is, and name that",
    Kind.EXISTS: "look at what is there, or choose another name",
    Kind.CHANGED: "read it again, then repeat the request",
    Kind.UNAVAILABLE: "try again later; the server's log says under this request id what is wrong",
    Kind.LIMITED: "try again later",
    Kind.INTEGRITY: "find out what is damaged, on the server: swarmsec audit verify",
    Kind.DEFECT: "the server's log has the details under this request id",
}
"""What to do next about an error that does not say so itself."""


def _waiting(seconds: int | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(seconds)}


def _response(status: int, code: str, message: str, hint: str, request_id: str, headers: Mapping[str, str]) -> Response:
    content = {"error": {"code": code, "message": message, "hint": hint, "request_id": request_id}}
    return Response(status=int(status), body=json.dumps(content).encode(), headers=headers)


ERROR_SCHEMA: Mapping[str, object] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "hint", "request_id"],
            "properties": {
                "code": {"type": "string", "description": "a word for programs"},
                "message": {"type": "string", "description": "a text for people"},
                "hint": {"type": "string", "minLength": 1, "description": "what to do next"},
                "request_id": {"type": "string", "format": "uuid"},
            },
        }
    },
}
"""JSON Schema of every error answer."""
