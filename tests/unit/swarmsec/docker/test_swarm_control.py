"""The control API's client beside a peer that speaks HTTP/2 by the same library: refusals, limits, silence.

That SwarmKit itself answers as read here is shown on real engines, in tests/swarm.
"""

from __future__ import annotations

import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, StreamEnded

from swarmsec.docker.control_messages import MAX_CERTIFICATE, parse_node_list
from swarmsec.docker.grpc_call import call_unary, parse_answer
from swarmsec.docker.swarm_control import ControlDoor, list_certificates
from swarmsec.errors import Denied, SwarmsecError, Unavailable, UsageProblem
from tests.fuzz.targets_docker import field
from tests.unit.swarmsec.wiring.ca.foreignroots import build_root

Answer = Callable[[H2Connection, int], None]
GOOD = (("grpc-status", "0"),)


def framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4) + message


def told(**certificates: bytes) -> bytes:
    return b"".join(field(1, field(1, name.encode()) + field(8, field(4, pem))) for name, pem in certificates.items())


def answering(content: bytes, trailers: tuple[tuple[str, str], ...] = GOOD) -> Answer:
    def answer(http: H2Connection, stream: int) -> None:
        http.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        http.send_data(stream, content)
        http.send_headers(stream, list(trailers), end_stream=True)

    return answer


def refusing(status: str, words: str) -> Answer:
    headers = [(":status", "200"), ("grpc-status", status), ("grpc-message", words)]
    return lambda http, stream: http.send_headers(stream, headers, end_stream=True)


@contextmanager
def peer(answer: Answer | None, asked: list[dict[bytes, bytes]] | None = None) -> Iterator[socket.socket]:
    """The other end of a connection, which answers one call; None says nothing at all."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        http = H2Connection(config=H2Configuration(client_side=False))
        http.initiate_connection()
        while data := theirs.recv(65_536):
            for event in http.receive_data(data):
                if isinstance(event, RequestReceived) and asked is not None:
                    asked.append({bytes(name): bytes(value) for name, value in event.headers})
                if isinstance(event, StreamEnded) and answer is not None:
                    answer(http, event.stream_id)
            theirs.sendall(http.data_to_send())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield ours
    finally:
        ours.close()
        thread.join(5)
        theirs.close()


def call(answer: Answer | None, *, limit: int = 1000, seconds: float = 5.0) -> bytes:
    with peer(answer) as connection:
        return call_unary(connection, "/p.S/M", b"question", authority="swarm-manager", limit=limit, seconds=seconds)


def test_a_call_brings_the_message_and_asks_as_grpc_does() -> None:
    asked: list[dict[bytes, bytes]] = []
    with peer(answering(framed(b"abc")), asked) as connection:
        assert call_unary(connection, "/p.S/M", b"q", authority="swarm-manager", limit=3, seconds=5) == b"abc"
    (headers,) = asked
    assert (headers[b":path"], headers[b":method"], headers[b"te"]) == (b"/p.S/M", b"POST", b"trailers")


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (refusing("7", "Permission denied%3A x"), Denied, "refuses: Permission denied: x"),
        (refusing("2", "bad%1b[31m"), Unavailable, r"failed: bad \[31m"),
        (refusing("12", ""), Unavailable, "gRPC status 12"),
        (answering(framed(b"x" * 2000)), Unavailable, "at most 1000 bytes"),
        (answering(framed(b"abc") + b"d"), Unavailable, "one message"),
        (answering(b"\1" + framed(b"abc")[1:]), Unavailable, "uncompressed"),
        (answering(b""), Unavailable, "one message"),
        (answering(framed(b"abc"), (("x", "y"),)), Unavailable, "answer of gRPC"),
        (lambda http, stream: http.reset_stream(stream), Unavailable, "broke the call off"),
        (lambda http, stream: http.close_connection(), Unavailable, "broke the call off"),
    ],
)
def test_every_other_answer_has_its_error(answer: Answer, error: type[SwarmsecError], words: str) -> None:
    with pytest.raises(error, match=words):
        call(answer)


def test_silence_ends() -> None:
    with pytest.raises(Unavailable, match="in time"):
        call(None, seconds=0.2)


def test_what_is_no_http2_and_a_closed_connection_are_told_apart() -> None:
    for content, words in ((bytes.fromhex("000000010400000000"), "expected gRPC"), (b"", "ended")):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(content)
            theirs.shutdown(socket.SHUT_WR)
            with pytest.raises(Unavailable, match=words):
                call_unary(ours, "/p.S/M", b"", authority="a", limit=10, seconds=5)


def test_a_status_other_than_200_is_no_answer() -> None:
    with pytest.raises(Unavailable, match="answer of gRPC"):
        parse_answer({":status": "404", "grpc-status": "0"}, framed(b""))


def test_nodes_are_listed_with_what_is_told_of_them() -> None:
    assert parse_node_list(told(n1=b"pem", n2=b"") + b"\x10\x01") == {"n1": b"pem", "n2": b""}
    assert parse_node_list(b"") == {}


@pytest.mark.parametrize(
    "message",
    [
        told(n1=b"a") + told(n1=b"b"),
        field(1, b""),
        field(1, field(1, b"\xff")),
        field(1, field(1, b"x" * 65)),
        b"\x08\x01",
        field(1, field(1, b"n1") + field(8, b"\x20\x01")),
        told(n1=b"pem")[:-1],
    ],
)
def test_another_message_is_refused(message: bytes) -> None:
    with pytest.raises(Unavailable, match="control API"):
        parse_node_list(message)


def test_a_certificate_of_no_sensible_size_is_refused() -> None:
    def large(number: int, content: bytes) -> bytes:
        size = len(content)
        return bytes([number << 3 | 2, size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14]) + content

    message = large(1, field(1, b"n1") + large(8, large(4, b"x" * (MAX_CERTIFICATE + 1))))
    with pytest.raises(Unavailable, match="sensible size"):
        parse_node_list(message)


@pytest.mark.parametrize("text", ["", "m1", "m1:", "m1:0", "m1:65536", ":2377", "a b:2377", "m1:２３７７"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageProblem, match="HOST:PORT"):
        ControlDoor.parse(text)


def test_addresses_are_read_and_written() -> None:
    for text in ("10.0.0.1:2377", "[2001:db8::1]:2377", "m1.example.internal:2377"):
        assert str(ControlDoor.parse(text)) == text


def _context(root: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=root.decode())
    return context


def test_a_door_that_is_not_there_or_not_the_swarms_stays_shut(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    root = build_root(key)
    with pytest.raises(Unavailable, match="no such file") as missing:
        list_certificates(ControlDoor(place=tmp_path / "none.sock"), _context(root))
    assert "exec root" in (missing.value.hint or "")

    (tmp_path / "server.pem").write_bytes(root + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    other = build_root(ec.generate_private_key(ec.SECP256R1()))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "server.pem")
    with tempfile.TemporaryDirectory(prefix="ss-", dir="/tmp") as directory, socket.socket(socket.AF_UNIX) as listening:
        path = Path(directory) / "c.sock"
        listening.bind(str(path))
        listening.listen()
        thread = threading.Thread(target=_shake, args=(listening, server), daemon=True)
        thread.start()
        with pytest.raises(Denied, match="not of this Swarm"):
            list_certificates(ControlDoor(place=path), _context(other))
        thread.join(5)


def _shake(listening: socket.socket, context: ssl.SSLContext) -> None:
    plain, _ = listening.accept()
    with plain:
        try:
            context.wrap_socket(plain, server_side=True).close()
        except OSError:
            return
