"""Requests that are checked together: each is told what it would be told alone, whatever becomes of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from ca.errors import InvalidRequest
from ca.requests import SigningRequest, parse_signing_request, parse_signing_requests
from swarmsec.wiring.serving import requestchecks
from swarmsec.wiring.serving.requestchecks import RequestChecks
from tests.unit.swarmsec.services.desk import new_key

Answer = SigningRequest | BaseException


def signed() -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.sign(new_key(), hashes.SHA256()).public_bytes(Encoding.PEM)


async def check_all(datas: Sequence[bytes]) -> list[Answer]:
    checks = RequestChecks()
    return await asyncio.gather(*(checks.check(data) for data in datas), return_exceptions=True)


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many were checked in each call."""
    sizes: list[int] = []

    def counting(datas: Sequence[bytes]) -> list[SigningRequest | InvalidRequest]:
        sizes.append(len(datas))
        return parse_signing_requests(datas)

    monkeypatch.setattr(requestchecks, "parse_signing_requests", counting)
    return sizes


def test_what_comes_together_is_checked_together_and_each_is_told_its_own(groups: list[int]) -> None:
    good, other = signed(), signed()
    first, refused, second = asyncio.run(check_all([good, b"no request", other]))
    assert (first, second) == (parse_signing_request(good), parse_signing_request(other))
    assert isinstance(refused, InvalidRequest)
    assert groups == [3]


def test_a_crowd_is_checked_in_turns(groups: list[int]) -> None:
    good = signed()
    assert asyncio.run(check_all([good] * 150)) == [parse_signing_request(good)] * 150
    assert groups == [64, 64, 22]


def test_who_goes_away_takes_nobody_along(groups: list[int]) -> None:
    good = signed()

    async def leave() -> list[Answer]:
        checks = RequestChecks()
        leaving, *staying = (asyncio.ensure_future(checks.check(good)) for _ in range(3))
        await asyncio.sleep(0)
        leaving.cancel()
        return await asyncio.gather(*staying)

    assert asyncio.run(leave()) == [parse_signing_request(good)] * 2
    assert groups == [2]


def test_a_defect_is_everybodys_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(datas: Sequence[bytes]) -> list[SigningRequest | InvalidRequest]:
        raise MemoryError

    monkeypatch.setattr(requestchecks, "parse_signing_requests", broken)
    assert [type(answer) for answer in asyncio.run(check_all([signed()] * 3))] == [MemoryError] * 3
