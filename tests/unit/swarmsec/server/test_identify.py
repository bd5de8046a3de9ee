"""The answer of the issuance table counts, and only for the connection it was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from hashlib import sha256

import pytest

from swarmsec.errors import Unauthenticated
from swarmsec.http import ANONYMOUS, Caller, Role, RoleKind
from swarmsec.server.connections import Connection
from swarmsec.server.identify import identify_peer

DER = b"certificate"
KNOWN = Caller(
    role=Role(kind=RoleKind.ADMIN), name="ada", address="192.0.2.1", certificate_sha256=sha256(DER).hexdigest()
)
NOBODY = Caller(role=ANONYMOUS, name="", address="192.0.2.1")


class Table:
    def __init__(self, answer: Caller, *, waits: bool) -> None:
        self.answer = answer
        self.waits = waits

    def identify(self, certificate_der: bytes | None, address: str) -> Caller | Awaitable[Caller]:
        async def later() -> Caller:
            return self.answer

        return later() if self.waits else self.answer


def ask(answer: Caller, certificate: bytes | None, *, waits: bool = False) -> Caller:
    connection = Connection(address="192.0.2.1", since=0, abort=lambda: None)
    if certificate is not None:
        connection.certificate_der, connection.certificate_sha256 = certificate, sha256(certificate).hexdigest()

    async def main() -> Caller:
        found = identify_peer(Table(answer, waits=waits), connection)
        assert isinstance(found, Caller) is not waits
        return found if isinstance(found, Caller) else await found

    return asyncio.run(main())


@pytest.mark.parametrize("waits", [False, True])
def test_the_answer_of_the_table_counts(waits: bool) -> None:
    assert ask(KNOWN, DER, waits=waits) is KNOWN
    assert ask(NOBODY, None, waits=waits) is NOBODY


@pytest.mark.parametrize(
    ("answer", "certificate"),
    [
        (NOBODY, DER),
        (KNOWN, None),
        (KNOWN, b"another certificate"),
        (replace(KNOWN, address="192.0.2.2"), DER),
        (replace(KNOWN, certificate_sha256=""), DER),
    ],
)
def test_an_answer_that_does_not_fit_the_connection_is_refused(answer: Caller, certificate: bytes | None) -> None:
    with pytest.raises(Unauthenticated):
        ask(answer, certificate)
