"""Errors of swarmsec and the one table from an error to what the outside sees.

    SwarmsecError
    ├── Denied            a decision against the caller
    ├── UsageProblem      wrong arguments, configuration or request
    ├── NotFound          the named thing does not exist
    ├── AlreadyExists     the named thing exists
    ├── Changed           somebody changed it meanwhile
    ├── Unavailable       could not tell or do: unreachable, timeout, locked, busy, full, unreadable
    │   ├── KeyUnavailable    a private key cannot be used now, while the store can
    │   └── TooManyAttempts   limited, with the time to wait
    └── IntegrityFailure  our own log, store or backup fails its check

Errors of the leaves (``ca``, ``notary``, ``policies``) carry no knowledge of exit codes; ``describe`` files them
under one of these kinds. Exit codes are part of the command line's contract (docs/cli.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What sort of answer an error is; each carries its exit code, HTTP status and public word."""

    DENIED = (1, 403, "denied")
    UNAUTHENTICATED = (1, 401, "unauthenticated")
    USAGE = (2, 400, "invalid")
    NOT_FOUND = (2, 404, "not_found")
    EXISTS = (2, 409, "already_exists")
    CHANGED = (2, 412, "changed")
    UNAVAILABLE = (3, 503, "unavailable")
    LIMITED = (3, 429, "too_many_attempts")
    INTEGRITY = (4, 500, "integrity")
    DEFECT = (70, 500, "defect")

    @property
    def exit_code(self) -> int:
        """The process exit code of the command line."""
        return int(self.value[0])

    @property
    def http_status(self) -> int:
        """The HTTP status of the server."""
        return int(self.value[1])

    @property
    def word(self) -> str:
        """The machine-readable word in JSON errors."""
        return str(self.value[2])


class SwarmsecError(Exception):
    """Base of every refusal that swarmsec words itself.

    Args:
        message: what was expected and what was found, lower case, no full stop, never a secret.
        hint: what to do next, as one sentence or command.
    """

    kind = Kind.DEFECT

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class Denied(SwarmsecError):
    """A decision against the caller."""

    kind = Kind.DENIED


class Unauthenticated(SwarmsecError):
    """The caller did not prove who they are."""

    kind = Kind.UNAUTHENTICATED


class UsageProblem(SwarmsecError):
    """Arguments, configuration or a request that cannot be meant."""

    kind = Kind.USAGE


class NotFound(SwarmsecError):
    """The named thing does not exist."""

    kind = Kind.NOT_FOUND


class AlreadyExists(SwarmsecError):
    """The named thing exists already."""

    kind = Kind.EXISTS


class Changed(SwarmsecError):
    """Somebody changed the thing since it was read."""

    kind = Kind.CHANGED


class Unavailable(SwarmsecError):
    """Could not tell or do: unreachable, timeout, locked, busy, full or unreadable."""

    kind = Kind.UNAVAILABLE


class KeyUnavailable(Unavailable):
    """A private key cannot be used now: its token is away."""


class TooManyAttempts(Unavailable):
    """The caller must wait; ``retry_after`` is in whole seconds."""

    kind = Kind.LIMITED

    def __init__(self, message: str, *, retry_after: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint or f"try again in {retry_after} s")
        self.retry_after = retry_after


class IntegrityFailure(SwarmsecError):
    """Our own log, store or backup fails its integrity check."""

    kind = Kind.INTEGRITY


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What the outside is told about an error."""

    kind: Kind
    text: str
    hint: str | None
    retry_after: int | None = None


def describe(error: BaseException) -> Description:
    """File any error under its kind.

    Args:
        error: what was raised, from any layer.

    Returns:
        the description to render; an error that nobody worded is a defect and its own text is not shown.
    """
    if isinstance(error, SwarmsecError):
        retry_after = error.retry_after if isinstance(error, TooManyAttempts) else None
        return Description(kind=error.kind, text=str(error), hint=error.hint, retry_after=retry_after)
    kind = _leaf_kind(error)
    if kind is not None:
        return Description(kind=kind, text=str(error), hint=getattr(error, "hint", None))
    return Description(
        kind=Kind.DEFECT,
        text=f"unexpected {type(error).__name__}",
        hint="this is a defect of swarmsec; run again with -v and report what it prints",
    )


def _leaf_kind(error: BaseException) -> Kind | None:
    """Sort the leaves' errors; imported here because most commands never meet them."""
    import ca.errors as ca_errors
    import notary.errors as notary_errors
    import policies.errors as policy_errors

    table: tuple[tuple[type[Exception], Kind], ...] = (
        (ca_errors.InvalidToken, Kind.USAGE),
        (ca_errors.RequestRefused, Kind.DENIED),
        (ca_errors.CaError, Kind.USAGE),
        (notary_errors.NotTrusted, Kind.DENIED),
        (notary_errors.MetadataMissing, Kind.UNAVAILABLE),
        (notary_errors.NotaryError, Kind.USAGE),
        (policy_errors.PolicyDenied, Kind.DENIED),
        (policy_errors.PolicyError, Kind.USAGE),
    )
    for leaf_error, kind in table:
        if isinstance(error, leaf_error):
            return kind
    return None
