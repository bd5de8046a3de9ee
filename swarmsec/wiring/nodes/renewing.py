"""Renewing as a node, driver or agent does it: when it is time, with a key made here, shown the present certificate.

The moment lies in SwarmKit's window (``ca.renewal``). Where in it is drawn once for each certificate and kept beside
it, so that asking every minute does not draw until it suits.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ca.bundle import parse_bundle
from ca.identity import NodeIdentity, identity_of
from ca.renewal import renewal_time
from swarmsec.atomicfile import write_atomically
from swarmsec.errors import Denied, SwarmsecError, Unavailable, UsageProblem, describe
from swarmsec.openedfile import open_to_read
from swarmsec.wiring.nodes.answers import Issued, verify_answer
from swarmsec.wiring.nodes.authorityclient import ask, parse_server, signing_request
from swarmsec.wiring.nodes.conversation import Conversation
from swarmsec.wiring.nodes.filekinds import NODE_FILES, FileKind
from swarmsec.wiring.nodes.followingroots import Checked, check_roots
from swarmsec.wiring.nodes.nodefiles import (
    NodeFiles,
    alone,
    common_name,
    make_key,
    open_node_files,
    present_certificate,
    replace_pair,
    write_roots,
    writing,
)

_PARTS: Final = 1_000_000
_LOOKS_IN_A_LIFE: Final = 50
_LEAST_PAUSE: Final = timedelta(seconds=1)
KEPT_SECONDS: Final = 60
"""A connection is kept until a look that is this near; ``serve`` lets one be idle for longer."""
Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """What a node, driver or agent has now, and whether it is new."""

    certificate: x509.Certificate
    is_new: bool
    due: datetime
    """When the certificate is to be renewed, UTC."""

    @property
    def identity(self) -> NodeIdentity:
        """Who a node is; an identity is none."""
        return identity_of(self.certificate)

    @property
    def name(self) -> str:
        """A node's id, or the name of an identity."""
        return common_name(self.certificate)


def utc_now() -> datetime:
    """The wall clock."""
    return datetime.now(UTC)


def renew(
    server: str, directory: Path, *, if_due: bool = False, now: Now = utc_now, kind: FileKind = NODE_FILES
) -> Renewal:
    """Renew a certificate.

    Args:
        server: ``https://HOST:PORT`` of the authority.
        directory: of the files.
        if_due: leave a certificate alone whose moment has not come, unless the authority's root changes. An authority
            that cannot be reached does not matter then.
        now: the wall clock.
        kind: whether they are a node's files or an identity's.

    Raises:
        NotFound: the directory holds no such files.
        UsageProblem: the address, or files that are not a node's.
        Denied: the certificate has expired, or the authority refuses.
        Unavailable: the authority cannot be reached, a file cannot be written, or another process is at work.
    """
    base = parse_server(server)
    with alone(directory), Conversation() as over:
        files = open_node_files(directory, kind)
        _verify_renewable(files, now())
        due = due_time(files)
        may_wait = if_due and now() < due
        checked = _check(base, files, now, over)
        if may_wait and not (checked and checked.renew):
            return Renewal(certificate=files.pair.certificate, is_new=False, due=due)
        phase = checked.phase if checked else ""
        return _renew(base, checked.files if checked else files, now, over, phase=phase)


def keep_renewed(
    server: str,
    directory: Path,
    *,
    every: timedelta,
    stop: threading.Event,
    tell: Callable[[str], None],
    now: Now = utc_now,
    kind: FileKind = NODE_FILES,
) -> None:
    """Renew when it is time, and at once when the authority has other roots than the node, until told to stop.

    The connection is kept from one look to the next where that is near: a handshake costs both sides more than a look.

    Args:
        every: how often to look; more often where a certificate's life is short against it.
        stop: ends the work after what is under way.
        tell: called with each line for the operator; a problem that stays is told once.
        now: the wall clock.
        kind: whether they are a node's files or an identity's.

    Raises:
        UsageProblem: the address is none.
    """
    base = parse_server(server)
    told = ""
    with Conversation() as over:
        while not stop.is_set():
            is_well, retry_after = False, 0
            try:
                look = _look(base, directory, now, kind, over)
                is_well, line, retry_after = True, look.line, look.retry_after
            except Exception as error:
                description = describe(error)
                if description.kind.word == "defect":
                    raise
                line = f"not renewed: {description.text}" + (f" ({description.hint})" if description.hint else "")
            if line and line != told:
                tell(line)
            told = line
            pause = _pause(directory, every, kind).total_seconds()
            pause = min(retry_after or pause, pause)
            if not is_well or pause > KEPT_SECONDS:
                over.close()
            stop.wait(pause)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One round: what happened, or nothing, and in how many seconds to look again, or 0."""

    line: str
    retry_after: int = 0


def _look(base: str, directory: Path, now: Now, kind: FileKind, over: Conversation) -> _Look:
    with alone(directory):
        files = open_node_files(directory, kind)
        _verify_renewable(files, now())
        checked = check_roots(base, files, now=now, over=over)
        if now() < due_time(files) and not checked.renew:
            line = f"trusts {_count(checked.files.roots)} from now on" if checked.has_new_roots else ""
            return _Look(line=line, retry_after=checked.retry_after)
        renewed = _renew(base, checked.files, now, over, phase=checked.phase)
    serial = f"{renewed.certificate.serial_number:x}"
    line = f"renewed {renewed.name}: {serial}, due {renewed.due:%Y-%m-%dT%H:%M:%SZ}"
    return _Look(line=line, retry_after=checked.retry_after)


def _count(roots: bytes) -> str:
    names = [f"{root.fingerprint(hashes.SHA256()).hex()[:16]}" for root in parse_bundle(roots)]
    return f"the root{'s' if len(names) > 1 else ''} {' and '.join(names)}"


def _check(base: str, files: NodeFiles, now: Now, over: Conversation) -> Checked | None:
    """Ask which roots to trust; who cannot be reached now is asked another time."""
    try:
        return check_roots(base, files, now=now, over=over)
    except Unavailable:
        return None


def _pause(directory: Path, every: timedelta, kind: FileKind) -> timedelta:
    """How long to wait: a life of minutes leaves its last fifth for all tries, so each is a tenth of that apart."""
    try:
        certificate = present_certificate(directory, kind)
    except SwarmsecError:
        return every
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    return min(every, max(life / _LOOKS_IN_A_LIFE, _LEAST_PAUSE))


def due_time(files: NodeFiles) -> datetime:
    """When a node's certificate is to be renewed; drawn now if it was not yet.

    Raises:
        Unavailable: what is drawn cannot be kept.
    """
    certificate = files.pair.certificate
    sha256 = certificate.fingerprint(hashes.SHA256()).hex()
    path = files.directory / files.kind.window
    with writing(files.directory):
        part = _kept_part(path, sha256)
        if part is None:
            part = secrets.randbelow(_PARTS)
            write_atomically(path, f"{sha256} {part}\n".encode(), mode=0o644)
    return renewal_time(certificate.not_valid_before_utc, certificate.not_valid_after_utc, part / _PARTS)


def _kept_part(path: Path, sha256: str) -> int | None:
    """What was drawn for this certificate; anything else in the file is drawn anew."""
    try:
        with open_to_read(path) as file:
            kept, _, digits = file.read(128).decode("ascii", "replace").rstrip("\n").partition(" ")
    except FileNotFoundError:
        return None
    if kept != sha256 or not (digits.isdecimal() and digits.isascii() and len(digits) <= len(str(_PARTS - 1))):
        return None
    return int(digits)


def _verify_renewable(files: NodeFiles, now: datetime) -> None:
    certificate = files.pair.certificate
    if files.is_docker_s_key:
        raise UsageProblem(
            f"the key in {files.directory} is kept by Docker, with more than a key in its file",
            hint="a node of a Swarm renews by itself",
        )
    if now < certificate.not_valid_before_utc:
        raise Denied(
            f"the certificate counts only from {certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}",
            hint="check this machine's clock",
        )
    if now >= certificate.not_valid_after_utc:
        raise Denied(
            f"the certificate of {files.name} expired at {certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
            hint=files.kind.way_back.format(name=files.name),
        )


def _renew(base: str, files: NodeFiles, now: Now, over: Conversation, *, phase: str) -> Renewal:
    directory, kind = files.directory, files.kind
    with writing(directory):
        # The key is on disk before anybody is asked: an answer that is lost is asked for again with the same key.
        key = make_key(directory / kind.next_key)
        members = {"csr": signing_request(key)}
        answer = ask(base, "/api/v1/node/renew", members, roots=files.roots, pair=files.pair, over=over)
        issued = verify_answer(answer, key.public_key(), trusted=files.roots, now=now(), subject_of=kind.subject_of)
        verify_same_node(files.pair.certificate, issued)
        if issued.bundle != files.roots:
            write_roots(directory, issued.bundle, kind)
        replace_pair(directory, issued.chain, kind)
    renewed = open_node_files(directory, kind)
    if phase:
        # A rotation waits until a node was seen with its new certificate.
        _check(base, renewed, now, over)
    return Renewal(certificate=issued.certificate, is_new=True, due=due_time(renewed))


def verify_same_node(former: x509.Certificate, issued: Issued) -> None:
    """Hold an answer against who was there before.

    Raises:
        Denied: it is for another name, or of another role or cluster.
    """
    if issued.certificate.subject != former.subject:
        raise Denied(
            f"the authority answered with a certificate of another than {common_name(former)}",
            hint="report this to its operator",
        )
