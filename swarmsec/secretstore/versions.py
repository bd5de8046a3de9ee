"""The versions of one secret: which there are, which one is current, and what a change makes of them.

Versions count from 1 and are never used twice. A version is ``pending`` while a rotation has not published it,
``live``, ``deleted`` (kept, not given out, can come back) or ``destroyed`` (its key is erased). ``current`` is what
is given out where nobody names a version. Deleting the current version does not bring an older one back: what was
withdrawn must not be replaced in silence by a credential that was replaced before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from swarmsec.secretstore.errors import SecretInvalid

DEFAULT_MAX_VERSIONS: Final = 10
MAX_VERSIONS_LIMIT: Final = 100
MAX_VALUE: Final = 511_999
"""Largest value in bytes: Docker takes less than 500 KiB (swarmkit ``MaxSecretSize``)."""
NONE: Final = 0


class VersionState(StrEnum):
    """The state of a version."""

    PENDING = "pending"
    LIVE = "live"
    DELETED = "deleted"
    DESTROYED = "destroyed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version as far as its place among the others goes."""

    number: int
    state: VersionState


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """All versions of a secret, oldest first; ``current`` and ``previous`` are numbers, 0 for none."""

    versions: tuple[Version, ...]
    current: int = NONE
    previous: int = NONE
    max_versions: int = DEFAULT_MAX_VERSIONS

    @property
    def newest(self) -> int:
        """The highest number given out; 0 before the first."""
        return self.versions[-1].number if self.versions else NONE

    @property
    def ended(self) -> tuple[int, ...]:
        """The versions that nobody gets any more."""
        over = {VersionState.DELETED, VersionState.DESTROYED}
        return tuple(version.number for version in self.versions if version.state in over)

    def state_of(self, number: int) -> VersionState | None:
        """The state of a version; None if it never was."""
        return next((version.state for version in self.versions if version.number == number), None)

    def added(self, *, pending: bool = False) -> History:
        """The history with one version more, which is current at once unless it is pending."""
        number = self.newest + 1
        state = VersionState.PENDING if pending else VersionState.LIVE
        grown = replace(self, versions=(*self.versions, Version(number=number, state=state)))
        return grown if pending else grown.published(number)

    def published(self, number: int) -> History:
        """The history with this version current and the one that was current as the previous one.

        Raises:
            SecretInvalid: the version is neither pending nor live.
        """
        if self.state_of(number) not in {VersionState.PENDING, VersionState.LIVE}:
            raise SecretInvalid(f"expected a pending or live version, got {self._named(number)}")
        if number == self.current:
            return self
        return replace(self.with_state([number], VersionState.LIVE), current=number, previous=self.current)

    def deleted(self, numbers: Sequence[int]) -> History:
        """The history with these versions kept but no longer given out.

        Raises:
            SecretInvalid: one of them is neither live nor deleted.
        """
        self._verify(numbers, {VersionState.LIVE, VersionState.DELETED}, "delete")
        return self.with_state(numbers, VersionState.DELETED)

    def undeleted(self, numbers: Sequence[int]) -> History:
        """The history with these versions given out again.

        Raises:
            SecretInvalid: one of them is neither deleted nor live.
        """
        self._verify(numbers, {VersionState.LIVE, VersionState.DELETED}, "undelete")
        return self.with_state(numbers, VersionState.LIVE)

    def destroyed(self, numbers: Sequence[int]) -> History:
        """The history with these versions gone for good.

        Raises:
            SecretInvalid: one of them never was.
        """
        self._verify(numbers, set(VersionState), "destroy")
        return self.with_state(numbers, VersionState.DESTROYED)

    def surplus(self) -> tuple[int, ...]:
        """The versions beyond ``max_versions``, oldest first; never the current, the previous or a pending one."""
        kept = [version for version in self.versions if version.state is not VersionState.DESTROYED]
        spared = {self.current, self.previous}
        surplus = kept[: max(0, len(kept) - self.max_versions)]
        return tuple(v.number for v in surplus if v.number not in spared and v.state is not VersionState.PENDING)

    def with_state(self, numbers: Sequence[int], state: VersionState) -> History:
        """The history with these versions in this state."""
        return replace(
            self,
            versions=tuple(
                replace(version, state=state) if version.number in numbers else version for version in self.versions
            ),
        )

    def _verify(self, numbers: Sequence[int], states: set[VersionState], verb: str) -> None:
        for number in numbers:
            if self.state_of(number) not in states:
                raise SecretInvalid(f"expected a version to {verb}, got {self._named(number)}")

    def _named(self, number: int) -> str:
        state = self.state_of(number)
        return f"version {number}, which never was" if state is None else f"version {number}, which is {state}"


def verify_max_versions(count: int) -> int:
    """Check how many versions are to be kept.

    Raises:
        SecretInvalid: not 1 to 100.
    """
    if not 1 <= count <= MAX_VERSIONS_LIMIT:
        raise SecretInvalid(f"expected 1 to {MAX_VERSIONS_LIMIT} versions to keep, got {count}")
    return count


def verify_value(size: int) -> None:
    """Check the size of a value in bytes.

    Raises:
        SecretInvalid: Docker would not take it.
    """
    if not 1 <= size <= MAX_VALUE:
        raise SecretInvalid(f"expected a value of 1 to {MAX_VALUE:,} bytes, got {size:,}")
