"""The operator's program that judges a value: what it gets, what it does not, and how it may end."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from swarmsec.errors import Denied, UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.wiring.secrets.validating import parse_command, validate_value

VALUE = SecretBytes(b"marker-1f")


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_value_is_on_standard_input_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SWARMSEC_TOKEN", "token")
    seen = tmp_path / "seen"
    code = (
        "import os,sys;value=sys.stdin.read();print('said');"
        f"open({str(seen)!r},'w').write(value + str('marker' in str(sys.argv) + str(dict(os.environ)))"
        " + str('SWARMSEC_TOKEN' in os.environ))"
    )
    validate_value(python(code), VALUE)
    assert seen.read_text() == "marker-1fFalseFalse"
    assert "said" not in capfd.readouterr().out


def test_a_program_that_reads_nothing_may_find_it_good() -> None:
    validate_value(["true"], SecretBytes(b"x" * 500_000))


def test_another_code_than_zero_is_a_denial() -> None:
    with pytest.raises(Denied, match="ended with 3") as caught:
        validate_value(python("raise SystemExit(3)"), VALUE)
    assert "marker" not in str(caught.value)


def test_a_program_that_does_not_end_is_killed_and_a_denial() -> None:
    with pytest.raises(Denied, match="did not end") as caught:
        validate_value(["sleep", "100"], VALUE, seconds=0.2)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_program_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    file = tmp_path / "program"
    file.write_text("no program")
    file.chmod(0o700)
    with pytest.raises(UsageProblem, match="could not be started"):
        validate_value([str(file)], VALUE)


@pytest.mark.parametrize("text", ["", "  ", "'unclosed", "/no/such/program --flag"])
def test_a_command_line_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem):
        parse_command(text)


def test_a_command_line_is_words_and_no_shell(tmp_path: Path) -> None:
    program, *words = parse_command("true 'a b' $HOME;id")
    assert Path(program).is_absolute()
    assert words == ["a b", "$HOME;id"]
