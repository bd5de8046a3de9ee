"""The server's own certificate: renewed at half its life, shown only once it is durable."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from swarmsec.errors import Unavailable
from swarmsec.services.ports import Transaction
from swarmsec.services.records import SwarmRoot
from swarmsec.wiring.serving.certificate import ServerCertificate
from tests.unit.swarmsec.services.desk import Desk, LaterClock


def _made(desk: Desk) -> ServerCertificate:
    return ServerCertificate(desk.home.store, desk.authority, ("localhost", "127.0.0.1"))


def _leaf(made: ServerCertificate) -> x509.Certificate:
    return x509.load_pem_x509_certificate(made.current().certificate_chain_pem)


def test_it_is_in_the_table_and_fits_its_key(desk: Desk) -> None:
    made = _made(desk)

    leaf = _leaf(made)

    assert f"{leaf.serial_number:x}" in desk.states()
    key = load_pem_private_key(made.current().key_pem.reveal(), password=None)
    assert key.public_key() == leaf.public_key()


def test_it_is_due_at_half_its_life(desk: Desk) -> None:
    desk.home.store.clock = clock = LaterClock()
    made = _made(desk)
    assert not made.is_due()

    clock.later = timedelta(days=46)

    assert made.is_due()
    made.adopt(desk.home.store.write(made.issue_in))
    assert not made.is_due()
    assert made.current().generation == 2


def test_what_is_not_durable_is_not_shown(desk: Desk) -> None:
    made = _made(desk)
    before = made.current()

    def fail(transaction: Transaction) -> None:
        made.issue_in(transaction)
        raise Unavailable("the disk is full")

    with pytest.raises(Unavailable):
        desk.home.store.write(fail)

    assert made.current() is before
    assert len(desk.states()) == 1


def test_accepted_roots_are_a_new_generation_once(desk: Desk) -> None:
    made = _made(desk)
    root = SwarmRoot(sha256="00", pem=b"ROOT", cluster_id="c1", added=0)

    assert made.accept([root]) is True
    assert made.accept([root]) is False
    assert made.current().client_roots_pem.endswith(b"ROOT")
    assert made.current().generation == 2
    assert made.accept([]) is True
    assert made.current().client_roots_pem == desk.authority.bundle_pem
