"""Where tiles lie, what they hold, and what is no tile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsec.audit.errors import LogFormatInvalid
from swarmsec.audit.merkle import tree_hash
from swarmsec.audit.tiles import (
    MAX_INDEX,
    WIDTH,
    Tile,
    bundles_of,
    encode_bundle,
    parse_bundle,
    parse_tile,
    tile_hash,
    tiles_of,
    width_at,
)
from tests.peers import tlog_checker
from tests.unit.swarmsec.audit.logs import FixedLog


def test_the_example_of_the_specification() -> None:
    assert Tile(level=0, index=1_234_067).path == "tile/0/x001/x234/067"


def test_the_tiles_of_seventy_thousand_entries_are_those_of_the_specification() -> None:
    tiles = list(tiles_of(70_000))
    assert len([tile for tile in tiles if tile.level == 0 and tile.width == WIDTH]) == 273
    partial = {(tile.level, tile.index): tile.width for tile in tiles if tile.width < WIDTH}
    assert partial == {(0, 273): 112, (1, 1): 17, (2, 0): 1}
    assert [tile.path for tile in tiles_of(256)] == ["tile/0/000", "tile/1/000.p/1"]
    assert list(tiles_of(0)) == list(bundles_of(0)) == []
    assert [tile.path for tile in bundles_of(257)] == ["tile/entries/000", "tile/entries/001.p/1"]


@given(st.one_of(st.none(), st.integers(0, 63)), st.integers(0, MAX_INDEX), st.integers(1, WIDTH))
def test_a_path_stands_for_its_tile(level: int | None, index: int, width: int) -> None:
    tile = Tile(level=level, index=index, width=width)
    assert Tile.parse(tile.path) == tile
    assert tlog_checker.number_path(index) in tile.path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p/1/",
        "tile/0/000\n",
        "tile/0/\u0660\u0660\u0660",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "../tile/0/000",
    ],
)
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(LogFormatInvalid, match="expected the path of a tile"):
        Tile.parse(path)


def test_widths() -> None:
    assert [width_at(70_000, 0, index) for index in (0, 272, 273, 274)] == [256, 256, 112, 0]
    assert [width_at(70_000, 1, index) for index in (0, 1, 2)] == [256, 17, 0]


def test_a_tile_is_read_whole() -> None:
    hashes = FixedLog(5).leaves
    assert parse_tile(b"".join(hashes), 5) == hashes
    with pytest.raises(LogFormatInvalid, match="expected a tile of 192 bytes, got 160"):
        parse_tile(b"".join(hashes), 6)


def test_the_hash_of_a_tile() -> None:
    leaves = FixedLog(WIDTH).leaves
    assert tile_hash(leaves) == tree_hash(leaves)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_bundle_stands_for_its_entries(entries: list[bytes]) -> None:
    assert parse_bundle(encode_bundle(entries), len(entries)) == entries


def test_bundles_that_are_not_whole_are_refused() -> None:
    whole = encode_bundle([b"one", b"two"])
    for wrong in (whole[:-1], whole[:6], whole + b"\0", whole + b"\0\1x", b"", whole[:5]):
        with pytest.raises(LogFormatInvalid, match="expected 2 entries"):
            parse_bundle(wrong, 2)
    with pytest.raises(ValueError, match="at most 65535 bytes"):
        encode_bundle([bytes(65_536)])
    assert parse_bundle(encode_bundle([bytes(65_535)]), 1) == [bytes(65_535)]


def test_a_tile_without_the_hashes_that_the_tree_needs_is_named() -> None:
    log = FixedLog(10)
    tree = log.tree
    with pytest.raises(LogFormatInvalid, match="expected more hashes in tile 0 of level 0, got 10"):
        tree(3, 1)
