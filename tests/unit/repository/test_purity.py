"""What decides reads no clock, draws no randomness and opens no file, beyond what imports can show.

The import contract "pure" refuses whole modules; this looks for the calls that come with modules that are allowed,
such as ``datetime.now`` or the random serial numbers of ``cryptography``.
"""

from __future__ import annotations

import ast

import pytest

from tests.unit.repository.tree import modules

PURE = ("ca/", "notary/", "policies/", "swarmsec/audit/", "swarmsec/secretstore/")
CLOCK = frozenset({"now", "utcnow", "today"})
CHANCE = frozenset({"random_serial_number", "generate", "generate_key", "generate_private_key", "urandom"})
OUTSIDE = frozenset({"open", "input", "print", "exec", "eval", "from_file", "to_file", "__import__"})


def impure_calls(source: str) -> list[str]:
    """``line: name`` of each call whose last name reads a clock, draws randomness or reaches outside."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    named = [(call.lineno, called_name(call.func)) for call in calls]
    return [f"{line}: {name}" for line, name in named if name in CLOCK | CHANCE | OUTSIDE]


def called_name(function: ast.expr) -> str:
    """The last name of what is called: ``now`` of ``datetime.now()``."""
    match function:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def test_what_decides_is_pure() -> None:
    found = {name: impure_calls(text) for name, text in modules().items() if name.startswith(PURE)}
    assert {name: calls for name, calls in found.items() if calls} == {}


@pytest.mark.parametrize(
    "source",
    ["datetime.now(UTC)", "x509.random_serial_number()", "ec.generate_private_key(c)", "open('f')", "print(1)"],
)
def test_an_impure_call_is_found(source: str) -> None:
    assert impure_calls(source)
