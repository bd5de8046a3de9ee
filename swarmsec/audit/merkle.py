"""The Merkle tree over the log's entries, read as a stream: RFC 6962 section 2.1, SHA-256.

Only what the root of a tree needs is kept, one hash for each complete subtree on its right edge, which is a hash for
each bit that is set in the tree's size. Leaf hashes come from ``entry.leaf_hash``; nothing here looks into an entry.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

EMPTY_ROOT: Final = sha256(b"").digest()
"""The hash of a tree without leaves."""
_NODE: Final = b"\x01"
_HASH_BYTES: Final = 32


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node over its two children, 32 bytes each."""
    return sha256(_NODE + left + right).digest()


def row_hash(row: bytes) -> bytes:
    """The hash of a complete subtree.

    Args:
        row: the hashes of one height that it is made of, a power of two of them, one behind the other.
    """
    while len(row) > _HASH_BYTES:
        # As ``node_hash`` of each two, which stand side by side already.
        row = b"".join([sha256(_NODE + row[at : at + 64]).digest() for at in range(0, len(row), 64)])
    return row


class RightEdge:
    """The right edge of a growing tree.

    NOTE: mutable, as entries are too many to copy a value for each.
    """

    __slots__ = ("_size", "_subtrees")

    def __init__(self) -> None:
        self._size = 0
        self._subtrees: list[bytes] = []

    @property
    def size(self) -> int:
        """How many leaves the tree has."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add a leaf on the right.

        Args:
            leaf: its leaf hash, 32 bytes.

        Raises:
            ValueError: it is of another length.
        """
        if len(leaf) != _HASH_BYTES:
            raise ValueError(f"expected a leaf hash of {_HASH_BYTES} bytes, got {len(leaf)}")
        subtree, filled = leaf, self._size
        # Each trailing one bit of the size is a complete subtree as large as the one that is now in hand.
        while filled & 1:
            subtree = node_hash(self._subtrees.pop(), subtree)
            filled >>= 1
        self._subtrees.append(subtree)
        self._size += 1

    def root(self) -> bytes:
        """The Merkle tree hash over the leaves so far, 32 bytes."""
        if not self._subtrees:
            return EMPTY_ROOT
        *larger, root = self._subtrees
        for subtree in reversed(larger):
            root = node_hash(subtree, root)
        return root


def tree_hash(leaves: Iterable[bytes]) -> bytes:
    """The Merkle tree hash over leaf hashes in their order.

    Raises:
        ValueError: a leaf hash is not 32 bytes long.
    """
    edge = RightEdge()
    for leaf in leaves:
        edge.append(leaf)
    return edge.root()
