"""What a witness cosigns, and each of its refusals."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swarmsec.audit.checkpoints import Checkpoint, sign_checkpoint
from swarmsec.audit.errors import CheckpointInvalid, LogFormatInvalid, ProofInvalid
from swarmsec.audit.notes import KeyKind
from swarmsec.audit.proofs import consistency_proof
from swarmsec.audit.witnessing import MAX_BYTES, AddCheckpoint, SizeConflict, origin_of, verify_continuation
from tests.unit.swarmsec.audit.logs import LOG, ORIGIN, FixedLog, FixedSigner

HONEST = FixedLog(20)
FORGED = FixedLog(20, salt=b"forged")


def request(old: int, new: int, log: FixedLog = HONEST) -> AddCheckpoint:
    return AddCheckpoint(
        old_size=old,
        proof=tuple(consistency_proof(old, new, log.tree)),
        note=sign_checkpoint(log.checkpoint(new), LOG),
    )


def verify(asked: AddCheckpoint, known: Checkpoint | None) -> Checkpoint:
    return verify_continuation(asked, LOG.key, known)


def test_a_request_stands_for_its_bytes() -> None:
    asked = request(3, 17)
    assert AddCheckpoint.parse(bytes(asked)) == asked
    assert origin_of(asked) == ORIGIN


def test_what_continues_is_accepted_from_nothing_to_the_end() -> None:
    known = None
    for old, new in ((0, 0), (0, 3), (3, 3), (3, 17), (17, 20)):
        known = verify(request(old, new), known)
        assert known == HONEST.checkpoint(new)


def test_a_rewritten_log_is_refused_although_its_own_key_signed_it() -> None:
    with pytest.raises(ProofInvalid, match="was rewritten"):
        verify(request(17, 20, FORGED), HONEST.checkpoint(17))
    with pytest.raises(ProofInvalid, match="was rewritten"):
        verify(request(17, 17, FORGED), HONEST.checkpoint(17))


def test_another_size_than_the_remembered_one_is_a_conflict_that_names_it() -> None:
    for known in (HONEST.checkpoint(5), HONEST.checkpoint(20), None):
        with pytest.raises(SizeConflict) as caught:
            verify(request(4, 17), known)
        assert caught.value.known == (known.size if known else 0)


def test_a_log_that_went_back_is_a_conflict() -> None:
    with pytest.raises(SizeConflict, match="the 17 entries that the witness has seen, got one from 3"):
        verify(request(3, 5), HONEST.checkpoint(17))


def test_an_old_size_beyond_the_new_one_is_no_request() -> None:
    with pytest.raises(LogFormatInvalid, match="expected an old size of at most 3, got 5"):
        verify(replace(request(3, 3), old_size=5), HONEST.checkpoint(5))


def test_only_the_log_signs_for_itself() -> None:
    stranger = FixedSigner(ORIGIN, 9, KeyKind.LOG)
    asked = AddCheckpoint(old_size=0, proof=(), note=sign_checkpoint(HONEST.checkpoint(), stranger))
    with pytest.raises(CheckpointInvalid, match="not signed by its log"):
        verify(asked, None)


def test_proofs_that_are_too_much_or_too_little_are_refused() -> None:
    whole = request(3, 17)
    for proof in (whole.proof[:-1], (*whole.proof, bytes(32)), ()):
        with pytest.raises(ProofInvalid):
            verify(replace(whole, proof=proof), HONEST.checkpoint(3))
    with pytest.raises(ProofInvalid, match="expected no hashes"):
        verify(replace(request(0, 17), proof=(bytes(32),)), None)


def test_an_empty_log_has_one_root() -> None:
    note = sign_checkpoint(Checkpoint(origin=ORIGIN, size=0, root=bytes(32)), LOG)
    with pytest.raises(ProofInvalid):
        verify(AddCheckpoint(old_size=0, proof=(), note=note), None)


def test_what_one_log_said_is_not_held_against_another() -> None:
    with pytest.raises(CheckpointInvalid, match="expected a checkpoint of other"):
        verify(request(3, 17), replace(HONEST.checkpoint(3), origin="other"))


WHOLE = bytes(request(3, 17))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        WHOLE.replace(b"old 3", b"old 03"),
        WHOLE.replace(b"old 3", b"new 3"),
        WHOLE.replace(b"old 3", b"old  3"),
        WHOLE.replace(b"old 3\n", b"old 3\nAAAA\n"),
        WHOLE.replace(b"old 3\n", b"old 3\n" + (b"A" * 43 + b"=\n") * 60),
        WHOLE.replace(b"old", b"\xffold"),
        WHOLE.partition(b"\n\n")[0],
        b"x" * (MAX_BYTES + 1),
    ],
)
def test_what_is_no_request_is_refused(data: bytes) -> None:
    with pytest.raises(LogFormatInvalid, match="expected"):
        AddCheckpoint.parse(data)
