"""The frozen vectors of what others keep of a log."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from swarmsec.audit.checkpoints import Checkpoint, open_checkpoint, verified_cosignatures
from swarmsec.audit.entry import leaf_hash
from swarmsec.audit.notes import VerifierKey
from swarmsec.audit.proofs import verify_inclusion
from swarmsec.audit.tiles import parse_bundle
from swarmsec.audit.tlogproof import LogProof
from swarmsec.audit.witnessing import AddCheckpoint, verify_continuation
from tests.unit.swarmsec.audit.logs import LOG, ORIGIN, WITNESSES

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "audit" / "tlog_v1.json").read_text())
LOG_KEY, WITNESS_KEY = VerifierKey.parse(VECTORS["log_key"]), VerifierKey.parse(VECTORS["witness_key"])


def test_keys() -> None:
    assert (LOG.key, WITNESSES[0].key) == (LOG_KEY, WITNESS_KEY)


def test_checkpoint_and_cosignature() -> None:
    checkpoint, note = open_checkpoint(VECTORS["checkpoint"].encode(), LOG_KEY)
    (cosignature,) = verified_cosignatures(note, [WITNESS_KEY])
    assert (checkpoint.size, cosignature.time) == (7, VECTORS["time"])


def test_proof() -> None:
    proof = LogProof.parse(VECTORS["proof"].encode())
    checkpoint, _ = open_checkpoint(bytes(proof.checkpoint), LOG_KEY)
    assert proof.extra is not None
    verify_inclusion(leaf_hash(proof.extra), proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    assert bytes(proof) == VECTORS["proof"].encode()


def test_request_to_a_witness() -> None:
    known = Checkpoint(origin=ORIGIN, size=3, root=base64.b64decode(VECTORS["old_root"]))
    request = AddCheckpoint.parse(VECTORS["add_checkpoint"].encode())
    assert verify_continuation(request, LOG_KEY, known).size == 7
    assert bytes(request) == VECTORS["add_checkpoint"].encode()


def test_bundle() -> None:
    assert parse_bundle(bytes.fromhex(VECTORS["bundle"]), 7)[3] == b"entry 3"
