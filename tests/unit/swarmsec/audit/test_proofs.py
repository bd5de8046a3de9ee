"""Proofs against the vectors of the reference implementations and against the recursion that RFC 6962 writes down."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsec.audit.entry import leaf_hash
from swarmsec.audit.errors import ProofInvalid
from swarmsec.audit.merkle import EMPTY_ROOT, tree_hash
from swarmsec.audit.proofs import consistency_proof, inclusion_proof, root_of, verify_consistency, verify_inclusion
from tests.peers import tlog_checker
from tests.unit.swarmsec.audit.logs import FixedLog
from tests.unit.swarmsec.audit.test_merkle import LEAVES

A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
G = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
H = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
I = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"  # noqa: E741
# Those that the reference implementations of RFC 6962 share (certificate-transparency, merkle_tree_test.cc).
INCLUSIONS = [((0, 8), [A, B, C]), ((5, 8), [D, E, F]), ((2, 3), [G]), ((1, 5), [H, B, D]), ((0, 1), [])]
CONSISTENCIES = [((1, 1), []), ((1, 8), [A, B, C]), ((6, 8), [I, E, F]), ((2, 5), [B, D])]


def reader(leaves: Sequence[bytes]):  # type: ignore[no-untyped-def]  # a NodeReader
    """Complete subtrees, computed anew each time."""
    return lambda height, index: tree_hash(leaves[index << height : (index + 1) << height])


@pytest.mark.parametrize(("place", "expected"), INCLUSIONS)
def test_inclusion_proofs_are_those_of_the_reference_implementations(
    place: tuple[int, int], expected: list[str]
) -> None:
    assert [value.hex() for value in inclusion_proof(*place, reader(LEAVES))] == expected


@pytest.mark.parametrize(("sizes", "expected"), CONSISTENCIES)
def test_consistency_proofs_are_those_of_the_reference_implementations(
    sizes: tuple[int, int], expected: list[str]
) -> None:
    assert [value.hex() for value in consistency_proof(*sizes, reader(LEAVES))] == expected


@pytest.mark.parametrize("size", range(1, 34))
def test_every_inclusion_proof_of_small_trees_is_the_recursion_and_verifies(size: int) -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(size)]
    root = root_of(size, reader(leaves))
    assert root == tlog_checker.mth(leaves)
    for index in range(size):
        proof = inclusion_proof(index, size, reader(leaves))
        assert proof == tlog_checker.path(index, leaves)
        verify_inclusion(leaves[index], index, size, proof, root)
        assert tlog_checker.root_from_path(leaves[index], index, size, proof) == root


@pytest.mark.parametrize("new", range(1, 34))
def test_every_consistency_proof_of_small_trees_is_the_recursion_and_verifies(new: int) -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(new)]
    new_root = tree_hash(leaves)
    for old in range(1, new + 1):
        proof, old_root = consistency_proof(old, new, reader(leaves)), tree_hash(leaves[:old])
        assert proof == tlog_checker.proof(old, leaves)
        verify_consistency(old, old_root, new, new_root, proof)
        assert tlog_checker.roots_from_proof(old, new, proof, old_root) == (old_root, new_root)


@given(st.integers(1, 70_000), st.data())
def test_proofs_out_of_tiles_verify_and_nothing_else_does(size: int, data: st.DataObject) -> None:
    log = LARGE
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    tree, leaf, root = log.tree, log.leaves[index], root_of(size, log.tree)
    proof = inclusion_proof(index, size, tree)
    verify_inclusion(leaf, index, size, proof, root)
    at = data.draw(st.integers(0, len(proof)))
    spoiled = [*proof[:at], bytes(32), *proof[at + 1 :]] if proof else [bytes(32)]
    for wrong in (spoiled, proof[:-1] if proof else spoiled, [*proof, leaf]):
        with pytest.raises(ProofInvalid):
            verify_inclusion(leaf, index, size, wrong, root)
    consistent, old_root = consistency_proof(old, size, tree), root_of(old, tree)
    verify_consistency(old, old_root, size, root, consistent)
    with pytest.raises(ProofInvalid):
        verify_consistency(old, bytes(32), size, root, consistent)
    with pytest.raises(ProofInvalid):
        verify_consistency(old, old_root, size, bytes(32), consistent)
    with pytest.raises(ProofInvalid):
        verify_consistency(old, old_root, size, root, [*consistent, root])


LARGE = FixedLog(70_000)


def test_every_other_place_is_refused() -> None:
    leaves = LEAVES[:7]
    root = tree_hash(leaves)
    for index in range(7):
        proof = inclusion_proof(index, 7, reader(leaves))
        for other in set(range(9)) - {index}:
            with pytest.raises(ProofInvalid):
                verify_inclusion(leaves[index], other, 7, proof, root)


def test_nothing_is_consistent_with_everything() -> None:
    verify_consistency(0, EMPTY_ROOT, 8, tree_hash(LEAVES), [])
    with pytest.raises(ProofInvalid, match="expected no hashes"):
        verify_consistency(0, EMPTY_ROOT, 8, tree_hash(LEAVES), [bytes(32)])
    with pytest.raises(ProofInvalid, match="was rewritten"):
        verify_consistency(0, bytes(32), 8, tree_hash(LEAVES), [])
    with pytest.raises(ProofInvalid, match="was rewritten"):
        verify_consistency(8, bytes(32), 8, tree_hash(LEAVES), [])


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (4, 3), (0, 2**63)])
def test_sizes_out_of_order_are_refused(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        consistency_proof(old, new, reader(LEAVES))
    with pytest.raises(ProofInvalid, match="expected"):
        verify_consistency(old, bytes(32), new, bytes(32), [])


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0), (0, 2**63)])
def test_places_outside_the_tree_are_refused(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        inclusion_proof(index, size, reader(LEAVES))
    with pytest.raises(ProofInvalid, match="expected"):
        verify_inclusion(bytes(32), index, size, [], bytes(32))


def test_the_root_of_nothing() -> None:
    assert root_of(0, reader([])) == EMPTY_ROOT
