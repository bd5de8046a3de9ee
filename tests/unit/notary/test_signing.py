"""Collecting signatures: what counts, what is refused, and when it is enough."""

from __future__ import annotations

import pytest
from securesystemslib.signer import SSlibKey

from notary.errors import ChangeRefused, InvalidMetadata, SignatureRefused
from notary.signing import Document, Quorum, add_signature, own_document, parse_document
from tests.unit.notary.signers import LocalSigner, Ring, quorum

RING = Ring.fresh()
ONE, TWO, THREE = RING.roots
STRANGER = LocalSigner.fresh()
UNSIGNED = Document(role="root", body=RING.root().body, signatures={})


def bring(document: Document, signer: LocalSigner, *quorums: Quorum) -> Document:
    return add_signature(document, quorums, signer.key.keyid, signer.sign(document.signed))


def test_a_threshold_is_met_by_different_keys() -> None:
    needed = quorum(ONE, TWO, THREE, threshold=2)
    document = bring(UNSIGNED, ONE, needed)
    assert not needed.is_met(document.signed, document.signatures)
    document = bring(document, THREE, needed)
    assert needed.is_met(document.signed, document.signatures)


def test_attack_19_signing_again_with_one_key_counts_once() -> None:
    needed = quorum(ONE, TWO, threshold=2)
    document = bring(bring(UNSIGNED, ONE, needed), ONE, needed)
    assert not needed.is_met(document.signed, document.signatures)


def test_attack_20_a_quorum_with_one_key_under_two_ids_cannot_be_made() -> None:
    twin = SSlibKey("other", ONE.key.keytype, ONE.key.scheme, ONE.key.keyval)
    with pytest.raises(ChangeRefused, match="one key twice"):
        Quorum(keys={ONE.key.keyid: ONE.key, "other": twin}, threshold=2)


@pytest.mark.parametrize("threshold", [0, -1, 3])
def test_attack_4_a_threshold_that_is_none_cannot_be_made(threshold: int) -> None:
    with pytest.raises(ChangeRefused, match="a threshold of 1 to 2"):
        quorum(ONE, TWO, threshold=threshold)


def test_attack_22_a_signature_that_does_not_verify_does_not_keep_others_from_counting() -> None:
    needed = quorum(ONE, TWO, THREE, threshold=2)
    document = bring(bring(UNSIGNED, ONE, needed), TWO, needed).with_signature(THREE.key.keyid, "00")
    assert needed.counted(document.signed, document.signatures) == {ONE.key.keyid, TWO.key.keyid}
    assert needed.is_met(document.signed, document.signatures)


def test_a_stranger_s_signature_is_refused() -> None:
    with pytest.raises(SignatureRefused, match="is not one that signs root"):
        bring(UNSIGNED, STRANGER, quorum(ONE))


@pytest.mark.parametrize("signature", ["", "zz", "00", ONE.sign(b"other bytes")])
def test_a_signature_of_other_bytes_is_refused(signature: str) -> None:
    with pytest.raises(SignatureRefused, match="is not over version 1 of root"):
        add_signature(UNSIGNED, [quorum(ONE)], ONE.key.keyid, signature)


def test_a_new_root_needs_the_former_quorum_and_its_own() -> None:
    former, own = quorum(ONE, TWO, threshold=2), quorum(THREE)
    document = bring(bring(bring(UNSIGNED, ONE, former, own), TWO, former, own), THREE, former, own)
    assert all(needed.is_met(document.signed, document.signatures) for needed in (former, own))


def test_a_file_reads_back_and_its_signatures_stay_good() -> None:
    document = RING.targets()
    for again in (parse_document("targets", document.encode()), own_document("targets", document.encode())):
        assert again == document
        assert quorum(*RING.roots, threshold=2).is_met(again.signed, again.signatures)


@pytest.mark.parametrize(
    "data",
    [
        b"{}",
        b'{"signatures":[],"signed":[]}',
        b'{"signatures":{},"signed":{}}',
        b'{"signatures":[],"signed":{"version":0,"expires":""}}',
        b'{"signatures":[],"signed":{"version":true,"expires":""}}',
        b'{"signatures":[],"signed":{"version":1}}',
        b'{"signatures":[],"signed":{"version":1,"expires":""},"more":1}',
        b'{"signatures":[1],"signed":{"version":1,"expires":""}}',
        b'{"signatures":[{"keyid":"a","sig":1}],"signed":{"version":1,"expires":""}}',
        b'{"signatures":[{"keyid":"a","sig":"b","x":1}],"signed":{"version":1,"expires":""}}',
        b'{"signatures":[{"keyid":"a","sig":"b"},{"keyid":"a","sig":"c"}],"signed":{"version":1,"expires":""}}',
    ],
)
def test_what_is_no_metadata_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidMetadata):
        parse_document("root", data)
