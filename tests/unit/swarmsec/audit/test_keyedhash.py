"""Keyed hashes: their form, and where an entry may hold one."""

from __future__ import annotations

import subprocess

from swarmsec.audit.keyedhash import keyed_hash, keyed_hashes_of

KEY = bytes(range(32))


def test_it_is_the_hmac_that_openssl_makes() -> None:
    said = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{KEY.hex()}"],
        input=b"swarmsec/audit-hash/v1\0correct horse",
        capture_output=True,
        check=True,
    ).stdout.decode()
    assert keyed_hash(KEY, 7, b"correct horse") == f"hmac:7:{said.split()[-1]}"


def test_another_key_term_or_value_gives_another() -> None:
    made = {
        keyed_hash(KEY, 1, b"a"),
        keyed_hash(KEY, 2, b"a"),
        keyed_hash(KEY, 1, b"b"),
        keyed_hash(KEY[::-1], 1, b"a"),
    }
    assert len(made) == 4


def test_only_the_places_for_hashes_are_looked_at() -> None:
    found = keyed_hash(KEY, 1, b"a")
    entry: dict[str, object] = {
        "source": {"ip": found},
        "fields": {"value": "clear", "note": keyed_hash(KEY, 1, b"planted")},
        "reason": keyed_hash(KEY, 1, b"planted"),
        "object": {"id": 7, "name": keyed_hash(KEY, 1, b"planted")},
    }
    assert keyed_hashes_of(entry) == {found}
    assert keyed_hashes_of({"source": "x"}) == set()
