"""Failed attempts and running requests are bounded, in memory that is bounded too."""

from __future__ import annotations

import asyncio

import pytest

from swarmsec.errors import TooManyAttempts
from swarmsec.server.errors import Overloaded
from swarmsec.server.limits import Admission, AttemptLimiter


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def build(clock: Clock, *, burst: int = 3, per_minute: float = 6.0, max_keys: int = 100) -> AttemptLimiter:
    return AttemptLimiter(burst=burst, per_minute=per_minute, max_keys=max_keys, clock=clock)


def wait_of(limiter: AttemptLimiter, *keys: str) -> int:
    try:
        limiter.verify_allowed(keys)
    except TooManyAttempts as error:
        return error.retry_after
    return 0


def test_burst_of_failures_then_a_wait_that_is_told_and_suffices() -> None:
    clock = Clock()
    limiter = build(clock)
    for _ in range(3):
        assert wait_of(limiter, "a") == 0
        limiter.count_failure(["a"])
    wait = wait_of(limiter, "a")
    assert wait == 10
    clock.now += wait - 0.5
    assert wait_of(limiter, "a") == 1
    clock.now += 1
    assert wait_of(limiter, "a") == 0


def test_without_failures_nothing_is_limited_or_kept() -> None:
    limiter = build(Clock())
    for _ in range(1000):
        limiter.verify_allowed(["a", "b"])
    assert len(limiter) == 0


def test_asking_while_limited_does_not_prolong_the_wait() -> None:
    clock = Clock()
    limiter = build(clock)
    for _ in range(3):
        limiter.count_failure(["a"])
    waits = [wait_of(limiter, "a") for _ in range(50)]
    assert set(waits) == {10}


def test_one_limited_key_of_several_is_enough() -> None:
    limiter = build(Clock())
    for _ in range(3):
        limiter.count_failure(["token"])
    assert wait_of(limiter, "address", "token") == 10
    assert wait_of(limiter, "address") == 0


def test_a_key_named_twice_is_charged_once() -> None:
    limiter = build(Clock(), burst=2)
    limiter.count_failure(["a", "a"])
    assert wait_of(limiter, "a") == 0


def test_parallel_failures_are_charged_down_to_a_debt() -> None:
    clock = Clock()
    limiter = build(clock)
    for _ in range(1000):
        limiter.count_failure(["a"])
    assert wait_of(limiter, "a") == 40


def test_memory_is_bounded_and_refilled_buckets_are_forgotten() -> None:
    clock = Clock()
    limiter = build(clock, max_keys=10)
    for number in range(1000):
        limiter.count_failure([f"key {number}"])
    assert len(limiter) == 10
    clock.now += 3600
    for number in range(990, 1000):
        limiter.verify_allowed([f"key {number}"])
    assert len(limiter) == 0


def test_keys_may_be_any_text() -> None:
    limiter = build(Clock())
    limiter.count_failure(["\ud800", "x" * 1_000_000, ""])
    assert len(limiter) == 3


def admission(*, running: int = 1, waiting: int = 1, wait: float = 30.0) -> Admission:
    return Admission(max_running=running, max_waiting=waiting, max_wait=wait, jitter=lambda bound: bound - 1)


async def hold(places: Admission, entered: asyncio.Event, release: asyncio.Event) -> None:
    if not places.take_free():
        await places.wait()
    try:
        entered.set()
        await release.wait()
    finally:
        places.give_back()


def test_beyond_the_waiting_places_is_refused_with_a_time() -> None:
    async def main() -> None:
        places, release = admission(), asyncio.Event()
        first, second = asyncio.Event(), asyncio.Event()
        tasks = [asyncio.create_task(hold(places, first, release))]
        await first.wait()
        tasks.append(asyncio.create_task(hold(places, second, release)))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded) as caught:
            await hold(places, asyncio.Event(), release)
        assert caught.value.retry_after == 3
        assert not second.is_set()
        release.set()
        await asyncio.gather(*tasks)
        await hold(places, asyncio.Event(), release)

    asyncio.run(main())


def test_waiting_ends_in_a_refusal() -> None:
    async def main() -> None:
        places, release, entered = admission(wait=0.01), asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(hold(places, entered, release))
        await entered.wait()
        with pytest.raises(Overloaded):
            await hold(places, asyncio.Event(), release)
        release.set()
        await task

    asyncio.run(main())


def test_places_go_to_those_who_wait_in_their_order_and_never_to_more_than_there_are() -> None:
    async def main() -> None:
        places, order = admission(running=2, waiting=100), list[int]()
        running = most = 0

        async def work(number: int) -> None:
            nonlocal running, most
            if not places.take_free():
                await places.wait()
            running += 1
            most = max(most, running)
            order.append(number)
            await asyncio.sleep(0)
            running -= 1
            places.give_back()

        await asyncio.gather(*(work(number) for number in range(50)))
        assert order == list(range(50))
        assert most == 2

    asyncio.run(main())


def test_a_place_that_is_given_to_one_who_leaves_goes_to_the_next() -> None:
    async def main() -> None:
        places = admission(waiting=3)
        assert places.take_free()
        leaving, early, staying = (asyncio.create_task(places.wait()) for _ in range(3))
        await asyncio.sleep(0)
        early.cancel()
        places.give_back()
        leaving.cancel()
        async with asyncio.timeout(20):
            await staying
        assert leaving.cancelled()
        assert not places.take_free()
        places.give_back()
        assert places.take_free()

    asyncio.run(main())
