"""Checking the signing requests of those who ask at the same time together (``ca.requests``)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from ca.requests import SigningRequest, parse_signing_requests
from swarmsec.gathering import Gathering

MAX_TOGETHER: Final = 64
"""The loop does nothing else meanwhile, some milliseconds."""
GATHER_SECONDS: Final = 0.005
_Waiting = tuple[bytes, asyncio.Future[SigningRequest]]


class RequestChecks:
    """Checks requests for one event loop."""

    def __init__(self) -> None:
        self._gathering: Gathering[_Waiting] = Gathering(_check_all, most=MAX_TOGETHER, seconds=GATHER_SECONDS)

    def check(self, data: bytes) -> asyncio.Future[SigningRequest]:
        """Read a signing request and verify its proof of possession.

        Args:
            data: as of ``ca.requests.parse_signing_requests``.

        Returns:
            what is to be awaited; it raises ``ca.errors.InvalidRequest``, the refusal that
            ``ca.requests.parse_signing_requests`` gives.
        """
        future: asyncio.Future[SigningRequest] = asyncio.get_running_loop().create_future()
        self._gathering.add((data, future))
        return future


def _check_all(waiting: Sequence[_Waiting]) -> None:
    for start in range(0, len(waiting), MAX_TOGETHER):
        # Whoever went away meanwhile is owed no answer, and no work.
        asking = [each for each in waiting[start : start + MAX_TOGETHER] if not each[1].done()]
        try:
            found: Sequence[SigningRequest | Exception] = parse_signing_requests([data for data, _ in asking])
        except Exception as error:  # noqa: BLE001  # a defect is everybody's answer, or they would wait for ever
            found = [error] * len(asking)
        for (_, future), answer in zip(asking, found, strict=True):
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
