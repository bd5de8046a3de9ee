"""The client's way from a pinned root to fresh metadata, and through the delegations to one target.

The rules of each step are python-tuf's (``TrustedMetadataSet``; TUF specification 1.0, section 5.3 to 5.7). What is
stricter here: metadata is read as strict JSON first, signatures are lower-case hex, a role whose keys are one key
under two ids is refused, a timestamp of the same version with other content is refused, and time never goes back
behind what signed metadata has shown. Where bytes come from and where they are kept are ports; the hour is an
argument.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from tuf.api import exceptions
from tuf.api.metadata import Metadata, Root, Targets, Timestamp
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from notary.delegations import DelegationIndex
from notary.envelopes import (
    ROLE_NAME,
    ROOT_BYTES,
    SNAPSHOT_BYTES,
    TARGETS_BYTES,
    TIMESTAMP_BYTES,
    check_envelope,
    key_word,
    passed_over,
    verify_distinct_keys,
    worded,
)
from notary.errors import (
    InvalidMetadata,
    MetadataMissing,
    NotaryError,
    UntrustedMetadata,
)
from notary.roles import MARK, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, file_name

MAX_ROOT_ROTATIONS: Final = 256
MAX_DELEGATIONS: Final = 32
CLOCK: Final = "clock"
DEFAULT_BUNDLE_TTL: Final = 604_800
MAX_BUNDLE_TTL: Final = 366 * 86_400

_FLOOR_STEP: Final = timedelta(minutes=10)
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)


class MetadataSource(Protocol):
    """Where published metadata comes from."""

    def fetch(self, name: str, limit: int) -> bytes | None:
        """Bring a file by its published name, at most ``limit`` bytes; None where there is none of that name.

        Raises whatever its adapter raises where no usable answer comes.
        """


class MetadataCache(Protocol):
    """What is kept between runs, by file name; nothing in it is believed before it is verified again."""

    def load(self, name: str) -> bytes | None:
        """Return a kept file, None where there is none that can be read."""

    def save(self, name: str, data: bytes) -> None:
        """Keep a file; where that cannot be done it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A target: the role that answered, who delegated to that role, and one word for each key that signed it."""

    role: str
    delegator: str
    target: dict[str, Any]
    signers: frozenset[str]


class FreshMetadata:
    """Verified top-level metadata that has not expired, from which roles are loaded as they are asked for.

    Args:
        root: bytes of the pinned root.
        source, cache: ports.
        now: the hour.
        is_bundle: the source is an offline bundle, whose timestamp carries a mark and a bounded life.

    Raises:
        NotTrusted: the answer is wrong; its class says how.
        MetadataMissing: there is no answer.
    """

    def __init__(
        self,
        root: bytes,
        *,
        source: MetadataSource,
        cache: MetadataCache,
        now: datetime,
        is_bundle: bool = False,
    ) -> None:
        self._source = source
        self._cache = cache
        self._is_bundle = is_bundle
        self._floor = _floor_of(cache.load(CLOCK))
        self._now = max(now, self._floor)
        self._indexes: dict[tuple[str, str], DelegationIndex] = {}
        self._signers: dict[tuple[str, str], frozenset[str]] = {}
        with worded("the pinned root", None):
            check_envelope(root, ROOT_BYTES)
            self._set = TrustedMetadataSet(root, EnvelopeType.METADATA)
        self._set.reference_time = self._now
        self._follow_roots()
        self._take_timestamp()
        self._take_snapshot()
        self.load(TARGETS, ROOT)
        self._raise_floor(self._now)

    @property
    def root(self) -> Root:
        """The newest root."""
        return self._set.root

    @property
    def targets(self) -> Targets:
        """The top-level targets."""
        return self._set.targets

    @property
    def expires(self) -> datetime:
        """When the timestamp ends: until then these answers count."""
        return self._set.timestamp.expires.astimezone(UTC)

    @property
    def ends(self) -> datetime:
        """When the first of the roles that are loaded so far ends; before that, asking again gives the same answers."""
        return min(signed.expires for signed in self._set).astimezone(UTC)

    def find(self, path: str) -> Found | None:
        """Look a target up through the delegations, in their order (specification, section 5.6.7).

        Raises:
            NotTrusted: a role on the way is wrong.
            MetadataMissing: a role on the way cannot be had.
        """
        for role, delegator, targets in self._walk(path):
            found = targets.targets.get(path)
            if found is not None:
                signers = self._signers[role, delegator]
                return Found(role=role, delegator=delegator, target=found.to_dict(), signers=signers)
        return None

    def role_of(self, name: str, path: str) -> tuple[Targets, frozenset[str]] | None:
        """Look a role of the top level up by name, on the way that the search for a path takes; errors as ``find``.

        Returns:
            its metadata and its signers as ``Found`` has them, None where the search does not come by.
        """
        for role, delegator, targets in self._walk(path):
            if (role, delegator) == (name, TARGETS):
                return targets, self._signers[role, delegator]
        return None

    def _walk(self, path: str) -> Iterator[tuple[str, str, Targets]]:
        to_visit, visited = [(TARGETS, ROOT)], set[str]()
        while to_visit and len(visited) <= MAX_DELEGATIONS:
            role, delegator = to_visit.pop()
            if role in visited or not self._is_published(role):
                continue
            visited.add(role)
            targets = self.load(role, delegator)
            yield role, delegator, targets
            children = []
            for child, is_terminating in self._children_of(role, delegator, targets).of(path):
                children.append((child, role))
                if is_terminating:
                    to_visit = []
                    break
            to_visit += reversed(children)

    def _children_of(self, role: str, delegator: str, targets: Targets) -> DelegationIndex:
        index = self._indexes.get((role, delegator))
        if index is None:
            index = self._indexes[role, delegator] = DelegationIndex(targets.delegations)
        return index

    def load(self, role: str, delegator: str) -> Targets:
        """Load a role as one delegator vouches for it.

        Raises:
            NotTrusted, MetadataMissing: as ``find``.
        """
        if self._set.contains(role, delegator):
            loaded: Targets = self._set[role]  # type: ignore[assignment]  # only targets are asked for here
            return loaded
        name = file_name(role, 1).removeprefix("1.")
        above = self._set[delegator]
        with worded(f"{role[:100]!a}" if not ROLE_NAME.fullmatch(role) else role, None):
            if not ROLE_NAME.fullmatch(role):
                raise InvalidMetadata("expected a role with the name of a repository")
            if not isinstance(above, Root | Targets):
                raise InvalidMetadata(f"expected {delegator} to delegate")
            verify_distinct_keys(above, role)
        kept = self._cache.load(name)
        if kept is not None and self._is_loaded(kept, role, delegator):
            self._note_signers(above, role, delegator, kept)
            return self.load(role, delegator)
        meta = self._set.snapshot.meta[f"{role}.json"] if self._is_published(role) else None
        if meta is None:
            raise MetadataMissing(f"the snapshot lists no {role}")
        data = self._fetch(file_name(role, meta.version), meta.length or TARGETS_BYTES, role)
        with worded(role, None):
            check_envelope(data, TARGETS_BYTES)
            self._set.update_delegated_targets(data, role, delegator)
        self._note_signers(above, role, delegator, data)
        self._cache.save(name, data)
        return self.load(role, delegator)

    def _raise_floor(self, hour: datetime) -> None:
        """Keep an hour that has been, so that a clock set back brings no dead metadata to life.

        It never passes the end of signed metadata: a clock that was set ahead by mistake costs a timestamp's life.
        """
        shown = min(hour, self.expires)
        if shown >= self._floor + _FLOOR_STEP or (shown > self._floor and hour > shown):
            self._cache.save(CLOCK, f"{shown:%Y-%m-%dT%H:%M:%SZ}\n".encode())

    def _is_loaded(self, kept: bytes, role: str, delegator: str) -> bool:
        try:
            check_envelope(kept, TARGETS_BYTES)
            self._set.update_delegated_targets(kept, role, delegator)
        except (exceptions.RepositoryError, NotaryError, ValueError, TypeError, KeyError):
            return False
        return True

    def _is_published(self, role: str) -> bool:
        return f"{role}.json" in self._set.snapshot.meta

    def _note_signers(self, above: Root | Targets, role: str, delegator: str, data: bytes) -> None:
        metadata = Metadata[Targets].from_bytes(data)
        signed = above.get_verification_result(role, metadata.signed_bytes, metadata.signatures).signed
        self._signers[role, delegator] = frozenset(key_word(key) for key in signed.values())

    def _follow_roots(self) -> None:
        """Section 5.3: each root names the next, signed by both; kept ones are verified like new ones."""
        first = self._set.root.version + 1
        for version in range(first, first + MAX_ROOT_ROTATIONS):
            name = file_name(ROOT, version)
            kept = self._cache.load(name)
            if kept is not None and self._is_next_root(kept):
                continue
            data = self._source.fetch(name, ROOT_BYTES)
            if data is None:
                break
            with worded(f"root {version}", None):
                check_envelope(data, ROOT_BYTES)
                self._set.update_root(data)
            self._cache.save(name, data)
        else:
            raise UntrustedMetadata(
                f"expected at most {MAX_ROOT_ROTATIONS} roots after the pinned one, got more",
                hint="pin a newer root: swarmsec trust pin FILE",
            )
        with worded(ROOT, None):
            for role in (ROOT, TARGETS, SNAPSHOT, TIMESTAMP):
                verify_distinct_keys(self._set.root, role)
            if not self._set.root.consistent_snapshot:
                raise InvalidMetadata("expected a repository with consistent snapshots")

    def _is_next_root(self, kept: bytes) -> bool:
        try:
            check_envelope(kept, ROOT_BYTES)
            self._set.update_root(kept)
        except (exceptions.RepositoryError, NotaryError, ValueError, TypeError, KeyError):
            return False
        return True

    def _take_timestamp(self) -> None:
        """Section 5.4; a kept one only forbids to go back, even where it has expired."""
        name = file_name(TIMESTAMP, 0)
        kept = None if self._is_bundle else self._cache.load(name)
        if kept is not None:
            with passed_over():
                check_envelope(kept, TIMESTAMP_BYTES)
                self._set.update_timestamp(kept)
        data = self._fetch(name, TIMESTAMP_BYTES, TIMESTAMP)
        with worded(TIMESTAMP, self._shown_end):
            parsed = check_envelope(data, TIMESTAMP_BYTES)
            self._verify_mark(parsed["signed"].get(MARK))
            try:
                self._set.update_timestamp(data)
            except exceptions.EqualVersionNumberError:
                self._verify_same(kept, data)
                return
            except exceptions.ExpiredMetadataError:
                if TIMESTAMP in self._set:
                    self._raise_floor(self._now)
                raise
        if not self._is_bundle:
            self._cache.save(name, data)

    def _verify_same(self, kept: bytes | None, data: bytes) -> None:
        """Nobody honest signs one version twice with different content."""
        same = (
            kept is not None
            and check_envelope(kept, TIMESTAMP_BYTES)["signed"] == check_envelope(data, TIMESTAMP_BYTES)["signed"]
        )
        if not same:
            raise UntrustedMetadata("timestamp of the same version has other content than before")
        if self._set.timestamp.is_expired(self._now):
            self._raise_floor(self._now)
            raise exceptions.ExpiredMetadataError("timestamp.json is expired")

    def _verify_mark(self, mark: object) -> None:
        """A bundle's timestamp lives longer than a server's, so neither may be shown as the other."""
        is_marked = isinstance(mark, dict) and mark.get("bundle") is not None
        if is_marked and not self._is_bundle:
            raise UntrustedMetadata("expected a timestamp of a repository, got one that is for bundles only")
        if not self._is_bundle:
            return
        if not is_marked or mark["bundle"] is not True:  # type: ignore[index]  # it is a dict where it is marked
            raise UntrustedMetadata("expected a timestamp that is made for bundles, got another")

    def _shown_end(self) -> datetime | None:
        shown = self._set.get(TIMESTAMP)
        return shown.expires.astimezone(UTC) if isinstance(shown, Timestamp) else None

    def _take_snapshot(self) -> None:
        """Section 5.5; a kept one is used where it is the one that is named, and forbids to go back where not."""
        if self._is_bundle:
            self._verify_bundle_life()
        name = f"{SNAPSHOT}.json"
        kept = self._cache.load(name)
        meta = self._set.timestamp.snapshot_meta
        if kept is not None:
            with passed_over():
                check_envelope(kept, SNAPSHOT_BYTES)
                self._set.update_snapshot(kept, trusted=True)
                return
        data = self._fetch(file_name(SNAPSHOT, meta.version), meta.length or SNAPSHOT_BYTES, SNAPSHOT)
        with worded(SNAPSHOT, None):
            check_envelope(data, SNAPSHOT_BYTES)
            self._set.update_snapshot(data)
        self._cache.save(name, data)

    def _verify_bundle_life(self) -> None:
        mark = self._set.root.unrecognized_fields.get(MARK)
        ceiling = mark.get("bundle_ttl_max_seconds") if isinstance(mark, dict) else None
        if not isinstance(ceiling, int) or not 0 < ceiling <= MAX_BUNDLE_TTL:
            ceiling = DEFAULT_BUNDLE_TTL
        if self.expires - self._now > timedelta(seconds=ceiling):
            raise UntrustedMetadata(f"expected a bundle that ends within {ceiling} s, as root allows, got a longer one")

    def _fetch(self, name: str, limit: int, what: str) -> bytes:
        data = self._source.fetch(name, limit)
        if data is None:
            raise MetadataMissing(f"no {what} metadata: {name} is not there", hint="check the address")
        if len(data) > limit:
            raise UntrustedMetadata(f"expected at most {limit} bytes of {what} metadata, got more")
        return data


def verify_first_root(data: bytes) -> None:
    """Check that bytes are a root which its own keys signed; that it is the right one, only a person knows.

    Raises:
        NotTrusted: they are not.
    """
    with worded("the root", None):
        check_envelope(data, ROOT_BYTES)
        root = TrustedMetadataSet(data, EnvelopeType.METADATA).root
        verify_distinct_keys(root, ROOT)


def _floor_of(kept: bytes | None) -> datetime:
    """The hour that is kept; what cannot be read is no hour, as if the cache were new."""
    try:
        return datetime.strptime((kept or b"").decode("ascii"), "%Y-%m-%dT%H:%M:%SZ\n").replace(tzinfo=UTC)
    except ValueError:
        return _BEGINNING
