"""A trust repository at work in a real home, and python-tuf's own client that reads what it publishes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from notary.images import SignedImage
from notary.reference import Digest, ImageReference
from swarmsec.keys.signers import SealedKeys
from swarmsec.services.ports import Transaction
from swarmsec.services.trust.init_trust import init_trust
from swarmsec.services.trust.publish_trust import Published
from swarmsec.services.trust.sign_image import NamedImage, ensure_delegated, sign_image
from swarmsec.services.trust.trust_records import PendingChange
from swarmsec.storage.checking import verify_store
from swarmsec.wiring.homes.home import Home
from tests.unit.notary.signers import LocalSigner
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import LaterClock

T = TypeVar("T")
APP = "registry.example/team/app"
OTHER = "registry.example/team/other"
INDEX = "application/vnd.oci.image.index.v1+json"


def image(text: str = "manifest") -> SignedImage:
    return SignedImage(digest=Digest.of(text.encode()), size=len(text), media_type=INDEX)


def named(reference: str, text: str = "manifest") -> NamedImage:
    parsed = ImageReference.parse(reference)
    return NamedImage(repository=parsed.repository, tag=parsed.tag or "latest", image=image(text))


class HomeFetcher(FetcherInterface):
    """Gives a stock client the published files of a home; other addresses are not found."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.asked: list[str] = []

    def _fetch(self, url: str) -> Iterator[bytes]:
        name = url.rpartition("/")[2]
        self.asked.append(name)
        data = self.home.store.read(lambda transaction: transaction.trust.files.get(name))
        if data is None:
            raise DownloadHTTPError("not found", 404)
        yield data


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustDesk:
    """One repository with its open home."""

    home: Home
    keys: SealedKeys
    directory: Path

    def write(self, service: Callable[..., T], *arguments: Any, **named_arguments: Any) -> T:
        """Run a service that takes a transaction, the keys and who asks."""
        return self.home.store.write(
            lambda transaction: service(transaction, self.keys, OPERATOR, *arguments, **named_arguments)
        )

    def read(self, unit: Callable[[Transaction], T]) -> T:
        return self.home.store.read(unit)

    def init(self, *signers: LocalSigner, threshold: int | None = None) -> Published | PendingChange:
        return self.write(init_trust, root_keys=[signer.key for signer in signers], threshold=threshold)

    def sign(self, reference: str, text: str = "manifest") -> Published | PendingChange:
        """Sign an image, delegating its repository first where that is new."""

        def both(transaction: Transaction, *arguments: Any) -> Published | PendingChange:
            wanted = named(reference, text)
            ensure_delegated(transaction, self.keys, OPERATOR, wanted.repository)
            return sign_image(transaction, self.keys, OPERATOR, wanted)

        return self.write(both)

    def file(self, name: str) -> bytes:
        data = self.read(lambda transaction: transaction.trust.files.get(name))
        assert data is not None, name
        return data

    def client(self, name: str = "client", *, root: bytes | None = None) -> Updater:
        """A stock client with a cache of its own, which has the first root unless another is given."""
        cache = self.directory / name
        cache.mkdir(exist_ok=True)
        fetcher = HomeFetcher(self.home)
        return Updater(
            str(cache), "https://trust.example/tuf/", fetcher=fetcher, bootstrap=root or self.file("1.root.json")
        )

    def digest(self, reference: str, client: str = "client") -> str | None:
        """What a stock client says that a name means."""
        parsed = ImageReference.parse(reference)
        found = self.client(client).get_targetinfo(f"{parsed.repository}/{parsed.tag}")
        return None if found is None else f"sha256:{found.hashes['sha256']}"

    def move_clock(self, later: timedelta) -> None:
        self.home.store.clock = LaterClock(later)

    def expires(self, role: str) -> datetime:
        row = self.read(lambda transaction: transaction.trust.roles.get(role))
        assert row is not None
        return datetime.fromtimestamp(row.expires, UTC)

    def verify(self) -> None:
        """The store is whole, and its log says everything that is in it."""
        verify_store(self.home.store)
