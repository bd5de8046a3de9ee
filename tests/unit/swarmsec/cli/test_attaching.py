"""``secrets attach``: owners are numbers and modes octal digits, and nothing is asked of Docker before they are."""

from __future__ import annotations

import pytest

from tests.unit.swarmsec.cli.program import Program

NOWHERE = ("--docker", "unix:///nowhere/docker.sock")


@pytest.mark.parametrize("mode", ["9", "400d", "0o400", "0888", "04000", "-1", "r--------", ""])
def test_a_mode_that_is_not_octal_digits_is_refused(program: Program, mode: str) -> None:
    """Docker takes the digits of a stack file for a decimal number where they are written so."""
    answer = program("secrets", "attach", "team/app/db", "shop_api", f"--mode={mode}", *NOWHERE)
    assert (answer.code, answer.out) == (2, "")
    assert "expected --mode as octal digits such as 0400" in answer.err


@pytest.mark.parametrize("owner", [("--uid", "postgres"), ("--gid", ""), ("--uid", "-1"), ("--gid", "2147483648")])
def test_an_owner_that_is_no_number_is_refused(program: Program, owner: tuple[str, str]) -> None:
    """An empty or written one makes every task of the service fail."""
    answer = program("secrets", "attach", "team/app/db", "shop_api", f"{owner[0]}={owner[1]}", *NOWHERE)
    assert (answer.code, answer.out) == (2, "")
    assert owner[0] in answer.err


@pytest.mark.parametrize("mode", ["400", "0400", "7777"])
def test_octal_digits_are_taken_and_docker_is_asked_next(program: Program, mode: str) -> None:
    program.good("secrets", "create", "team/app/db", stdin=b"one")
    answer = program("secrets", "attach", "team/app/db", "shop_api", "--mode", mode, *NOWHERE)
    assert (answer.code, answer.out) == (3, "")
    assert "/nowhere/docker.sock" in answer.err
