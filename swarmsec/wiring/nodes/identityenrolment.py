"""The side of a secret driver or node's agent: enrol with a token, and stay enrolled.

How a program uses it::

    enrol(server, token, directory, name)                  # once: swarmsec access enrol
    with kept_renewed(server, directory, tell=print):      # while it runs, in a thread of its own
        files = open_node_files(directory, IDENTITY_FILES) # before each connection: key pair and roots as they are now
        ask(parse_server(server), path, members, roots=files.roots, pair=files.pair)

As when a node joins, nothing is believed before the root bundle matches the token's digest, the key is made here, and
the same command goes on where it was interrupted, with the same key. The directory is what ``--identity`` takes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from ca.tokens import JoinToken
from swarmsec.atomicfile import make_private_directory
from swarmsec.errors import AlreadyExists
from swarmsec.wiring.nodes.answers import verify_answer
from swarmsec.wiring.nodes.authorityclient import ask, fetch_bundle, parse_server, printable, signing_request
from swarmsec.wiring.nodes.filekinds import IDENTITY_FILES
from swarmsec.wiring.nodes.nodefiles import (
    common_name,
    forget_renewal,
    make_key,
    write_certificate,
    write_roots,
    writing,
)
from swarmsec.wiring.nodes.renewing import keep_renewed

LOOK_EVERY: Final = timedelta(minutes=1)
_ENROL_PATH: Final = "/api/v1/access/enrol"


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledIdentity:
    """What was enrolled; everything is on disk. ``role`` is as the server said it."""

    name: str
    role: str
    certificate: x509.Certificate


def enrol(server: str, token_text: str, directory: Path, name: str | None) -> EnrolledIdentity:
    """Get the first certificate of a driver or agent.

    Args:
        server: ``https://HOST:PORT`` of the authority.
        token_text: of role driver or agent.
        directory: where the files go; made if missing.
        name: of the driver, or the agent's node; what the token says where it says one.

    Raises:
        UsageProblem: the server's address, or files that are something else.
        ca.errors.InvalidToken: not a token.
        AlreadyExists: the directory holds an identity.
        Denied: the authority is not the token's, or refuses.
        Unavailable: it cannot be reached, or a file cannot be written.
    """
    token = JoinToken.parse(token_text)
    base = parse_server(server)
    if (directory / IDENTITY_FILES.certificate).exists():
        present = directory / IDENTITY_FILES.certificate
        raise AlreadyExists(f"{present} exists", hint="name another --dir, or remove it to enrol again")
    bundle = fetch_bundle(base, token)
    with writing(directory):
        make_private_directory(directory)
        forget_renewal(directory, IDENTITY_FILES)
        key = make_key(directory / IDENTITY_FILES.key)
        members: dict[str, object] = {"token": token.format(), "csr": signing_request(key)}
        answer = ask(base, _ENROL_PATH, members | ({"name": name} if name is not None else {}), roots=bundle)
        subject_of = IDENTITY_FILES.subject_of
        issued = verify_answer(answer, key.public_key(), trusted=bundle, now=datetime.now(UTC), subject_of=subject_of)
        write_roots(directory, issued.bundle, IDENTITY_FILES)
        write_certificate(directory, issued.chain, IDENTITY_FILES)
    return EnrolledIdentity(
        name=common_name(issued.certificate), role=printable(answer.get("role")), certificate=issued.certificate
    )


@contextmanager
def kept_renewed(
    server: str, directory: Path, *, tell: Callable[[str], None], every: timedelta = LOOK_EVERY
) -> Iterator[None]:
    """Keep an identity enrolled while something else is done: renewed when due, and with the roots of a rotation.

    Args:
        server, directory: as for ``enrol``.
        tell: called in the thread that renews, with each line for the operator.
        every: how often to look.

    Raises:
        UsageProblem: the address is none.
    """
    base, stop = parse_server(server), threading.Event()
    thread = threading.Thread(
        target=keep_renewed,
        args=(base, directory),
        kwargs={"every": every, "stop": stop, "tell": tell, "kind": IDENTITY_FILES},
        name="renewal",
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        # NOTE: who is stopped in the middle of a renewal finds both pairs on disk, and goes on with the newer one.
        stop.set()
        thread.join(timeout=1.0)
