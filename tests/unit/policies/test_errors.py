"""Errors carry place and hint."""

from __future__ import annotations

import pytest

from policies.errors import AmbiguousPolicy, InvalidDocument, PolicyDenied, PolicyError
from swarmsec.errors import Kind, describe


def test_places_are_named_as_far_as_they_are_known() -> None:
    assert str(InvalidDocument("expected x, got y", source="f")) == "f: expected x, got y"
    full = InvalidDocument("expected x, got y", source="f", document=2, path="spec.rules[0]", line=7, hint="h")
    assert str(full) == "f, line 7, document 2, spec.rules[0]: expected x, got y"
    assert full.hint == "h"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidDocument("m", source="f"), Kind.USAGE),
        (AmbiguousPolicy("m"), Kind.USAGE),
        (PolicyDenied("m"), Kind.DENIED),
    ],
)
def test_every_error_has_its_kind_outside(error: PolicyError, kind: Kind) -> None:
    assert describe(error).kind is kind
