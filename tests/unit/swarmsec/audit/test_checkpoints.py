"""Checkpoints and cosignatures: who signed what, and every way in which they did not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swarmsec.audit.checkpoints import (
    cosign_checkpoint,
    open_checkpoint,
    parse_checkpoint_text,
    sign_checkpoint,
    verified_cosignatures,
    verify_cosignature,
)
from swarmsec.audit.errors import CheckpointInvalid, LogFormatInvalid
from swarmsec.audit.notes import KeyKind, SignedNote, VerifierKey, parse_note
from tests.peers import tlog_checker
from tests.unit.swarmsec.audit.logs import LOG, ORIGIN, WITNESSES, FixedLog, FixedSigner

CHECKPOINT = FixedLog(5).checkpoint()
SIGNED = sign_checkpoint(CHECKPOINT, LOG)
TIME = 1_777_000_000
KEYS = [witness.key for witness in WITNESSES]


def cosigned(*witnesses: FixedSigner) -> SignedNote:
    lines = tuple(cosign_checkpoint(CHECKPOINT, witness, time=TIME) for witness in witnesses)
    return replace(SIGNED, signatures=SIGNED.signatures + lines)


def test_a_checkpoint_opens_with_its_logs_key() -> None:
    checkpoint, note = open_checkpoint(bytes(SIGNED), LOG.key)
    assert (checkpoint, note) == (CHECKPOINT, SIGNED)
    head = tlog_checker.checkpoint(bytes(SIGNED), tlog_checker.Key.read(str(LOG.key)))
    assert (head.origin, head.size, head.root) == (ORIGIN, 5, CHECKPOINT.root)


def test_the_example_of_the_specification_is_read() -> None:
    found = parse_checkpoint_text(
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )
    assert (found.origin, found.size, found.root[:2].hex()) == ("example.com/behind-the-sofa", 20_852_163, "0ac5")
    assert parse_checkpoint_text(found.text) == found


def test_a_signature_of_another_key_is_none() -> None:
    other = FixedSigner(ORIGIN, 2, KeyKind.LOG)
    with pytest.raises(CheckpointInvalid, match="is not signed by its log"):
        open_checkpoint(bytes(sign_checkpoint(CHECKPOINT, other)), LOG.key)


def test_another_text_under_a_signature_is_found() -> None:
    forged = replace(SIGNED, text=replace(CHECKPOINT, size=6).text)
    with pytest.raises(CheckpointInvalid, match=r"signature of .* does not verify"):
        open_checkpoint(bytes(forged), LOG.key)


def test_one_bad_signature_of_the_log_spoils_the_note() -> None:
    bad = replace(SIGNED.signatures[0], signature=bytes(64))
    with pytest.raises(CheckpointInvalid, match="does not verify"):
        open_checkpoint(bytes(replace(SIGNED, signatures=(*SIGNED.signatures, bad))), LOG.key)


def test_a_checkpoint_of_another_log_is_refused() -> None:
    other = FixedSigner("other.example/log", 1, KeyKind.LOG)
    with pytest.raises(CheckpointInvalid, match=r"expected a checkpoint of other.example/log"):
        open_checkpoint(bytes(SIGNED), other.key)
    with pytest.raises(CheckpointInvalid, match="expected the key of a log"):
        open_checkpoint(bytes(SIGNED), WITNESSES[0].key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        CHECKPOINT.text + "extension\n",
        CHECKPOINT.text[:-1],
        CHECKPOINT.text.replace("\n5\n", "\n05\n"),
        CHECKPOINT.text.replace("\n5\n", "\n-5\n"),
        CHECKPOINT.text.replace("\n5\n", "\n\u0665\n"),
        CHECKPOINT.text.replace("\n5\n", "\n9223372036854775808\n"),
        CHECKPOINT.text.replace("=\n", "\n"),
        CHECKPOINT.text.replace(ORIGIN, ""),
        CHECKPOINT.text.replace(ORIGIN, "a b"),
        f"{ORIGIN}\n5\nAAAA\n",
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(LogFormatInvalid, match="expected"):
        parse_checkpoint_text(text)


def test_cosignatures_verify_and_an_unknown_one_is_passed_over() -> None:
    note = parse_note(bytes(cosigned(*WITNESSES)))
    found = verified_cosignatures(note, KEYS[:2])
    assert [(one.key, one.time) for one in found] == [(key, TIME) for key in KEYS[:2]]
    checker = tuple(tlog_checker.Key.read(str(key)) for key in KEYS)
    head = tlog_checker.checkpoint(bytes(note), tlog_checker.Key.read(str(LOG.key)), checker)
    assert head.witnesses == tuple(key.name for key in KEYS)


def test_a_witness_counts_once_and_so_does_a_key_with_two_names() -> None:
    twice = cosigned(WITNESSES[0], WITNESSES[0])
    assert len(verified_cosignatures(twice, KEYS)) == 1
    renamed = FixedSigner("witness.example/other", WITNESSES[0].number, KeyKind.COSIGNER)
    assert len(verified_cosignatures(cosigned(WITNESSES[0], renamed), [*KEYS, renamed.key])) == 1


def test_a_cosignature_at_another_time_is_found() -> None:
    line = cosign_checkpoint(CHECKPOINT, WITNESSES[0], time=TIME)
    moved = replace(line, signature=(TIME + 1).to_bytes(8, "big") + line.signature[8:])
    with pytest.raises(CheckpointInvalid, match="does not verify"):
        verified_cosignatures(replace(SIGNED, signatures=(moved,)), KEYS)


def test_what_is_no_cosignature_is_refused() -> None:
    line = cosign_checkpoint(CHECKPOINT, WITNESSES[0], time=TIME)
    for signature in (line.signature[:-1], bytes(8) + line.signature[8:], b"\xff" * 8 + line.signature[8:]):
        with pytest.raises(CheckpointInvalid, match="expected a time and a signature"):
            verify_cosignature(SIGNED.text, replace(line, signature=signature), KEYS[0])
    with pytest.raises(CheckpointInvalid, match="expected a cosignature of"):
        verify_cosignature(SIGNED.text, line, KEYS[1])
    as_log = VerifierKey(name=KEYS[0].name, kind=KeyKind.LOG, public_key=KEYS[0].public_key)
    with pytest.raises(CheckpointInvalid, match="expected a cosignature of"):
        verify_cosignature(SIGNED.text, line, as_log)
