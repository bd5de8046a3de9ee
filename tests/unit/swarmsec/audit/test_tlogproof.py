"""Proof files: what one says, and everything that is none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swarmsec.audit.checkpoints import sign_checkpoint
from swarmsec.audit.errors import LogFormatInvalid
from swarmsec.audit.proofs import inclusion_proof
from swarmsec.audit.tlogproof import MAX_BYTES, LogProof
from tests.peers import tlog_checker
from tests.unit.swarmsec.audit.logs import LOG, FixedLog

KEY = tlog_checker.Key.read(str(LOG.key))


def proof_of(index: int, size: int) -> LogProof:
    log = FixedLog(size)
    return LogProof(
        index=index,
        hashes=tuple(inclusion_proof(index, size, log.tree)),
        checkpoint=sign_checkpoint(log.checkpoint(), LOG),
        extra=log.entry(index),
    )


@pytest.mark.parametrize(("index", "size"), [(0, 1), (3, 7), (300, 1000), (999, 1000)])
def test_a_file_stands_for_its_proof_and_the_checker_takes_it(index: int, size: int) -> None:
    proof = proof_of(index, size)
    assert LogProof.parse(bytes(proof)) == proof
    assert tlog_checker.tlog_proof(bytes(proof), KEY) == (index, b"entry %d" % index)
    bare = replace(proof, extra=None)
    assert LogProof.parse(bytes(bare)) == bare
    assert tlog_checker.tlog_proof(bytes(bare), KEY, entry=proof.extra)[0] == index


WHOLE = bytes(proof_of(3, 7))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        WHOLE[1:],
        WHOLE.replace(b"@v1", b"@v2"),
        WHOLE.replace(b"index 3", b"index 03"),
        WHOLE.replace(b"index 3\n", b""),
        WHOLE.replace(b"extra ", b"extra  "),
        WHOLE.replace(b"extra ", b"more "),
        WHOLE.replace(b"index 3\n", b"index 3\nAAAA\n"),
        WHOLE.replace(b"index 3\n", b"index 3\n" + b"A" * 43 + b"=\n" * 1 + (b"A" * 43 + b"=\n") * 64),
        WHOLE.replace(b"c2sp", b"c2\xffsp"),
        WHOLE.partition(b"\n\n")[0],
        WHOLE + b"\n",
        WHOLE + b"x" * MAX_BYTES,
        WHOLE.replace(b"extra ", b"extra " + b"AAAA" * 22_000),
    ],
)
def test_what_is_no_proof_is_refused(data: bytes) -> None:
    with pytest.raises(LogFormatInvalid, match="expected"):
        LogProof.parse(data)
