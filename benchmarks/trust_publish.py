"""Publishing one signed tag, durably: ours on SQLite beside ``notary-server`` on PostgreSQL; with 1,000 repositories.

Both sides sign in this process and wait until the publication is on disk; the peer's way there is one HTTPS request on
a kept connection. Tags repeat, so that neither collection grows while it is measured. The last figure is ours alone:
the same beside the aim of 100 a second, in groups as a server commits them.
"""

from __future__ import annotations

import os
import socket
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.measure import Figure, measure_pairs
from benchmarks.notary_peer import GUN, NotaryServer
from notary.images import SignedImage
from notary.reference import Digest
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import SERVICE
from swarmsec.services.trust.delegate_repository import Delegation, add_delegations
from swarmsec.services.trust.init_trust import init_trust
from swarmsec.services.trust.publish_trust import Published
from swarmsec.services.trust.sign_image import NamedImage, sign_image
from swarmsec.services.trust.trust_records import PendingChange
from swarmsec.wiring.homes.creating import NewHome, create_home
from swarmsec.wiring.homes.home import Home, refuse_to_ask

PUBLICATIONS = 20
TAGS = 10
REPOSITORIES = 1000
PER_TRANSACTION = 40
GROUP = 64
GROUPS = 4
WANTED_PER_SECOND = 100.0
INDEX = "application/vnd.oci.image.index.v1+json"


def run() -> list[Figure]:
    """Measure one repository beside the peer, then many."""
    with tempfile.TemporaryDirectory(prefix="swarmsec-bench-", dir=Path.cwd()) as name:
        directory = Path(name)
        os.environ["SWARMSEC_STATE"] = str(directory / "state")
        with _home(directory / "home") as (home, keys):
            home.store.write(lambda transaction: init_trust(transaction, keys, SERVICE))
            _delegate(home, keys, [GUN])
            peer_directory = directory / "peer"
            peer_directory.mkdir()
            with NotaryServer(peer_directory, free_port()) as peer:
                alone = _beside(home, keys, peer)
            names = [f"registry.example/team/app{number}" for number in range(REPOSITORIES)]
            for start in range(0, REPOSITORIES, PER_TRANSACTION):
                _delegate(home, keys, names[start : start + PER_TRANSACTION])
            return [alone, _many(home, keys, names)]


def _beside(home: Home, keys: SealedKeys, peer: NotaryServer) -> Figure:
    def ours() -> float:
        return _median_ms([partial(_publish, home, keys, number) for number in range(PUBLICATIONS)])

    def theirs() -> float:
        return _median_ms(
            [partial(peer.publish, f"v{number % TAGS}", _digest(number).hex) for number in range(PUBLICATIONS)]
        )

    return measure_pairs(
        "publish one signed tag, p50",
        "notary-server on PostgreSQL",
        "ms",
        ours=ours,
        theirs=theirs,
        aim=1.0,
        at_least=False,
        rounds=9,
    )


def _many(home: Home, keys: SealedKeys, names: Sequence[str]) -> Figure:
    def ours() -> float:
        units = [partial(_unit, keys=keys, name=names[n], number=n) for n in range(GROUP * GROUPS)]
        began = time.perf_counter()
        for start in range(0, len(units), GROUP):
            for outcome in home.store.write_group(units[start : start + GROUP]):
                if outcome.error is not None:
                    raise outcome.error
        return len(units) / (time.perf_counter() - began)

    return measure_pairs(
        f"publish, {REPOSITORIES:,} repositories, groups of {GROUP}",
        "the aim itself",
        "a second",
        ours=ours,
        theirs=lambda: WANTED_PER_SECOND,
        aim=1.0,
        at_least=True,
        rounds=5,
        warm_ups=1,
    )


@contextmanager
def _home(path: Path) -> Iterator[tuple[Home, SealedKeys]]:
    former = os.umask(0o077)
    try:
        created = create_home(NewHome(path=path), refuse_to_ask, SERVICE)
    finally:
        os.umask(former)
    try:
        yield created.home, created.home.keys()
    finally:
        created.home.close()


def _delegate(home: Home, keys: SealedKeys, names: Sequence[str]) -> None:
    wanted = [Delegation(repository=name) for name in names]
    home.store.write(lambda transaction: add_delegations(transaction, keys, SERVICE, wanted))


def _publish(home: Home, keys: SealedKeys, number: int) -> None:
    home.store.write(partial(_unit, keys=keys, name=GUN, number=number))


def _unit(transaction: Transaction, *, keys: SealedKeys, name: str, number: int) -> Published | PendingChange:
    image = SignedImage(digest=_digest(number), size=1, media_type=INDEX)
    wanted = NamedImage(repository=name, tag=f"v{number % TAGS}", image=image)
    return sign_image(transaction, keys, SERVICE, wanted)


def _digest(number: int) -> Digest:
    return Digest.of(str(number).encode())


def _median_ms(actions: Sequence[Callable[[], object]]) -> float:
    times = []
    for action in actions:
        began = time.perf_counter()
        action()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
