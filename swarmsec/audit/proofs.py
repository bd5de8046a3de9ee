"""Inclusion and consistency proofs: RFC 6962 sections 2.1.1 and 2.1.2, checked as RFC 9162 section 2.1 writes it down.

A proof is made from the hashes of complete subtrees, which never change once they are complete; whoever keeps them
says how to get at one (``NodeReader``). Nothing here knows where they are kept, or what a leaf is.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from swarmsec.audit.errors import ProofInvalid
from swarmsec.audit.merkle import EMPTY_ROOT, node_hash

MAX_SIZE: Final = 2**63 - 1
MAX_HASHES: Final = 63
"""No proof in a tree of at most ``MAX_SIZE`` leaves is longer."""
NodeReader = Callable[[int, int], bytes]
"""The hash of a complete subtree: its height (a leaf has 0) and its index among those of that height."""


def root_of(size: int, node: NodeReader) -> bytes:
    """The Merkle tree hash of the first ``size`` leaves."""
    return EMPTY_ROOT if size == 0 else _range_hash(0, size, node)


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """The audit path of a leaf, from its sibling up to the root's child.

    Args:
        index: of the leaf, below ``size``.
        size: of the tree.

    Raises:
        ValueError: the tree has no such leaf.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise ValueError(f"expected an index below {size}, got {index}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _largest_power_below(end - start)
        if index < middle:
            path.append(_range_hash(middle, end, node))
            end = middle
        else:
            path.append(_range_hash(start, middle, node))
            start = middle
    return path[::-1]


def consistency_proof(old: int, new: int, node: NodeReader) -> list[bytes]:
    """The proof that the first ``old`` leaves of a tree of ``new`` are the same in both.

    Raises:
        ValueError: the sizes are not in order.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise ValueError(f"expected an old size of at most {new}, got {old}")
    if old in {0, new}:
        return []
    path: list[bytes] = []
    start, end = 0, new
    while old != end:
        middle = start + _largest_power_below(end - start)
        if old <= middle:
            path.append(_range_hash(middle, end, node))
            end = middle
        else:
            path.append(_range_hash(start, middle, node))
            start = middle
    if start:
        # The old tree is not one complete subtree of the new one: its last part is needed to begin with.
        path.append(_range_hash(start, end, node))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Verify that a tree has a leaf (RFC 9162, section 2.1.3.2).

    Args:
        leaf: its leaf hash.
        index, size: where it is said to stand, and in how large a tree.
        proof: from ``inclusion_proof``.
        root: of the tree.

    Raises:
        ProofInvalid: it does not follow.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofInvalid(f"expected an entry below the checkpoint's size {size}, got number {index}")
    number, last, current = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise _wrong("a shorter inclusion proof")
        if number & 1 or number == last:
            current = node_hash(sibling, current)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            current = node_hash(current, sibling)
        number, last = number >> 1, last >> 1
    if last:
        raise _wrong("a longer inclusion proof")
    if not hmac.compare_digest(current, root):
        raise ProofInvalid(
            f"entry {index} is not in the log of this checkpoint: its inclusion proof does not lead there"
        )


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Verify that a tree is the continuation of another (RFC 9162, section 2.1.4.2).

    Args:
        old, old_root: the smaller tree.
        new, new_root: the larger tree.
        proof: from ``consistency_proof``.

    Raises:
        ProofInvalid: it does not follow.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise ProofInvalid(f"expected an old size of at most {new}, got {old}")
    if old in {0, new}:
        _verify_trivial(old, old_root, new, new_root, proof)
        return
    hashes = list(proof)
    if not old & (old - 1):
        hashes.insert(0, old_root)
    if not hashes:
        raise _wrong("a longer consistency proof")
    number, last = old - 1, new - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    first = second = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise _wrong("a shorter consistency proof")
        if number & 1 or number == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        number, last = number >> 1, last >> 1
    if last:
        raise _wrong("a longer consistency proof")
    if not (hmac.compare_digest(first, old_root) and hmac.compare_digest(second, new_root)):
        raise _not_continued(old, new)


def _verify_trivial(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    if proof:
        raise _wrong("no hashes in this consistency proof")
    expected = new_root if old == new else EMPTY_ROOT
    if not hmac.compare_digest(old_root, expected):
        raise _not_continued(old, new)


def complete_subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The complete subtrees that make up leaves ``start`` to ``end``, left to right, as height and index.

    ``start`` is a multiple of the largest of them, as it is for every range that a proof needs.
    """
    while start < end:
        height = (end - start).bit_length() - 1
        yield height, start >> height
        start += 1 << height


def _range_hash(start: int, end: int, node: NodeReader) -> bytes:
    *larger, current = [node(height, index) for height, index in complete_subtrees(start, end)]
    for subtree in reversed(larger):
        current = node_hash(subtree, current)
    return current


def _largest_power_below(count: int) -> int:
    return 1 << ((count - 1).bit_length() - 1)


def _wrong(expected: str) -> ProofInvalid:
    return ProofInvalid(f"expected {expected}")


def _not_continued(old: int, new: int) -> ProofInvalid:
    return ProofInvalid(f"the log of {new} entries does not continue the one of {old}: something before was rewritten")
