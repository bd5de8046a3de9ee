"""The roles of the repository: what they are called, what they may speak of, how long they hold.

The layout (TUF specification 1.0, sections 2.1 and 4): ``root``, ``targets`` (delegations and the policy alone),
``snapshot``, ``timestamp``; below ``targets`` first ``revocations``, which every client consults and which does not
end the search, then one terminating role for each image repository. A role of a repository carries the repository's
name, and its only path pattern is that name with one more part: ``*`` does not cross a slash, so the role can speak of
its own tags and of nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from notary.errors import ChangeRefused, InvalidReference
from notary.reference import Algorithm, Digest, ImageReference, parse_tag

ROOT: Final = "root"
TARGETS: Final = "targets"
SNAPSHOT: Final = "snapshot"
TIMESTAMP: Final = "timestamp"
REVOCATIONS: Final = "revocations"
TOP_LEVEL: Final = (ROOT, TARGETS, SNAPSHOT, TIMESTAMP)
OWN_ROLES: Final = frozenset({*TOP_LEVEL, REVOCATIONS})

POLICY_PATH: Final = "policy/trust.yaml"
"""The trust policy as a target of the top-level targets, for bundles."""
REVOKED_PREFIX: Final = "revoked/"
REVOKED_PATTERN: Final = "revoked/*"
TIMESTAMP_FILE: Final = "timestamp.json"

MARK: Final = "x-swarmsec"
"""The member of root, of a bundle's timestamp and of targets that holds what is ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """How long each role's metadata holds after it is signed."""

    root: timedelta = timedelta(days=365)
    targets: timedelta = timedelta(days=365)
    repository: timedelta = timedelta(days=90)
    snapshot: timedelta = timedelta(days=7)
    timestamp: timedelta = timedelta(days=1)

    def of(self, role: str) -> timedelta:
        """The period of a role; ``revocations`` has that of repositories."""
        match role:
            case "root":
                return self.root
            case "targets":
                return self.targets
            case "snapshot":
                return self.snapshot
            case "timestamp":
                return self.timestamp
            case _:
                return self.repository


PERIODS: Final = Periods()


def role_of(reference: ImageReference) -> str:
    """The role that speaks for an image: its repository's name in full form."""
    return reference.repository


def parse_repository(text: str) -> str:
    """Parse the name of a repository, as people write it, to the name of its role.

    Raises:
        InvalidReference: it is none, or has a tag or digest.
    """
    reference = ImageReference.parse(text)
    if reference.tag is not None or reference.digest is not None:
        raise InvalidReference(f"expected a repository without tag and digest, got {text[:80]!r}")
    return reference.repository


def path_patterns(repository: str) -> list[str]:
    """The paths that a repository's role may speak of."""
    # NOTE: a domain in brackets (IPv6) would read as a set of characters (fnmatch), and match other names.
    if any(character in repository for character in "[]*?"):
        raise ChangeRefused(
            f"expected a registry without brackets, got {repository[:80]!r}", hint="give the registry a name"
        )
    return [f"{repository}/*"]


def target_path(repository: str, tag: str) -> str:
    """The target that says what a tag means."""
    return f"{repository}/{parse_tag(tag)}"


def revoked_path(digest: Digest) -> str:
    """The target that says that a digest is revoked.

    Raises:
        ChangeRefused: the digest is not SHA-256, which alone is signed here.
    """
    return f"{REVOKED_PREFIX}{sha256_of(digest)}"


def sha256_of(digest: Digest) -> str:
    """The hex digits of a SHA-256 digest.

    Raises:
        ChangeRefused: it is of another algorithm.
    """
    if digest.algorithm is not Algorithm.SHA256:
        raise ChangeRefused(f"expected a sha256 digest, got {digest.algorithm}")
    return digest.hex


def file_name(role: str, version: int) -> str:
    """The name of a role's file as clients ask for it, with consistent snapshots (section 3.6 of the specification).

    A role's name is percent-encoded whole, as python-tuf's client does; slash and colon are the only characters of a
    repository's name that it encodes.
    """
    quoted = role.replace("/", "%2F").replace(":", "%3A")
    return TIMESTAMP_FILE if role == TIMESTAMP else f"{version}.{quoted}.json"
