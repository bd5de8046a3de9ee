"""The list as a server keeps it: one for many who ask, a new one for each news, none kept that may be out of date."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from ca.identity import NodeRole
from ca.issuing import fingerprint
from ca.revocation import verify_revocation_list
from ca.rotation import Phase
from swarmsec.errors import NotFound
from swarmsec.services.ca.publish_revocations import PublishedList
from swarmsec.services.ca.revocation_lists import LIFE_SECONDS
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.storage.groupwriter import GroupWriter
from swarmsec.wiring.serving.revocations import ServedRevocations
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key
from tests.unit.swarmsec.services.rotation.rotating import bring_to, enrol

T = TypeVar("T")


def run(desk: Desk, work: Callable[[ServedRevocations], Awaitable[T]]) -> T:
    async def main() -> T:
        writer = GroupWriter(desk.home.store)
        writer.start()
        try:
            return await work(ServedRevocations(desk.home.store, writer, desk.keys))
        finally:
            await asyncio.to_thread(writer.close)

    return asyncio.run(main())


def revoke_one(desk: Desk, name: str) -> None:
    serial = desk.issue(NodeRole.WORKER, name, new_key()).serial
    desk.home.store.write(lambda transaction: revoke_certificates(transaction, serial, OPERATOR))


def count(desk: Desk, der: bytes) -> int:
    return len(verify_revocation_list(der, authority=desk.authority.issuer.certificate).entries)


def test_many_who_ask_get_one_list(desk: Desk) -> None:
    before = desk.home.store.head().size

    async def ask(lists: ServedRevocations) -> list[bytes]:
        return list(await asyncio.gather(*(lists.revocation_list() for _ in range(20))))

    answers = run(desk, ask)
    assert len(set(answers)) == 1
    assert desk.home.store.head().size == before + 1


def test_a_revocation_is_on_the_list_once_it_is_news(desk: Desk) -> None:
    async def ask(lists: ServedRevocations) -> list[bytes]:
        first = await lists.revocation_list()
        await asyncio.to_thread(revoke_one, desk, "n1")
        second = await lists.revocation_list()
        lists.forget()
        return [first, second, await lists.revocation_list()]

    assert [count(desk, der) for der in run(desk, ask)] == [0, 0, 1]


def test_half_of_its_life_makes_a_new_one(desk: Desk) -> None:
    async def ask(lists: ServedRevocations) -> list[bytes]:
        first = await lists.revocation_list()
        desk.move_clock(timedelta(seconds=LIFE_SECONDS // 2 + 1))
        return [first, await lists.revocation_list()]

    first, second = run(desk, ask)
    assert first != second


def test_what_was_read_before_the_news_is_not_kept_after_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    read = ServedRevocations._read

    def overtaken(lists: ServedRevocations, name: str) -> PublishedList | None:
        found = read(lists, name)
        lists.forget()
        return found

    async def ask(lists: ServedRevocations) -> list[bytes]:
        await lists.revocation_list()
        lists.forget()
        monkeypatch.setattr(ServedRevocations, "_read", overtaken)
        first = await lists.revocation_list()
        await asyncio.to_thread(revoke_one, desk, "n1")
        monkeypatch.undo()
        return [first, await lists.revocation_list()]

    assert [count(desk, der) for der in run(desk, ask)] == [0, 1]


def test_each_root_has_its_list_during_a_rotation_and_its_last_one_after(desk: Desk) -> None:
    node = enrol(desk, "a")
    old = desk.authority.public
    name = fingerprint(old.public_bytes(Encoding.DER))
    bring_to(desk, Phase.CONVERGING, [node])
    new = desk.authority.issuer.certificate
    other = fingerprint(new.public_bytes(Encoding.DER))

    async def ask(lists: ServedRevocations) -> list[bytes]:
        return [await lists.revocation_list(), await lists.revocation_list(name), await lists.revocation_list(other)]

    public, of_old, of_new = run(desk, ask)
    numbers = [verify_revocation_list(der, authority=old).number for der in (public, of_old)]
    assert numbers[0] == numbers[1] < verify_revocation_list(of_new, authority=new).number

    bring_to(desk, Phase.RETIRED, [node])
    public, last, same = run(desk, ask)
    assert verify_revocation_list(last, authority=old).number > numbers[0]
    assert verify_revocation_list(public, authority=new) == verify_revocation_list(same, authority=new)


def test_a_root_that_never_was_is_not_found_and_not_kept(desk: Desk) -> None:
    async def ask(lists: ServedRevocations) -> int:
        for number in range(3):
            with pytest.raises(NotFound):
                await lists.revocation_list(f"{number:064x}")
        return len(lists._kept)

    assert run(desk, ask) == 0
