"""Fixtures of the tests of restoring."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from swarmsec.wiring.backups import back_up
from tests.unit.swarmsec.homes import OPERATOR, make_home, seal_values
from tests.unit.swarmsec.wiring.restores import ON_ANOTHER_MACHINE, VALUES, WATCHER, Saved


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    root = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWARMSEC_STATE", str(root / "state"))
        home, keys, recovery = make_home(root / "original")
        seal_values(home, keys, VALUES)
        done = back_up(home, keys, root / "home.age", OPERATOR, WATCHER)
        home.close()
    return Saved(root=root, recovery=recovery, store_id=done.store_id, entries=done.entries)


@pytest.fixture
def saved(template: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Saved:
    """On the machine of the original home, which is still there."""
    shutil.copytree(template.root, tmp_path / "root")
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "root" / "state"))
    return replace(template, root=tmp_path / "root")


@pytest.fixture
def elsewhere(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> Saved:
    """On another machine, which has the backup alone."""
    monkeypatch.setenv("SWARMSEC_STATE", str(saved.root / ON_ANOTHER_MACHINE))
    return saved
