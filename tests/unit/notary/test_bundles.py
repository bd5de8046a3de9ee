"""Offline bundles: the envelope. What it holds is judged in ``test_following``."""

from __future__ import annotations

import json

import pytest

from notary.bundles import parse_bundle, write_bundle
from notary.errors import InvalidMetadata

GOOD = json.loads(write_bundle({"1.root.json": b"root", "policy/trust.yaml": b"policy"}, b"stamp"))


def test_a_bundle_has_its_files_and_its_own_timestamp() -> None:
    bundle = parse_bundle(json.dumps(GOOD).encode())
    assert bundle.fetch("1.root.json", 100) == b"root"
    assert bundle.fetch("timestamp.json", 100) == b"stamp"
    assert bundle.fetch("2.root.json", 100) is None


@pytest.mark.parametrize(
    "change",
    [
        {"format": "swarmsec-trust-bundle/2"},
        {"format": None},
        {"metadata": []},
        {"metadata": {"1.root.json": "?"}},
        {"metadata": {"1.root.json": 7}},
        {"metadata": {"n" * 2000: ""}},
        {"metadata": {str(number): "" for number in range(20_001)}},
        {"timestamp": None},
        {"more": 1},
    ],
)
def test_anything_else_is_none(change: dict[str, object]) -> None:
    with pytest.raises(InvalidMetadata):
        parse_bundle(json.dumps({**GOOD, **change}).encode())


def test_the_timestamp_cannot_hide_among_the_metadata() -> None:
    hidden = {**GOOD, "metadata": {**GOOD["metadata"], "timestamp.json": "b3RoZXI="}}
    assert parse_bundle(json.dumps(hidden).encode()).fetch("timestamp.json", 100) == b"stamp"
