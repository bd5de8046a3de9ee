"""Comparisons in source whose operands are named like secrets, or like what is made of secrets or keys.

What counts is the last word of a name (``spki_sha256``, ``docker_secret``; not ``secret_id``), of an attribute, a
member or a call. A variable that is given such a value counts like it, whatever it is called.
``hmac.compare_digest`` is a call, no comparison, and so never found.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

WORDS: Final = frozenset(
    {"secret", "token", "digest", "hexdigest", "mac", "hmac", "fingerprint", "key", "commitment", "passphrase", "pin"}
    | {"password", "hash", "sha256", "spki", "reveal", "plaintext", "signature"}
)
_PLAIN: Final = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)
_SEARCHES: Final = frozenset({"startswith", "endswith", "__eq__", "__ne__", "__contains__"})


def comparisons(source: str) -> Iterator[str]:
    """Every comparison of a module in which something secret may stand, as Python writes it."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            given = frozenset(_given_secrets(function))
            yield from (ast.unparse(node) for node in ast.walk(function) if _compares_secret(node, given))


def _compares_secret(node: ast.AST, given: frozenset[str]) -> bool:
    match node:
        case ast.Compare(left=left, ops=operators, comparators=others):
            operands = (left, *others)
            sides = zip(operators, operands, operands[1:], strict=False)
            return any(
                isinstance(operator, _PLAIN) and not _tells_nothing(one, other) and _is_secret(given, one, other)
                for operator, one, other in sides
            )
        case ast.Call(func=ast.Attribute(attr=name, value=value), args=[argument, *_]) if name in _SEARCHES:
            return not _tells_nothing(value, argument) and _is_secret(given, value, argument)
        case ast.Match(subject=subject, cases=cases):
            return _is_secret(given, subject) and any(_has_value(case.pattern) for case in cases)
    return False


def _tells_nothing(*operands: ast.expr) -> bool:
    """Whether one is a constant of the program, or a length or type."""
    return any(
        isinstance(operand, ast.Constant)
        or (isinstance(operand, ast.Call) and isinstance(operand.func, ast.Name) and operand.func.id in {"len", "type"})
        for operand in operands
    )


def _has_value(pattern: ast.pattern) -> bool:
    """Whether a pattern compares with something that is no constant of the program."""
    values = (node.value for node in ast.walk(pattern) if isinstance(node, ast.MatchValue))
    return any(not isinstance(value, ast.Constant) and not ast.unparse(value).isupper() for value in values)


def _is_secret(given: frozenset[str], *operands: ast.expr) -> bool:
    return any(
        not word.isupper() and (word in given or _last_part(word) in WORDS)
        for operand in operands
        for word in _words(operand)
    )


def _last_part(word: str) -> str:
    part = word.lower().rpartition("_")[2]
    return part.removesuffix("s") if part.removesuffix("s") in WORDS else part


def _given_secrets(function: ast.AST) -> Iterator[str]:
    """The variables that are given something secret."""
    nothing: frozenset[str] = frozenset()
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=targets, value=value) if _is_secret(nothing, value):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if _is_secret(nothing, value):
                yield name
            case ast.NamedExpr(target=target, value=value) if _is_secret(nothing, value):
                yield target.id


def _words(node: ast.AST) -> Iterator[str]:
    """The names that say what an expression gives."""
    match node:
        case ast.Name(id=name):
            yield name
        case ast.Attribute(attr=name):
            yield name
        case ast.Call(func=ast.Attribute(attr=name, value=value)):
            yield name
            yield from _words(value)
        case ast.Call(func=function, args=arguments):
            yield from _words(function)
            for argument in arguments:
                yield from _words(argument)
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            yield name
        case ast.Subscript(value=value):
            yield from _words(value)
        case ast.GeneratorExp(elt=element) | ast.ListComp(elt=element) | ast.SetComp(elt=element):
            yield from _words(element)
        case ast.Dict(keys=keys, values=values):
            yield from (key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str))
            for value in values:
                yield from _words(value)
        case ast.Constant() | ast.Lambda() | ast.Compare():
            return
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _words(child)
