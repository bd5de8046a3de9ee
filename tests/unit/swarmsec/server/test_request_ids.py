"""Request ids are version 7 UUIDs."""

from __future__ import annotations

import os
import uuid

import pytest

from swarmsec.server.request_ids import RequestIds, build_request_id


def test_it_is_the_example_of_rfc_9562() -> None:
    # RFC 9562, A.6: unix_ts_ms 0x017F22E279B0, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F.
    made = build_request_id(0x017F22E279B0, bytes.fromhex("0cc318c4dc0c0c07398f"))
    assert made == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_version_and_variant_hold_for_any_random_bytes() -> None:
    for octet in (b"\x00", b"\xff", b"\x5a"):
        made = uuid.UUID(build_request_id(2**60, octet * 10))
        assert (made.version, made.variant) == (7, uuid.RFC_4122)


def test_ids_sort_by_time() -> None:
    assert build_request_id(1, b"\xff" * 10) < build_request_id(2, b"\x00" * 10)


def test_too_little_randomness_is_refused() -> None:
    with pytest.raises(ValueError, match="10 random bytes"):
        build_request_id(1, b"\x00" * 9)


def test_random_parts_are_drawn_together_and_given_once() -> None:
    draws: list[bytes] = []

    def draw(count: int) -> bytes:
        draws.append(os.urandom(count))
        return draws[-1]

    ids = RequestIds(draw)
    made = [ids.make(number) for number in range(100)]
    assert len(draws) == 2
    assert [uuid.UUID(each).bytes[:6] for each in made] == [number.to_bytes(6) for number in range(100)]
    drawn = [octets[start : start + 10] for octets in draws for start in range(0, len(octets), 10)]
    assert set(made) <= {build_request_id(number, part) for number in range(100) for part in drawn}
    assert len({each[14:] for each in made}) == 100
