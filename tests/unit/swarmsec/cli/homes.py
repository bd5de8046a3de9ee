"""Fixtures: one home is made per run, and every test that wants one gets a copy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.swarmsec.cli.program import Program, copied_home


@pytest.fixture(scope="session")
def home_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with an authority's home and its state."""
    directory = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        Program(directory, patch).good("ca", "init", "--recovery-out", "recovery.key")
    return directory


@pytest.fixture
def program(home_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The program with a home of its own."""
    copied_home(home_template, tmp_path)
    return Program(tmp_path, monkeypatch)


@pytest.fixture
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """The program where no home is."""
    return Program(tmp_path, monkeypatch)
