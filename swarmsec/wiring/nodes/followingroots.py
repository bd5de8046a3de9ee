"""The node's side of a root rotation: learn which roots to trust, and when it is one's turn for a new certificate.

A new root is believed only over a connection that a trusted one verified, and only with a cross-certificate that a
trusted one signed. That the node trusts it is said at once: what is done next waits for everybody's word.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from swarmsec.errors import Denied
from swarmsec.wiring.nodes.answers import answered_bundle
from swarmsec.wiring.nodes.authorityclient import ask
from swarmsec.wiring.nodes.conversation import Conversation
from swarmsec.wiring.nodes.nodefiles import NodeFiles, write_roots, writing

PATH: Final = "/api/v1/node/check"
MAX_RETRY_SECONDS: Final = 3600
_ROUNDS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What the authority said."""

    files: NodeFiles
    """With the roots that are trusted now."""
    renew: bool
    """Whether the certificate is to be replaced now, since another root issues."""
    retry_after: int
    """Seconds until it should be asked again; 0 where it does not matter."""
    phase: str
    """Of the rotation under way; empty for none."""
    has_new_roots: bool


def check_roots(base: str, files: NodeFiles, *, now: Callable[[], datetime], over: Conversation) -> Checked:
    """Ask which roots to trust, and store them where they are others.

    Args:
        base: from ``authorityclient.parse_server``.
        files: of the node; the caller holds its directory.
        now: the wall clock.
        over: with what else the node asks in this look.

    Raises:
        Denied: the answer is not to be believed, or the authority refuses.
        Unavailable: the authority cannot be reached, or the roots cannot be written.
    """
    known = files.roots
    for _ in range(_ROUNDS):
        members = {"roots_sha256": hashlib.sha256(files.roots).hexdigest()}
        answer = ask(base, PATH, members, roots=files.roots, pair=files.pair, over=over)
        bundle = answered_bundle(answer, trusted=files.roots, now=now())
        if bundle == files.roots:
            break
        with writing(files.directory):
            write_roots(files.directory, bundle, files.kind)
        files = replace(files, roots=bundle)
    return _checked(answer, files, has_new_roots=files.roots != known)


def _checked(answer: dict[str, Any], files: NodeFiles, *, has_new_roots: bool) -> Checked:
    match answer:
        case {"renew": bool(renew), "retry_after": int(retry_after), "phase": str(phase)} if retry_after >= 0:
            return Checked(
                files=files,
                renew=renew,
                retry_after=min(retry_after, MAX_RETRY_SECONDS),
                phase="".join(character for character in phase[:40] if character.isprintable()),
                has_new_roots=has_new_roots,
            )
        case _:
            raise Denied(
                "the authority did not say whether to renew", hint="it may be older than this program: update it first"
            )
