"""The clock watch tells a set clock from a running one."""

from __future__ import annotations

from dataclasses import dataclass

from swarmsec.clockwatch import TOLERANCE_MS, ClockWatch


@dataclass
class _Clock:
    wall_ms: int = 1_700_000_000_000
    since_boot_us: int = 5_000_000

    def unix_ms(self) -> int:
        return self.wall_ms

    def monotonic_us(self) -> int:
        return self.since_boot_us

    def random(self, count: int) -> bytes:
        return bytes(count)

    def pass_time(self, milliseconds: int) -> None:
        self.wall_ms += milliseconds
        self.since_boot_us += milliseconds * 1000


def test_time_that_only_passes_is_no_step() -> None:
    clock = _Clock()
    watch = ClockWatch(clock)

    clock.pass_time(3_600_000)

    assert watch.step() == 0


def test_a_step_is_told_once_with_its_direction() -> None:
    clock = _Clock()
    watch = ClockWatch(clock)

    clock.wall_ms -= 90_000

    assert watch.step() == -90_000
    assert watch.step() == 0


def test_slow_drift_never_adds_up_to_a_step() -> None:
    clock = _Clock()
    watch = ClockWatch(clock)

    for _ in range(10):
        clock.pass_time(1000)
        clock.wall_ms += TOLERANCE_MS // 2
        assert watch.step() == 0
