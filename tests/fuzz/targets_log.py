"""Targets of the transparency log: what an auditor, a witness or an exported directory hands in."""

from __future__ import annotations

from dataclasses import replace

from swarmsec.audit.checkpoints import (
    cosign_checkpoint,
    open_checkpoint,
    parse_checkpoint_text,
    parse_hash,
    parse_size,
    parse_unverified_checkpoint,
    sign_checkpoint,
    verified_cosignatures,
)
from swarmsec.audit.errors import CheckpointInvalid, LogFormatInvalid
from swarmsec.audit.notes import VerifierKey, decode_base64, parse_note, parse_signatures
from swarmsec.audit.proofs import consistency_proof, inclusion_proof
from swarmsec.audit.tiles import Tile, encode_bundle, parse_bundle, parse_tile
from swarmsec.audit.tlogproof import LogProof
from swarmsec.audit.witnessing import AddCheckpoint
from tests.fuzz.engine import CheckFailed, Target
from tests.fuzz.material import text_of
from tests.unit.swarmsec.audit.logs import LOG, WITNESSES, FixedLog

_LOG = FixedLog(7)
_SIGNED = sign_checkpoint(_LOG.checkpoint(), LOG)
_COSIGNED = replace(
    _SIGNED,
    signatures=(*_SIGNED.signatures, cosign_checkpoint(_LOG.checkpoint(), WITNESSES[0], time=1_777_000_000)),
)
_PROOF = LogProof(index=3, hashes=tuple(inclusion_proof(3, 7, _LOG.tree)), checkpoint=_SIGNED, extra=_LOG.entry(3))
_REQUEST = AddCheckpoint(old_size=3, proof=tuple(consistency_proof(3, 7, _LOG.tree)), note=_SIGNED)
_WORDS = ("\u2014 ".encode(), b"\n\n", b"old 0", b"index 0", b"extra ", b"AAAA", b"=\n", b" ", b"+")


def _verifier_key(data: bytes) -> None:
    text = text_of(data)
    if str(VerifierKey.parse(text)) != text:
        raise CheckFailed("expected one text for one key")


def _note(data: bytes) -> None:
    if bytes(parse_note(data)) != data:
        raise CheckFailed("expected one text for one note")


def _signatures(data: bytes) -> None:
    text = text_of(data)
    if "".join(map(str, parse_signatures(text))) != text:
        raise CheckFailed("expected one text for the signatures")


def _checkpoint(data: bytes) -> None:
    checkpoint, note = open_checkpoint(data, LOG.key)
    if checkpoint != _LOG.checkpoint() or parse_unverified_checkpoint(note) != checkpoint:
        raise CheckFailed("expected nothing to open but what was signed")
    if any(found.time != 1_777_000_000 for found in verified_cosignatures(note, [WITNESSES[0].key])):
        raise CheckFailed("expected no cosignature but the one that was made")


def _checkpoint_text(data: bytes) -> None:
    text = text_of(data)
    if parse_checkpoint_text(text).text != text:
        raise CheckFailed("expected one text for one checkpoint")


def _proof(data: bytes) -> None:
    if bytes(LogProof.parse(data)) != data:
        raise CheckFailed("expected one text for one proof")


def _request(data: bytes) -> None:
    if bytes(AddCheckpoint.parse(data)) != data:
        raise CheckFailed("expected one text for one request")


def _tile_path(data: bytes) -> None:
    text = text_of(data)
    if Tile.parse(text).path != text:
        raise CheckFailed("expected one path for one tile")


def _bundle(data: bytes) -> None:
    width = data[0] if data else 0
    if encode_bundle(parse_bundle(data[1:], width)) != data[1:]:
        raise CheckFailed("expected one form for one bundle")


def _tile(data: bytes) -> None:
    if b"".join(parse_tile(data, len(data) // 32)) != data:
        raise CheckFailed("expected the bytes of the tile")


def _number_or_hash(data: bytes) -> None:
    text = text_of(data)
    if text.isdigit():
        if str(parse_size(text)) != text:
            raise CheckFailed("expected one text for one size")
        return
    if len(parse_hash(text)) != 32 or decode_base64(text) != parse_hash(text):
        raise CheckFailed("expected a hash")


TARGETS = (
    Target(
        name="verifier-key",
        run=_verifier_key,
        seeds=(str(LOG.key).encode(), str(WITNESSES[0].key).encode()),
        allowed=(LogFormatInvalid,),
        covers=("swarmsec.audit.notes.VerifierKey.parse",),
        words=_WORDS,
    ),
    Target(
        name="note",
        run=_note,
        seeds=(bytes(_COSIGNED), b"a\n\nb\n\n" + str(_SIGNED.signatures[0]).encode()),
        allowed=(LogFormatInvalid,),
        covers=("swarmsec.audit.notes.parse_note",),
        words=_WORDS,
    ),
    Target(
        name="signatures",
        run=_signatures,
        seeds=("".join(map(str, _COSIGNED.signatures)).encode(),),
        allowed=(LogFormatInvalid,),
        covers=("swarmsec.audit.notes.parse_signatures", "swarmsec.audit.notes.decode_base64"),
        words=_WORDS,
    ),
    Target(
        name="checkpoint",
        run=_checkpoint,
        seeds=(bytes(_SIGNED), bytes(_COSIGNED)),
        allowed=(LogFormatInvalid, CheckpointInvalid),
        covers=(
            "swarmsec.audit.checkpoints.open_checkpoint",
            "swarmsec.audit.checkpoints.parse_unverified_checkpoint",
        ),
        words=_WORDS,
    ),
    Target(
        name="checkpoint-text",
        run=_checkpoint_text,
        seeds=(_SIGNED.text.encode(),),
        allowed=(LogFormatInvalid,),
        covers=("swarmsec.audit.checkpoints.parse_checkpoint_text",),
        words=_WORDS,
    ),
    Target(
        name="log-proof",
        run=_proof,
        seeds=(bytes(_PROOF), bytes(replace(_PROOF, extra=None))),
        allowed=(LogFormatInvalid,),
        covers=("swarmsec.audit.tlogproof.LogProof.parse",),
        words=_WORDS,
    ),
    Target(
        name="add-checkpoint",
        run=_request,
        seeds=(bytes(_REQUEST),),
        allowed=(LogFormatInvalid,),
        covers=("swarmsec.audit.witnessing.AddCheckpoint.parse",),
        words=_WORDS,
    ),
    Target(
        name="tile-path",
        run=_tile_path,
        seeds=(b"tile/0/x001/x234/067.p/5", b"tile/entries/000", b"tile/63/999"),
        allowed=(LogFormatInvalid,),
        covers=("swarmsec.audit.tiles.Tile.parse",),
        words=(b"x000/", b".p/", b"entries", b"tile/", b"255", b"256"),
    ),
    Target(
        name="entry-bundle",
        run=_bundle,
        seeds=(b"\x02" + encode_bundle([b"one", b""]),),
        allowed=(LogFormatInvalid,),
        covers=("swarmsec.audit.tiles.parse_bundle",),
    ),
    Target(
        name="tile",
        run=_tile,
        seeds=(b"".join(_LOG.leaves),),
        allowed=(LogFormatInvalid,),
        covers=("swarmsec.audit.tiles.parse_tile",),
    ),
    Target(
        name="size-or-hash",
        run=_number_or_hash,
        seeds=(b"20852163", b"CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=", b"9223372036854775808"),
        allowed=(LogFormatInvalid,),
        covers=("swarmsec.audit.checkpoints.parse_size", "swarmsec.audit.checkpoints.parse_hash"),
        words=_WORDS,
    ),
)
