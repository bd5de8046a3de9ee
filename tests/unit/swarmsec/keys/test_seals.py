"""Seals: the frozen format, the bounds of what a row may ask for, and that only what fits opens them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsec.errors import IntegrityFailure
from swarmsec.keys.errors import WrongUnlock
from swarmsec.keys.seals import (
    ARGON2_KIB,
    ARGON2_LANES,
    ARGON2_PASSES,
    FILE,
    PASSPHRASE,
    new_params,
    seal_context,
    seal_key,
    unwrap_root,
    wrap_root,
)
from swarmsec.secretbytes import SecretBytes

VECTORS = json.loads((Path(__file__).parents[3] / "vectors/keys/seals_v1.json").read_text())
KEY = SecretBytes(bytes(32))
ROOT = SecretBytes(bytes(range(32)))
CONTEXT = seal_context("store", "seal", FILE, new_params(FILE, os.urandom))
CHEAP = {"format": 1, "suite": "aes-256-gcm", "kdf": "argon2id", "salt": "00" * 16, "lanes": 1, "passes": 1, "kib": 8}


def stretch(**changes: object) -> SecretBytes:
    return seal_key(PASSPHRASE, json.dumps(CHEAP | changes), SecretBytes(b"passphrase"))


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["kind"] for vector in VECTORS])
def test_seals_of_format_1_open(vector: dict[str, Any]) -> None:
    context = seal_context(vector["store_id"], vector["seal_id"], vector["kind"], vector["params"])
    key = seal_key(vector["kind"], vector["params"], SecretBytes(bytes.fromhex(vector["given"])))
    wrapped = bytes.fromhex(vector["wrapped_root"])
    assert unwrap_root(key, wrapped, context).reveal().hex() == vector["root"]
    assert wrap_root(key, unwrap_root(key, wrapped, context), context, lambda count: wrapped[:count]) == wrapped


def test_new_passphrase_seals_cost_what_the_documentation_says() -> None:
    members = json.loads(new_params(PASSPHRASE, os.urandom))
    assert (members["kdf"], members["lanes"], members["passes"], members["kib"]) == (
        "argon2id",
        ARGON2_LANES,
        ARGON2_PASSES,
        ARGON2_KIB,
    )
    assert (ARGON2_LANES, ARGON2_PASSES, ARGON2_KIB) == (4, 3, 256 * 1024)
    assert len(bytes.fromhex(members["salt"])) == 16


@pytest.mark.parametrize(
    "changes",
    [
        {"lanes": 0},
        {"lanes": 17},
        {"passes": 0},
        {"passes": 17},
        {"kib": 7},
        {"kib": 2_097_153},
        {"kib": 2**70},
        {"lanes": 16, "kib": 127},
        {"kib": "8"},
        {"kib": 8.0},
        {"kib": None},
        {"lanes": True},
        {"salt": ""},
        {"salt": "00"},
        {"salt": "zz" * 16},
        {"salt": 7},
        {"salt": "00" * 65536},
        {"kdf": "scrypt"},
        {"kdf": None},
        {"format": 2},
        {"format": "1"},
        {"suite": "aes-128-gcm"},
    ],
)
def test_a_row_cannot_ask_for_more_or_less_than_the_bounds(changes: dict[str, object]) -> None:
    with pytest.raises(IntegrityFailure):
        stretch(**changes)


def test_each_cost_and_the_salt_change_the_key() -> None:
    keys = [stretch(), stretch(passes=2), stretch(kib=16), stretch(salt="01" * 16), stretch(lanes=2, kib=16)]
    assert len({key.reveal() for key in keys}) == len(keys)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: data.decode("latin-1")))
def test_parameters_that_are_none_are_refused(params: str) -> None:
    with pytest.raises(IntegrityFailure):
        seal_key(FILE, params, KEY)


@pytest.mark.parametrize("kind", ["", "pkcs11", "FILE", "file "])
def test_an_unknown_kind_is_refused(kind: str) -> None:
    with pytest.raises(IntegrityFailure, match="kind file or passphrase"):
        seal_key(kind, json.dumps(CHEAP), KEY)


@pytest.mark.parametrize(
    "context",
    [
        seal_context("stor", "seal", FILE, new_params(FILE, os.urandom)),
        seal_context("store", "sea", FILE, new_params(FILE, os.urandom)),
        seal_context("store", "seal", PASSPHRASE, new_params(FILE, os.urandom)),
        seal_context("store", "seal", FILE, "{}"),
        seal_context("stores", "eal", FILE, new_params(FILE, os.urandom)),
    ],
)
def test_a_seal_opens_under_no_other_context(context: bytes) -> None:
    with pytest.raises(WrongUnlock):
        unwrap_root(KEY, wrap_root(KEY, ROOT, CONTEXT, os.urandom), context)


@pytest.mark.parametrize("key", [SecretBytes(b"\x01" + bytes(31)), SecretBytes(bytes(16)), SecretBytes(b"")])
def test_a_seal_opens_with_no_other_key(key: SecretBytes) -> None:
    with pytest.raises(WrongUnlock) as caught:
        unwrap_root(key, wrap_root(KEY, ROOT, CONTEXT, os.urandom), CONTEXT)
    assert caught.value.__cause__ is None


@given(st.binary(max_size=80))
def test_no_other_bytes_open(wrapped: bytes) -> None:
    with pytest.raises(WrongUnlock):
        unwrap_root(KEY, wrapped, CONTEXT)
