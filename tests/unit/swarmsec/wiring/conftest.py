"""Fixtures of the tests of restoring and of rotating secrets."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from policies.loading import load_documents
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.access.apply_policy import apply_policies
from swarmsec.services.secrets.keep_secrets import NewSecret, create_secret
from swarmsec.storage.checking import verify_store
from swarmsec.wiring.homes.backups import back_up
from tests.integration.clocks import StandingClock
from tests.unit.swarmsec.homes import OPERATOR, make_home, seal_values
from tests.unit.swarmsec.wiring.homes.restores import ON_ANOTHER_MACHINE, VALUES, WATCHER, Saved
from tests.unit.swarmsec.wiring.pretend_swarm import PretendSwarm
from tests.unit.swarmsec.wiring.secrets.secretworld import NAME, POLICY, World


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


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """A home with one secret, and two services that use none yet; whole in the end."""
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    home, keys, _ = make_home(tmp_path / "home")
    new = NewSecret(name=NAME, value=SecretBytes(b"old"), labels={})
    home.store.write(lambda transaction: create_secret(transaction, keys, new, OPERATOR))
    documents = load_documents(POLICY.encode(), source="test")
    home.store.write(lambda transaction: apply_policies(transaction, documents, OPERATOR))
    swarm = PretendSwarm()
    for service in ("shop_api", "shop_web"):
        swarm.add_service(service)
    clock = StandingClock(seconds=time.time())
    home.store.clock = home.clock = clock
    yield World(home=home, keys=keys, swarm=swarm, said=[], clock=clock)
    verify_store(home.store)
    home.close()
