"""Everything that verifying images needs on this machine, put together: pin, cache, metadata, policy, registry.

Which root counts, first to last: ``--root``, this machine's pin, a home's own. Which metadata: a bundle, a named
server, the home where it is named, the pinned server, the home. Which policy: files that are named, the home's where
the metadata is, the one that is signed in the metadata, the bundled one, which asks every image for a signature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from notary.errors import InvalidMetadata, NotaryError, UntrustedMetadata
from notary.following import FreshMetadata, MetadataSource
from notary.reference import Digest
from notary.roles import POLICY_PATH
from swarmsec.errors import NotFound, SwarmsecError, Unavailable, UsageProblem
from swarmsec.openedfile import open_to_read
from swarmsec.registry.metadatacache import MetadataCache
from swarmsec.services.trust.verify_image import ImageSource, ImageVerifier, Outcome, Question
from swarmsec.wiring.homes.places import trust_directory
from swarmsec.wiring.trust.trustpins import MAX_AUTHORITIES, Pin, find_root, load_pin, read_root

if TYPE_CHECKING:
    from policies.documents import Document
    from swarmsec.registry.transport import Transport
    from swarmsec.wiring.trust.hometrust import HomeTrust

MAX_POLICY: Final = 262_144
DEFAULT_SECONDS: Final = 30.0
NO_PIN: Final = "pin the repository's root once: swarmsec trust pin FILE; or name it: --root FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustOptions:
    """What a person asks for; None where the machine's own is meant.

    Attributes:
        root: file of the root to trust.
        bundle: offline bundle instead of a server.
        url: server whose ``/tuf/`` has the metadata.
        authority: file of the authorities to trust for TLS, PEM.
        insecure: hosts that may be spoken to in plain HTTP.
        seconds: time that one exchange may take.
        prefers_home: a home was named, so that it comes before the pinned server.
    """

    root: Path | None = None
    bundle: Path | None = None
    url: str | None = None
    authority: Path | None = None
    insecure: tuple[str, ...] = ()
    seconds: float = DEFAULT_SECONDS
    prefers_home: bool = False


def system_hour() -> datetime:
    """This machine's clock."""
    return datetime.now(UTC)


class TrustSession:
    """One visit: metadata of one moment, and the registry.

    Args:
        pin: the root that counts.
        options: what was asked for.
        home: the repository of this machine's home, where the metadata may come from.
        warn: told what a person should know.
        hour: the clock.
    """

    def __init__(
        self,
        pin: Pin,
        options: TrustOptions,
        *,
        home: HomeTrust | None = None,
        warn: Callable[[str], None],
        hour: Callable[[], datetime] | None = None,
    ) -> None:
        self._pin = pin
        self._options = options
        self._home = home
        self._hour = hour or system_hour
        self._cache = MetadataCache(trust_directory() / pin.sha256, warn=warn)
        self._transports: list[Transport] = []
        self._source: MetadataSource | None = None

    def close(self) -> None:
        """Close every connection."""
        for transport in self._transports:
            transport.close()

    @contextmanager
    def fresh(self) -> Iterator[FreshMetadata]:
        """Fresh metadata; roles may be loaded from it until the block ends.

        Raises:
            NotTrusted: it is wrong.
            MetadataMissing, Unavailable: there is none.
        """
        with self._cache.locked():
            yield FreshMetadata(
                self._pin.root,
                source=self.source(),
                cache=self._cache,
                now=self._hour(),
                is_bundle=self._options.bundle is not None,
            )

    def source(self) -> MetadataSource:
        """Where published metadata comes from; the same each time.

        Raises:
            UsageProblem: nobody said where.
            NotFound, Unavailable: the bundle cannot be read.
            UntrustedMetadata: it is no bundle.
        """
        if self._source is None:
            self._source = self._new_source()
        return self._source

    def _new_source(self) -> MetadataSource:
        if self._options.bundle is not None:
            return _read_bundle(self._options.bundle)
        if self._options.url is not None:
            return self._http(self._options.url)
        if self._home is not None and (self._options.prefers_home or self._pin.url is None):
            return self._home
        if self._pin.url is not None:
            return self._http(self._pin.url)
        raise UsageProblem(
            "expected to be told where the signed metadata is",
            hint="give --url URL of its server, or --offline BUNDLE; or pin it: swarmsec trust pin FILE --url URL",
        )

    def documents(self, metadata: FreshMetadata) -> Sequence[Document]:
        """The home's policies where its metadata is asked; else the signed one, or the bundled one where none is.

        Raises:
            UntrustedMetadata: its bytes are not those that are signed.
            PolicyError: they are no policy.
            MetadataMissing, Unavailable: they cannot be had.
        """
        source = self.source()
        if self._home is not None and source is self._home:
            return self._home.documents
        return load_signed_policy(metadata, source)

    def verify(
        self, questions: Sequence[Question], documents: Sequence[Document] | None, images: ImageSource
    ) -> list[Outcome]:
        """Verify images, all against one state of the metadata.

        Args:
            questions: the images.
            documents: the policies in force, None for the signed one.
            images: where the bytes are.
        """
        now = self._hour()
        try:
            with self.fresh() as metadata:
                policy = self.documents(metadata) if documents is None else documents
                verifier = ImageVerifier(metadata=metadata, documents=policy, images=images, now=now)
                asked = [verifier.ask(question) for question in questions]
        except (SwarmsecError, NotaryError) as failure:
            if documents is None:
                raise
            verifier = ImageVerifier(metadata=failure, documents=documents, images=images, now=now)
            asked = [verifier.ask(question) for question in questions]
        return [verifier.finish(each) for each in asked]

    def _http(self, url: str) -> MetadataSource:
        from swarmsec.registry.metadatasource import HttpMetadata
        from swarmsec.registry.transport import context_with

        authorities = _authorities(self._options.authority) or self._pin.authorities
        transport = self._transport(lambda _: context_with(authorities))
        return HttpMetadata(f"{url.rstrip('/')}/tuf", transport=transport, insecure=self._options.insecure)

    def _transport(self, contexts: Callable[..., object]) -> Transport:
        from swarmsec.registry.transport import Transport

        transport = Transport(seconds=self._options.seconds, contexts=contexts)  # type: ignore[arg-type]  # it makes TLS contexts
        self._transports.append(transport)
        return transport


@contextmanager
def open_trust(
    options: TrustOptions,
    *,
    home: HomeTrust | None = None,
    warn: Callable[[str], None],
    hour: Callable[[], datetime] | None = None,
) -> Iterator[TrustSession]:
    """Open a visit under the root that counts here.

    Args:
        options: what was asked for.
        home: the repository of this machine's home, where ``needs_home`` said that one is needed.
        warn: as ``TrustSession``.
        hour: as ``TrustSession``.

    Raises:
        UsageProblem: no root is pinned, or the one that is named is none.
        NotFound, Unavailable: a file cannot be read.
    """
    session = TrustSession(_pin_of(options, home), options, home=home, warn=warn, hour=hour)
    try:
        yield session
    finally:
        session.close()


def needs_home(options: TrustOptions) -> bool:
    """Whether a home, if there is one, has to be opened: for its root, or because its metadata is what is asked.

    Raises:
        UsageProblem, Unavailable: the pin cannot be read.
    """
    pinned = load_pin(trust_directory())
    if options.root is None and pinned is None:
        return True
    if options.bundle is not None or options.url is not None:
        return False
    return options.prefers_home or pinned is None or pinned.url is None


def _pin_of(options: TrustOptions, home: HomeTrust | None) -> Pin:
    pinned = load_pin(trust_directory())
    if options.root is not None:
        root = read_root(options.root)
        return pinned if pinned is not None and pinned.root == root else Pin(root=root)
    if pinned is not None:
        return pinned
    if home is not None and home.root is not None:
        return Pin(root=home.root)
    raise UsageProblem("expected a pinned root: this machine trusts none yet", hint=NO_PIN)


def pin_by_digest(digest: Digest, options: TrustOptions, *, warn: Callable[[str], None]) -> bytes:
    """Find a root by its digest on a server.

    Raises:
        Denied: the server has none of that digest.
        UsageProblem: no server is named.
        Unavailable: it gives no answer.
    """
    session = TrustSession(Pin(root=b""), options, warn=warn)
    try:
        return find_root(digest, session.source().fetch)
    finally:
        session.close()


def read_authorities(path: Path | None) -> bytes | None:
    """Read a file of certificates, PEM.

    Raises:
        NotFound, Unavailable, UsageProblem: as the file is.
    """
    return _authorities(path)


def load_signed_policy(metadata: FreshMetadata, source: MetadataSource) -> list[Document]:
    """Load the policy that is signed in the metadata, the bundled one where none is; see ``TrustSession.documents``."""
    import hashlib

    from policies.bundled_files import bundled
    from policies.loading import load_documents

    target = metadata.targets.targets.get(POLICY_PATH)
    if target is None:
        return list(load_documents(bundled("trust-default.yaml"), source="the bundled policy"))
    expected = target.hashes.get("sha256", "")
    directory, _, name = POLICY_PATH.rpartition("/")
    data = source.fetch(f"{directory}/{expected}.{name}", MAX_POLICY) or source.fetch(POLICY_PATH, MAX_POLICY)
    if data is None:
        raise Unavailable("the signed policy is not there", hint="give the policy with --policy FILE")
    if len(data) != target.length or hashlib.sha256(data).hexdigest() != expected:
        raise UntrustedMetadata("the policy is not the one that is signed")
    # A repository whose home has no trust policy signs an empty one: nothing is allowed then.
    return list(load_documents(data, source=POLICY_PATH)) if data.strip() else []


def _read_bundle(path: Path) -> MetadataSource:
    from notary.bundles import MAX_BUNDLE_BYTES, parse_bundle

    try:
        return parse_bundle(_read(path, MAX_BUNDLE_BYTES))
    except InvalidMetadata as error:
        raise UntrustedMetadata(f"{path}: {error}") from None


def _authorities(path: Path | None) -> bytes | None:
    return None if path is None else _read(path, MAX_AUTHORITIES)


def _read(path: Path, limit: int) -> bytes:
    try:
        with open_to_read(path) as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise NotFound(f"no file {path}") from None
    except OSError as error:
        raise Unavailable(f"{path} could not be read: {error.strerror}", hint="check its owner and mode") from None
    if len(data) > limit:
        raise UsageProblem(f"expected at most {limit} bytes in {path}")
    return data
