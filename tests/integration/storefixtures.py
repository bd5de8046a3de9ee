"""Homes for the tests of the store: made in process, copied, opened, and held to be whole."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from swarmsec.keys.recovery import RecoveryKey, parse_recovery_key
from swarmsec.services.ca.init_authority import init_authority
from swarmsec.services.records import KeyKind
from swarmsec.services.requester import SERVICE
from swarmsec.storage.checking import CheckReport, verify_store
from swarmsec.storage.tables import sealed_records
from swarmsec.wiring.homes.creating import RECOVERY_RECIPIENT, NewHome, create_home
from swarmsec.wiring.homes.home import Home, open_home, refuse_to_ask
from swarmsec.wiring.homes.places import STATE_VARIABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a home and what belongs to it lie."""

    root: Path

    @property
    def home(self) -> Path:
        """The home's directory."""
        return self.root / "home"

    @property
    def state(self) -> Path:
        """The state directory, for ``SWARMSEC_STATE``."""
        return self.root / "state"

    @property
    def recovery(self) -> Path:
        """The file for ``--recovery-out``."""
        return self.root / "kept" / "recovery.key"

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.home / "state.db"

    @property
    def anchor(self) -> Path:
        """The anchor of the one store there is."""
        (found,) = self.state.glob("*/anchor")
        return found

    def copy(self, root: Path) -> Place:
        """A copy of everything at another root, which may be there already."""
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(self.root, root)
        return Place(root=root)


def new_place(root: Path) -> Place:
    """A place where nothing is yet."""
    place = Place(root=root)
    place.recovery.parent.mkdir(parents=True)
    return place


@contextmanager
def state_of(place: Place) -> Iterator[None]:
    """Look for seal keys and anchors where this place keeps them, and make files as private as the program does."""
    before = os.environ.get(STATE_VARIABLE)
    os.environ[STATE_VARIABLE] = str(place.state)
    mask = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(mask)
        if before is None:
            del os.environ[STATE_VARIABLE]
        else:
            os.environ[STATE_VARIABLE] = before


def make_home(root: Path) -> Place:
    """A finished authority."""
    place = new_place(root)
    with state_of(place):
        created = create_home(NewHome(path=place.home, recovery_out=place.recovery), refuse_to_ask, SERVICE)
        keys = created.home.keys()
        created.home.store.write(
            lambda transaction: init_authority(transaction, keys, SERVICE, cluster_id=None, key_kind=KeyKind.P256)
        )
        created.home.close()
    return place


@contextmanager
def opened(place: Place, *, accept_rollback: str | None = None) -> Iterator[Home]:
    """Open the home of a place as commands do."""
    with state_of(place):
        home = open_home(place.home, accept_rollback=accept_rollback)
        try:
            yield home
        finally:
            home.close()


def verify_whole(place: Place) -> CheckReport:
    """Hold everything that belongs to a finished home: store, keys, recovery file, and no file left over."""
    with opened(place) as home:
        report = verify_store(home.store)
        _verify_opens(home)
        if place.recovery.exists():
            assert _recovery_of(place).recipient == home.store.read(lambda t: t.settings.get(RECOVERY_RECIPIENT))
    verify_no_leftovers(place)
    return report


def _verify_opens(home: Home) -> None:
    keys = home.keys()
    with home.store.reading() as transaction:
        names = [str(row["name"]) for row in transaction.select(sealed_records)]
        assert names
        for name in names:
            assert len(keys.get(transaction, name)) > 0


def _recovery_of(place: Place) -> RecoveryKey:
    return parse_recovery_key(place.recovery.read_bytes())


def verify_no_leftovers(place: Place) -> None:
    """No hidden file but the anchor's, which is no secret and goes with its next move; nothing that others may see."""
    for path in (place.home, *place.home.rglob("*"), *place.state.rglob("*"), *place.recovery.parent.iterdir()):
        assert not path.name.startswith(".") or path.name.startswith(".anchor."), path
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
