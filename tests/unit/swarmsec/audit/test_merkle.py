"""The tree hash against the certificate transparency vectors and against the recursion that RFC 6962 writes down."""

from __future__ import annotations

import hashlib

import pytest

from swarmsec.audit.entry import leaf_hash
from swarmsec.audit.merkle import EMPTY_ROOT, RightEdge, node_hash, tree_hash

# The inputs and roots that the reference implementations of RFC 6962 share (certificate-transparency,
# cpp/merkletree/merkle_tree_test.cc): the root over the first n inputs stands in line n.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
LEAVES = [leaf_hash(bytes.fromhex(text)) for text in INPUTS]


def recursive_tree_hash(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word, over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return node_hash(recursive_tree_hash(leaves[:k]), recursive_tree_hash(leaves[k:]))


@pytest.mark.parametrize("size", range(1, len(INPUTS) + 1))
def test_roots_are_those_of_the_reference_implementations(size: int) -> None:
    assert tree_hash(LEAVES[:size]).hex() == ROOTS[size - 1]


def test_a_tree_without_leaves_has_the_hash_of_nothing() -> None:
    assert tree_hash([]) == EMPTY_ROOT == hashlib.sha256(b"").digest()


def test_every_size_equals_the_recursion() -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(200)]
    edge = RightEdge()
    for size, leaf in enumerate(leaves, start=1):
        edge.append(leaf)
        assert (edge.size, edge.root()) == (size, recursive_tree_hash(leaves[:size]))


def test_order_and_every_leaf_count() -> None:
    assert len({tree_hash(LEAVES), tree_hash(LEAVES[::-1]), tree_hash(LEAVES[:-1]), tree_hash(LEAVES[1:])}) == 4


@pytest.mark.parametrize("leaf", [b"", b"short", bytes(33)])
def test_what_is_no_leaf_hash_is_refused(leaf: bytes) -> None:
    with pytest.raises(ValueError, match="expected a leaf hash of 32 bytes"):
        tree_hash([leaf])
