"""A connection that broke says nothing of the next one of the same thread."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import closing
from pathlib import Path

import pytest

from swarmsec.brokentls import forget_broken
from swarmsec.wiring.nodes.authorityclient import key_pem
from tests.unit.swarmsec.test_peertrust import CAN_SIGN, HOST, issue, server


@pytest.fixture
def serving(tmp_path: Path) -> ssl.SSLContext:
    shown = server(issue("root", CAN_SIGN))
    (tmp_path / "shown.pem").write_text(key_pem(shown.key).decode() + shown.pem)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.num_tickets = 0
    made.load_cert_chain(tmp_path / "shown.pem")
    return made


def connected(serving: ssl.SSLContext) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Two ends of a connection after their handshake: the client's and the server's."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    ours, theirs = socket.socketpair()
    ours.settimeout(60)
    ends: list[ssl.SSLSocket] = []
    answering = threading.Thread(target=lambda: ends.append(serving.wrap_socket(theirs, server_side=True)))
    answering.start()
    asking = client.wrap_socket(ours, server_hostname=HOST)
    answering.join()
    return asking, ends[0]


def test_the_next_connection_waits_as_if_nothing_had_happened(serving: ssl.SSLContext) -> None:
    kept, far = connected(serving)
    broken, gone = connected(serving)
    with closing(kept), closing(far), closing(broken):
        socket.socket(fileno=gone.detach()).close()
        with pytest.raises(OSError, match=r"Broken pipe|EOF occurred"):
            broken.write(b"x")
        forget_broken()
        answering = threading.Timer(0.2, far.write, [b"here"])
        answering.start()
        assert kept.read(4) == b"here"
        answering.join()
