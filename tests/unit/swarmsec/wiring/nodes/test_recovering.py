"""A node with an expired certificate comes back with its key untouched, and believes no wrong answer."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from ca.errors import InvalidToken
from ca.identity import NodeRole
from swarmsec.errors import Denied, NotFound, Unavailable, UsageProblem
from swarmsec.services.ca.issued_certificates import certificate_pem
from swarmsec.services.nodes.limited_tokens import TokenRole
from swarmsec.wiring.nodes import recovering
from swarmsec.wiring.nodes.nodefiles import CERTIFICATE, KEY, ROOTS, alone, open_node_files
from swarmsec.wiring.nodes.recovering import recover
from tests.unit.ca.authority import new_issuer
from tests.unit.swarmsec.services.conftest import desk
from tests.unit.swarmsec.services.desk import Desk
from tests.unit.swarmsec.services.nodes.test_limited_tokens import create
from tests.unit.swarmsec.wiring.nodes.nodes import SERVER, FakeServer, certificate_in, make_node, part_of_life, present

__all__ = ["desk"]

EXPIRED = timedelta(days=91)


@pytest.fixture
def node(desk: Desk, tmp_path: Path) -> Path:
    """A node whose certificate has expired."""
    make_node(desk, tmp_path / "node")
    desk.move_clock(EXPIRED)
    return tmp_path / "node"


@pytest.fixture
def server(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    made = FakeServer(desk=desk)
    monkeypatch.setattr(recovering, "ask", made.ask)
    monkeypatch.setattr(recovering, "fetch_bundle", made.bundle)
    return made


@pytest.fixture
def token(desk: Desk, node: Path) -> str:
    return create(desk, TokenRole.RECOVER, node_name="n1")[1]


def files(node: Path) -> dict[str, bytes]:
    return {name: (node / name).read_bytes() for name in (CERTIFICATE, KEY, ROOTS)}


def bring_back(node: Path, token: str) -> None:
    recover(SERVER, token, node, now=lambda: present() + EXPIRED)


def test_only_the_certificate_changes(server: FakeServer, node: Path, token: str) -> None:
    before, was = files(node), open_node_files(node)

    bring_back(node, token)

    after, now = files(node), open_node_files(node)
    assert (after[KEY], after[ROOTS]) == (before[KEY], before[ROOTS])
    assert now.identity == was.identity
    assert now.pair.certificate.not_valid_after_utc > was.pair.certificate.not_valid_after_utc
    assert {path.name for path in node.iterdir()} == set(before)


def test_docker_s_key_file_is_left_as_it_is(server: FakeServer, node: Path, token: str) -> None:
    begin, rest = (node / KEY).read_bytes().split(b"\n", 1)
    (node / KEY).write_bytes(begin + b"\nraft-dek: AAAA\n\n" + rest)
    before = files(node)

    bring_back(node, token)

    assert files(node)[KEY] == before[KEY]
    assert files(node)[CERTIFICATE] != before[CERTIFICATE]


def lock(node: Path) -> bytes:
    """Lock a node's key as Docker does; returns the key file."""
    key = open_node_files(node).pair.key
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"unlock key"))
    begin, rest = locked.split(b"\n", 1)
    (node / KEY).write_bytes(begin + b"\nkek-version: 27\nraft-dek: AAAA\n\n" + rest)
    return (node / KEY).read_bytes()


def test_a_locked_manager_shows_its_certificate(server: FakeServer, desk: Desk, tmp_path: Path) -> None:
    desk.move_clock(timedelta())
    node = tmp_path / "manager"
    make_node(desk, node, "m1", NodeRole.MANAGER)
    locked, before = lock(node), files(node)
    desk.move_clock(EXPIRED)

    bring_back(node, create(desk, TokenRole.RECOVER, node_name="m1")[1])

    assert files(node)[KEY] == locked
    assert files(node)[CERTIFICATE] != before[CERTIFICATE]
    entry = desk.last_entry()
    assert (entry["action"], entry["fields"]["proof"]) == ("node.recover", "certificate")


def test_a_worker_has_no_locked_key(server: FakeServer, node: Path, token: str) -> None:
    lock(node)
    with pytest.raises(Denied, match="manager whose key is locked"):
        bring_back(node, token)


def test_the_roots_of_the_token_take_the_place_of_the_former(server: FakeServer, node: Path, token: str) -> None:
    good = files(node)[ROOTS]
    (node / ROOTS).write_bytes(new_issuer().certificate.public_bytes(Encoding.PEM))

    bring_back(node, token)

    assert files(node)[ROOTS] == good


def test_a_certificate_that_counts_is_left_alone(server: FakeServer, node: Path, token: str) -> None:
    moment = part_of_life(certificate_in(node), 0.99)

    with pytest.raises(Denied, match="n1 counts until"):
        recover(SERVER, token, node, now=lambda: moment)

    assert server.asked == []


def test_wrong_answers_are_not_believed(server: FakeServer, desk: Desk, node: Path, token: str) -> None:
    before = files(node)
    other = make_node(desk, node.parent / "other", "n2")
    record = desk.issue(NodeRole.WORKER, "n2", other)
    wrong = ("", "x", before[CERTIFICATE].decode() * 2, certificate_pem(record).decode())
    for certificate in wrong:
        server.change = {"certificate": certificate}
        with pytest.raises(Denied):
            bring_back(node, token)
        assert files(node) == before


def test_what_the_server_refuses_changes_nothing(server: FakeServer, desk: Desk, node: Path) -> None:
    before = files(node)
    with pytest.raises(Denied, match="role recover"):
        bring_back(node, create(desk)[1])
    server.is_down = True
    with pytest.raises(Unavailable):
        bring_back(node, create(desk)[1])
    assert files(node) == before


def test_what_cannot_be_meant_asks_nobody(server: FakeServer, node: Path, token: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidToken):
        bring_back(node, "nothing")
    with pytest.raises(NotFound):
        bring_back(tmp_path / "nothing", token)
    with pytest.raises(UsageProblem):
        recover("ca.example.internal", token, node)
    with alone(node), pytest.raises(Unavailable, match="another process"):
        bring_back(node, token)
    assert server.asked == []
