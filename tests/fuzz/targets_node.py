"""Targets on the other side: what a server answers to a node or a command, and what a person types."""

from __future__ import annotations

import io
import json
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import click

from ca import pem
from ca.bundle import parse_bundle, write_bundle
from ca.errors import InvalidRequest
from ca.tokens import JoinToken
from swarmsec.cli.root import root
from swarmsec.errors import Denied, NotFound, SwarmsecError, Unavailable, UsageProblem
from swarmsec.keys.errors import WrongUnlock
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.log.read_log import parse_action, parse_since
from swarmsec.wiring.homes.unlocking import SOCKET_NAME, root_of_running_server, unlock_running_server
from swarmsec.wiring.nodes import answers, authorityclient, enrolment, renewing
from swarmsec.wiring.nodes.filekinds import NODE_FILES
from swarmsec.wiring.nodes.nodefiles import CERTIFICATE, KEY, NEXT_CERTIFICATE, ROOTS, open_node_files
from swarmsec.wiring.serving.session import Listening
from tests.fuzz.engine import CheckFailed, Target
from tests.fuzz.material import LEAF_PEM, NODE, NODE_SIGNER, PASSWORD, ROOT_PEM, ROOT_SIGNER, SECRET, signed, text_of
from tests.fuzz.targets_ca import DER_WORDS, LEAF_TBS, PEM_WORDS, TOKEN

_NOW_MS = 1_777_000_000_000
_NOW = datetime.fromtimestamp(_NOW_MS // 1000, UTC)
_LENGTH = struct.Struct(">I")


def _server_url(data: bytes) -> None:
    """An address with a login must not be repeated; one without holds no secret."""
    text = text_of(data)
    try:
        base = authorityclient.parse_server(text)
    except UsageProblem as error:
        if "@" in text and PASSWORD in str(error):
            raise CheckFailed("expected no password in the error") from None
        raise
    if authorityclient.parse_server(base) != base or not base.isprintable():
        raise CheckFailed("expected one address of a server")


def _answer(data: bytes) -> None:
    """An answer to a join: its status in three digits, then its body. A refusal is repeated to the person."""
    status, body = int.from_bytes(data[:2], "big") % 600, data[2:]
    with patch.object(authorityclient, "_call", lambda *_, **__: (status, body)):
        issued = enrolment._redeem("https://a", ROOT_PEM, JoinToken.parse(TOKEN), NODE_SIGNER.key, None)
    if isinstance(issued, enrolment.Held):
        if not issued.node_id.isprintable() or not 1 <= issued.seconds <= enrolment.MAX_PAUSE_SECONDS:
            raise CheckFailed("expected a wait that is bounded")
        return
    _verify_ours(issued)


def _verify(answer: dict[str, object]) -> None:
    _verify_ours(answers.verify_answer(answer, NODE_SIGNER.key.public_key(), trusted=ROOT_PEM, now=_NOW))


def _verify_ours(issued: answers.Issued) -> None:
    issued.certificate.verify_directly_issued_by(parse_bundle(ROOT_PEM)[0])
    if issued.certificate.public_key() != NODE_SIGNER.key.public_key():
        raise CheckFailed("expected our own key in our certificate")


def _answer_signed(data: bytes) -> None:
    """What is signed of a node's certificate, signed by the root: the authority itself is what is wrong."""
    certificate = pem.write_block(signed(data, ROOT_SIGNER), "CERTIFICATE")
    _verify({"certificate": certificate.decode(), "root_bundle": ROOT_PEM.decode()})


def _answered_bundle(data: bytes) -> None:
    """The roots in an answer to a renewal, which a node trusts from then on."""
    bundle = answers.answered_bundle({"root_bundle": text_of(data)}, trusted=ROOT_PEM, now=_NOW)
    if write_bundle(parse_bundle(bundle)) != bundle:
        raise CheckFailed("expected the one form of a bundle")


def _node_files(data: bytes) -> None:
    """A node's directory in which one file, named by the first byte, holds something else."""
    names = (*_FILES, NEXT_CERTIFICATE)
    with tempfile.TemporaryDirectory() as directory:
        for name, content in _FILES.items():
            Path(directory, name).write_bytes(content)
        Path(directory, names[data[0] % len(names)] if data else KEY).write_bytes(data[1:])
        files = open_node_files(Path(directory))
    if files.pair.key.public_key() != files.pair.certificate.public_key() or SECRET in repr(files):
        raise CheckFailed("expected a key and a certificate that belong together and do not show")


def _window(data: bytes) -> None:
    """What is kept of the moment of a renewal, beside the certificate."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, NODE_FILES.window).write_bytes(data)
        part = renewing._kept_part(Path(directory, NODE_FILES.window), _KEPT_FOR)
    if part is not None and not 0 <= part < 1_000_000:
        raise CheckFailed("expected a part of the window")


def _listening(data: bytes) -> None:
    text = text_of(data)
    listening = Listening.parse(text)
    if not 0 <= listening.port <= 65_535 or not listening.host.isprintable():
        raise CheckFailed("expected an address and a port")
    try:
        listening.host.encode("idna")
    except UnicodeError as error:
        raise CheckFailed("expected a host that can be looked up") from error


def _since(data: bytes) -> None:
    since = parse_since(text_of(data), now_ms=_NOW_MS)
    if parse_since(since, now_ms=0) != since or not since.endswith("Z"):
        raise CheckFailed("expected a time as entries write it")


def _action(data: bytes) -> None:
    text = text_of(data)
    if parse_action(text) != text:
        raise CheckFailed("expected an action as it is")


def _arguments(data: bytes) -> None:
    """A command line, one argument a line, parsed down to the command it names, which is not run."""
    with redirect_stdout(io.StringIO()):
        try:
            _parse_command(root, "swarmsec", text_of(data).split("\n"), None)
        except click.ClickException as error:
            # click repeats what was typed as it is; that goes to a terminal alone, and must only not fail there.
            with redirect_stderr(io.StringIO()):
                error.show()


def _parse_command(command: click.Command, name: str, arguments: list[str], parent: click.Context | None) -> None:
    with command.make_context(name, arguments, parent=parent) as context:
        rest = [*context._protected_args, *context.args]
        if isinstance(command, click.Group) and rest:
            found, member, remaining = command.resolve_command(context, rest)
            if found is None or member is None:
                raise CheckFailed("expected a command or a refusal")
            _parse_command(member, found, remaining, context)


def _unlock_answer(data: bytes) -> None:
    """What a process on the unlock socket answers to ``swarmsec unlock``."""
    _with_answer(data, lambda home: unlock_running_server(home, SecretBytes(PASSWORD.encode())))


def _root_answer(data: bytes) -> None:
    """What it answers to a command that asks for the root key."""
    _with_answer(data, _ask_root)


def _ask_root(home: Path) -> None:
    key = root_of_running_server(home)
    if key is not None and len(key) != 32:
        raise CheckFailed("expected a key of 32 bytes or none")


def _with_answer(data: bytes, ask: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory() as home, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{home}/{SOCKET_NAME}")
        listening.listen()
        server = threading.Thread(target=_serve_once, args=(listening, data))
        server.start()
        try:
            ask(Path(home))
        finally:
            server.join()


def _serve_once(listening: socket.socket, data: bytes) -> None:
    connection, _ = listening.accept()
    with connection:
        (length,) = _LENGTH.unpack(connection.recv(_LENGTH.size, socket.MSG_WAITALL))
        connection.recv(length, socket.MSG_WAITALL)
        try:
            connection.sendall(data)
        except ConnectionError:
            return  # it read as much as it takes and went away


def _framed(answer: bytes) -> bytes:
    return _LENGTH.pack(len(answer)) + answer


def _lines(*arguments: str) -> bytes:
    return "\n".join(arguments).encode()


_REFUSAL = json.dumps({"error": {"code": "denied", "message": "no", "hint": "ask"}}).encode()
_OK, _FORBIDDEN = (200).to_bytes(2, "big"), (403).to_bytes(2, "big")
_ANSWER = json.dumps({"certificate": LEAF_PEM.decode(), "node_id": NODE, "root_bundle": ROOT_PEM.decode()}).encode()
_JSON_WORDS = (
    b'"',
    b"{}",
    b"[]",
    b",",
    b":",
    b'"\\ud800"',
    b'"\\u001b[2J"',
    b"true",
    b"null",
    b"\x00\xc8",
    b"\x01\x93",
)
_REFUSALS: Sequence[type[Exception]] = (Denied, Unavailable, UsageProblem)

_KEPT_FOR = "ab" * 32
_FILES = {KEY: authorityclient.key_pem(NODE_SIGNER.key), CERTIFICATE: LEAF_PEM, ROOTS: ROOT_PEM}

TARGETS = (
    Target(
        name="answered-bundle",
        run=_answered_bundle,
        seeds=(ROOT_PEM, ROOT_PEM + ROOT_PEM, LEAF_PEM),
        allowed=(Denied,),
        covers=("swarmsec.wiring.nodes.renewing.renew",),
        words=PEM_WORDS,
    ),
    Target(
        name="node-files",
        run=_node_files,
        seeds=tuple(bytes([number]) + content for number, content in enumerate([*_FILES.values(), LEAF_PEM])),
        allowed=(NotFound, UsageProblem, Unavailable),
        covers=("swarmsec.wiring.nodes.nodefiles.open_node_files",),
        words=(*PEM_WORDS, b"kek-version: 1\n"),
        is_slow=True,
    ),
    Target(
        name="renewal-window",
        run=_window,
        seeds=(f"{_KEPT_FOR} 500000\n".encode(), f"{_KEPT_FOR} 1000000\n".encode()),
        allowed=(),
        covers=("swarmsec.wiring.nodes.renewing.renew",),
        words=(b" ", b"-", b"999999"),
        is_slow=True,
    ),
    Target(
        name="server-url",
        run=_server_url,
        seeds=(b"https://ca.example.internal:8443", b"https://[2001:db8::1]/", b"https://a:%b@b" % PASSWORD.encode()),
        allowed=(UsageProblem, InvalidRequest),
        covers=("swarmsec.wiring.nodes.authorityclient.parse_server",),
        words=(b"https://", b"http://", b"@", b":", b"[", b"]", b"?", b"#", b"%", b"\t", b":0"),
    ),
    Target(
        name="join-answer",
        run=_answer,
        seeds=(_OK + _ANSWER, _FORBIDDEN + _REFUSAL),
        allowed=(*_REFUSALS,),
        covers=("swarmsec.wiring.nodes.enrolment.join",),
        words=(*_JSON_WORDS, *PEM_WORDS),
        secrets=(SECRET,),
    ),
    Target(
        name="join-answer-inside",
        run=_answer_signed,
        seeds=(
            LEAF_TBS,
            # secp224k1, which cryptography does not know.
            LEAF_TBS.replace(b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07", b"\x06\x08\x2b\x81\x04\x00\x20\x00\x00\x20"),
        ),
        allowed=(Denied,),
        covers=("swarmsec.wiring.nodes.enrolment.join",),
        words=DER_WORDS,
    ),
    Target(
        name="listen",
        run=_listening,
        seeds=(
            b"127.0.0.1:8443",
            b"[::]:0",
            b"ca.example.internal:443",
            # More digits than Python converts; a label that no name can have.
            b"a:" + b"9" * 5000,
            b"a" * 70 + b":1",
        ),
        allowed=(UsageProblem, InvalidRequest),
        covers=("swarmsec.wiring.serving.session.Listening.parse",),
        words=(b":", b"[", b"]", b"::1", b".", b"%eth0"),
    ),
    Target(
        name="since",
        run=_since,
        seeds=(b"7d", b"90m", b"2026-01-31T12:00:00Z", b"2026-01-31", b"2026-W05", b"20260131T120000+0100"),
        allowed=(UsageProblem,),
        covers=("swarmsec.services.log.read_log.parse_since",),
        words=(b"0001-01-01", b"9999-12-31", b"+23:59", b"w", b":60", b",5"),
    ),
    Target(
        name="action",
        run=_action,
        seeds=(b"ca.issue", b"ca"),
        allowed=(UsageProblem,),
        covers=("swarmsec.services.log.read_log.parse_action",),
    ),
    Target(
        name="arguments",
        run=_arguments,
        seeds=(
            _lines("--home", "a", "--json", "ca", "token", "worker"),
            _lines("-q", "serve", "--listen", "127.0.0.1:0", "--name", "a"),
            _lines("node", "join", "https://a:1", "--dir", "b", "--token-file", "c"),
            _lines("audit", "log", "--since", "7d", "--limit", "5"),
            _lines("policy", "explain", "--help"),
        ),
        allowed=(click.exceptions.Exit, SwarmsecError),
        covers=("swarmsec.cli.root.root",),
        words=(b"\n", b"--", b"-", b"--help", b"--version", b"access", b"backup", b"keys", b"-vvv", b"=", b"restore\n"),
        is_slow=True,
    ),
    Target(
        name="unlock-answer",
        run=_unlock_answer,
        seeds=(_framed(b"ok"), _framed(b"no it does not fit"), _framed(b"no \x1b[2J")),
        allowed=(WrongUnlock, Unavailable),
        covers=("swarmsec.wiring.homes.unlocking.unlock_running_server",),
        words=(b"no ", b"ok", b"\x00\x00\x00\x00"),
        secrets=(PASSWORD,),
        is_slow=True,
    ),
    Target(
        name="root-answer",
        run=_root_answer,
        seeds=(_framed(b"root " + bytes(32)), _framed(b"no locked"), _framed(b"root short")),
        allowed=(Unavailable,),
        covers=("swarmsec.wiring.homes.unlocking.root_of_running_server",),
        words=(b"root ", b"no "),
        is_slow=True,
    ),
)
