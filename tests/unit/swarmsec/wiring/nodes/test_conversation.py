"""Requests over one connection, against a server that counts its handshakes and ends connections when it likes."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from swarmsec.errors import Denied, Unavailable
from swarmsec.wiring.nodes.authorityclient import KeyPair, _call, ask
from swarmsec.wiring.nodes.conversation import MOST_SECONDS, Conversation
from tests.integration.server_world import Authority, Identity

AUTHORITY = Authority("swarm-ca")
WELL = b'{"well": 1}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n" + WELL
BODY = b"{}"
SECONDS = 20


class Server:
    """Answers so many requests over each connection, and ends it without a word.

    Args:
        directory: for its certificate.
        answers: of the first connection, the second, and so on; of those after the last as of it.
    """

    def __init__(self, directory: Path, *answers: int) -> None:
        own = AUTHORITY.issue("localhost", server=True)
        file = directory / "server.pem"
        file.write_bytes(own.key_pem + own.certificate.public_bytes(Encoding.PEM))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(file)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._context.load_verify_locations(cadata=AUTHORITY.root_pem.decode())
        self._answers = answers
        self.shown: list[bytes] = []
        """Whose certificate was shown in each handshake."""
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.base = f"https://localhost:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(SECONDS)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listening.accept()
                peer.settimeout(SECONDS)
                with suppress(OSError), self._context.wrap_socket(peer, server_side=True) as tls:
                    self._answer(tls)

    def _answer(self, tls: ssl.SSLSocket) -> None:
        self.shown.append(tls.getpeercert(binary_form=True) or b"")
        for _ in range(self._answers[min(len(self.shown), len(self._answers)) - 1]):
            request = b""
            while not request.endswith(BODY):
                if not (data := tls.recv(65_536)):
                    return
                request += data
            tls.sendall(ANSWER)


def pair_of(identity: Identity) -> KeyPair:
    key = load_pem_private_key(identity.key_pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return KeyPair(key=key, certificate=identity.certificate)


@pytest.fixture
def pairs() -> tuple[KeyPair, KeyPair]:
    return pair_of(AUTHORITY.issue("anna")), pair_of(AUTHORITY.issue("anna"))


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Server]]:
    made: list[Server] = []
    yield made
    for server in made:
        server.close()


def asked(server: Server, over: Conversation | None, pair: KeyPair) -> bool:
    return ask(server.base, "/x", {}, roots=AUTHORITY.root_pem, pair=pair, over=over) == {"well": 1}


def test_requests_with_one_certificate_go_over_one_connection(
    servers: list[Server], pairs: tuple[KeyPair, KeyPair], tmp_path: Path
) -> None:
    servers.append(server := Server(tmp_path, 9))
    with Conversation() as over:
        assert all(asked(server, over, pairs[0]) for _ in range(3))
    assert len(server.shown) == 1


def test_another_certificate_is_shown_in_a_handshake_of_its_own(
    servers: list[Server], pairs: tuple[KeyPair, KeyPair], tmp_path: Path
) -> None:
    servers.append(server := Server(tmp_path, 9))
    with Conversation() as over:
        assert all(asked(server, over, pair) for pair in (*pairs, pairs[1]))
    assert server.shown == [pair.certificate.public_bytes(Encoding.DER) for pair in pairs]


def test_a_root_that_is_no_longer_trusted_ends_the_connection(
    servers: list[Server], pairs: tuple[KeyPair, KeyPair], tmp_path: Path
) -> None:
    other = Authority("swarm-ca").root_pem
    servers.append(server := Server(tmp_path, 9))
    with Conversation() as over:
        assert asked(server, over, pairs[0])
        # One root more leaves what was verified under the first as it is.
        assert ask(server.base, "/x", {}, roots=AUTHORITY.root_pem + other, pair=pairs[0], over=over) == {"well": 1}
        with pytest.raises(Denied, match="not the expected authority"):
            ask(server.base, "/x", {}, roots=other, pair=pairs[0], over=over)
    assert len(server.shown) == 1


def test_after_an_hour_the_server_is_verified_anew(
    servers: list[Server], pairs: tuple[KeyPair, KeyPair], tmp_path: Path
) -> None:
    servers.append(server := Server(tmp_path, 9))
    now = 5.0
    with Conversation(lambda: now) as over:
        assert all(asked(server, over, pairs[0]) for _ in range(2))
        now += MOST_SECONDS - 1
        assert asked(server, over, pairs[0])
        assert len(server.shown) == 1
        now += 1
        assert all(asked(server, over, pairs[0]) for _ in range(2))
    assert len(server.shown) == 2


def test_each_request_without_a_conversation_has_a_connection_of_its_own(
    servers: list[Server], pairs: tuple[KeyPair, KeyPair], tmp_path: Path
) -> None:
    servers.append(server := Server(tmp_path, 9))
    assert all(asked(server, None, pairs[0]) for _ in range(2))
    assert len(server.shown) == 2


@pytest.mark.parametrize("answers", [(1, 9), (1, 0, 9)])
def test_a_connection_that_the_server_ended_is_opened_again(
    servers: list[Server], pairs: tuple[KeyPair, KeyPair], tmp_path: Path, answers: tuple[int, ...]
) -> None:
    servers.append(server := Server(tmp_path, *answers))
    with Conversation() as over:
        assert all(asked(server, over, pairs[0]) for _ in range(3))
    assert len(server.shown) == len(answers)


def test_a_server_that_never_answers_is_unavailable(
    servers: list[Server], pairs: tuple[KeyPair, KeyPair], tmp_path: Path
) -> None:
    servers.append(server := Server(tmp_path, 0))
    with Conversation() as over, pytest.raises(Unavailable, match="could not be reached"):
        asked(server, over, pairs[0])
    assert len(server.shown) == 2


def test_what_nobody_verified_is_kept_for_no_later_request(
    servers: list[Server], pairs: tuple[KeyPair, KeyPair], tmp_path: Path
) -> None:
    servers.append(server := Server(tmp_path, 9))
    with Conversation() as over:
        assert _call("POST", f"{server.base}/x", roots=None, body=BODY, pair=pairs[0], over=over) == (200, WELL)
        assert not over.is_open
        assert asked(server, over, pairs[0])
    assert len(server.shown) == 2
