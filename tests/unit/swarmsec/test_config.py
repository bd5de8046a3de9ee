"""A home's settings file: whose hand it may be of, and what stands in its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swarmsec.config import FILE_NAME, load_config
from swarmsec.errors import NotFound, Unavailable, UsageProblem


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    made.mkdir(mode=0o700)
    (made / FILE_NAME).write_text("format = 1\n")
    (made / FILE_NAME).chmod(0o600)
    return made


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_others_may_read_settings(mode: int, home: Path) -> None:
    (home / FILE_NAME).chmod(mode)
    home.chmod(0o755)
    assert load_config(home).pkcs11.module == ""


@pytest.mark.parametrize("mode", [0o660, 0o602, 0o666])
def test_settings_that_others_may_write_are_refused(mode: int, home: Path) -> None:
    (home / FILE_NAME).chmod(mode)
    with pytest.raises(
        UsageProblem, match=f"swarmsec.toml to be writable by its owner alone, got mode 0{mode:o}"
    ) as it:
        load_config(home)
    assert "chmod go-w" in str(it.value.hint)


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_directory_that_others_may_write_to_is_refused(mode: int, home: Path) -> None:
    home.chmod(mode)
    with pytest.raises(UsageProblem, match="home to be writable by its owner alone"):
        load_config(home)


def test_what_is_no_file_is_said(home: Path) -> None:
    (home / FILE_NAME).unlink()
    with pytest.raises(NotFound):
        load_config(home)
    os.mkfifo(home / FILE_NAME, 0o600)
    with pytest.raises(UsageProblem, match="format = 1"):
        load_config(home)
    (home / FILE_NAME).unlink()
    (home / FILE_NAME).mkdir()
    with pytest.raises(Unavailable, match="Is a directory"):
        load_config(home)
