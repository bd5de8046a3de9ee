"""Fixed-width base 36."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca import base36


@given(st.integers(min_value=0, max_value=2**128 - 1))
def test_what_is_encoded_decodes(number: int) -> None:
    text = base36.encode(number, width=25)
    assert len(text) == 25
    assert base36.decode(text, width=25, bits=128) == number


def test_padding_is_zeros_on_the_left() -> None:
    assert base36.encode(35, width=4) == "000z"
    assert base36.encode(0, width=2) == "00"


def test_a_number_that_needs_more_is_not_cut() -> None:
    assert base36.encode(36**3, width=2) == "1000"


@pytest.mark.parametrize("text", ["", "000", "00000", "000Z", "00 1", "+001", "0_01", "00é1", "00٣1", "000\n"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="4 characters of 0-9a-z"):
        base36.decode(text, width=4, bits=64)


def test_numbers_out_of_range_are_refused() -> None:
    assert base36.decode("73", width=2, bits=8) == 255
    with pytest.raises(ValueError, match="below 2"):
        base36.decode("74", width=2, bits=8)
