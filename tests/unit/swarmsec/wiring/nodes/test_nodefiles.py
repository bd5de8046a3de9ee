"""A node's files are read strictly, and a pair whose replacement was interrupted is made whole."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest
from cryptography import x509

from ca.identity import NodeRole
from swarmsec.errors import NotFound, Unavailable, UsageProblem
from swarmsec.wiring.nodes.authorityclient import certificate_pem, key_pem
from swarmsec.wiring.nodes.nodefiles import (
    CERTIFICATE,
    KEY,
    MAX_FILE,
    NEXT_CERTIFICATE,
    NEXT_KEY,
    ROOTS,
    alone,
    make_key,
    open_node_files,
    replace_pair,
    write_certificate,
)
from tests.unit.swarmsec.services.conftest import desk
from tests.unit.swarmsec.services.desk import Desk, new_key
from tests.unit.swarmsec.wiring.nodes.nodes import make_node

__all__ = ["desk"]


@pytest.fixture
def node(desk: Desk, tmp_path: Path) -> Path:
    make_node(desk, tmp_path / "node")
    return tmp_path / "node"


def next_certificate(desk: Desk, node: Path) -> x509.Certificate:
    record = desk.issue(NodeRole.WORKER, "n1", make_key(node / NEXT_KEY))
    return x509.load_der_x509_certificate(record.der)


def test_what_a_node_holds(desk: Desk, node: Path) -> None:
    files = open_node_files(node)

    assert (files.identity.node_id, files.identity.role) == ("n1", NodeRole.WORKER)
    assert files.roots == desk.authority.bundle_pem
    assert not files.is_docker_s_key
    assert "PRIVATE" not in repr(files)
    assert "key=" not in repr(files.pair)


def test_a_pair_is_replaced_and_nothing_is_left_beside(desk: Desk, node: Path) -> None:
    new = next_certificate(desk, node)

    replace_pair(node, certificate_pem(new))

    assert open_node_files(node).pair.certificate == new
    assert {path.name for path in node.iterdir()} == {CERTIFICATE, KEY, ROOTS}
    assert stat.S_IMODE((node / KEY).stat().st_mode) == 0o600


def test_between_the_two_moves_the_waiting_certificate_counts(desk: Desk, node: Path) -> None:
    new = next_certificate(desk, node)
    (node / NEXT_CERTIFICATE).write_bytes(certificate_pem(new))
    (node / NEXT_KEY).replace(node / KEY)

    assert open_node_files(node).pair.certificate == new
    assert not (node / NEXT_CERTIFICATE).exists()
    assert open_node_files(node).pair.certificate == new


def test_before_the_moves_the_old_pair_counts(desk: Desk, node: Path) -> None:
    old = open_node_files(node).pair.certificate
    (node / NEXT_CERTIFICATE).write_bytes(certificate_pem(next_certificate(desk, node)))

    assert open_node_files(node).pair.certificate == old


@pytest.mark.parametrize("waiting", [True, False])
def test_a_key_without_its_certificate_is_no_pair(waiting: bool, desk: Desk, node: Path) -> None:
    if waiting:
        (node / NEXT_CERTIFICATE).write_bytes(certificate_pem(next_certificate(desk, node)))
    (node / KEY).write_bytes(key_pem(new_key()))

    with pytest.raises(UsageProblem, match="belong together"):
        open_node_files(node)


@pytest.mark.parametrize("name", [KEY, CERTIFICATE, ROOTS])
def test_a_file_that_is_missing_or_something_else(name: str, node: Path) -> None:
    for content in (b"", b"-----BEGIN CERTIFICATE-----\n", b"\xff" * 50, b"x" * (MAX_FILE + 1)):
        (node / name).write_bytes(content)
        with pytest.raises(UsageProblem):
            open_node_files(node)
    (node / name).unlink()
    with pytest.raises(NotFound):
        open_node_files(node)


def test_a_directory_in_a_file_s_place_is_worded(node: Path) -> None:
    (node / ROOTS).unlink()
    (node / ROOTS).mkdir()

    with pytest.raises(Unavailable, match="could not be used"):
        open_node_files(node)


def test_docker_s_headers_in_a_key_are_seen(node: Path) -> None:
    begin, rest = (node / KEY).read_bytes().split(b"\n", 1)
    (node / KEY).write_bytes(begin + b"\nkek-version: 0\nraft-dek: AAAA\n\n" + rest)

    assert open_node_files(node).is_docker_s_key


def test_docker_s_intermediates_behind_the_certificate_are_read_over(desk: Desk, node: Path) -> None:
    own = open_node_files(node).pair.certificate
    (node / CERTIFICATE).write_bytes((node / CERTIFICATE).read_bytes() + desk.authority.bundle_pem)

    assert open_node_files(node).pair.certificate == own


def test_a_key_is_made_once(tmp_path: Path) -> None:
    first = make_key(tmp_path / KEY)

    assert key_pem(make_key(tmp_path / KEY)) == key_pem(first)
    assert stat.S_IMODE((tmp_path / KEY).stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_may_read_is_not_taken_up(mode: int, tmp_path: Path) -> None:
    make_key(tmp_path / KEY)
    (tmp_path / KEY).chmod(mode)

    with pytest.raises(UsageProblem, match=f"owner alone, got mode 0{mode:o}"):
        make_key(tmp_path / KEY)


def test_a_pipe_or_device_in_a_file_s_place_is_not_waited_for(node: Path, tmp_path: Path) -> None:
    for name in (KEY, CERTIFICATE, ROOTS):
        kept = (node / name).read_bytes()
        (node / name).unlink()
        os.mkfifo(node / name, 0o600)
        with pytest.raises(UsageProblem):
            open_node_files(node)
        (node / name).unlink()
        (node / name).symlink_to("/dev/zero")
        with pytest.raises(UsageProblem):
            open_node_files(node)
        (node / name).unlink()
        (node / name).write_bytes(kept)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(UsageProblem, match="expected an EC private key"):
        make_key(tmp_path / "pipe")


def test_two_are_not_at_work_in_one_directory(node: Path) -> None:
    with alone(node), pytest.raises(Unavailable, match="another process"), alone(node):
        pass
    with alone(node):
        pass


def test_work_in_no_directory(tmp_path: Path) -> None:
    with pytest.raises(NotFound), alone(tmp_path / "nothing"):
        pass


def test_the_certificate_alone_is_replaced(desk: Desk, node: Path) -> None:
    before = (node / KEY).read_bytes()
    record = desk.issue(NodeRole.WORKER, "n1", open_node_files(node).pair.key)
    write_certificate(node, certificate_pem(x509.load_der_x509_certificate(record.der)))

    assert (node / KEY).read_bytes() == before
    shutil.rmtree(node)
