"""A Swarm's own root is signed once an operator has permitted exactly that one, and for minutes."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from ca.cross_requests import CrossSignRequest, RequestedExtension
from ca.identity import NodeIdentity, NodeRole
from ca.requests import RootRequest, parse_root_request
from swarmsec.clock import unix_seconds
from swarmsec.errors import Denied
from swarmsec.services.ports import Transaction
from swarmsec.services.swarm.cross_signing import (
    close_cross_signing,
    cross_sign_for_swarm,
    open_cross_signing,
)
from tests.unit.swarmsec.homes import OPERATOR, logged
from tests.unit.swarmsec.services.desk import Desk, new_key

NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "swarm-ca")])
REQUEST = CrossSignRequest(
    common_name="swarm-ca",
    name_count=0,
    hosts=(),
    profile="CA",
    extensions=[RequestedExtension(oid="2.5.29.19", critical=True, value="30030101ff")],
)


def request_for(key: ec.EllipticCurvePrivateKey) -> RootRequest:
    made = x509.CertificateSigningRequestBuilder(NAME).sign(key, hashes.SHA256())
    return parse_root_request(made.public_bytes(Encoding.PEM))


OPEN_FOR = timedelta(minutes=10)


def permit(desk: Desk, request: RootRequest) -> None:
    spki = request.key.spki_sha256

    def unit(transaction: Transaction) -> None:
        until = unix_seconds(transaction.clock) + round(OPEN_FOR.total_seconds())
        open_cross_signing(transaction, OPERATOR, spki_sha256=spki, until=until)

    desk.home.store.write(unit)


def sign(desk: Desk, request: RootRequest, role: NodeRole = NodeRole.MANAGER) -> x509.Certificate:
    caller = NodeIdentity(cluster_id=desk.authority.cluster_id, role=role, node_id="leader")
    der = desk.write(
        lambda transaction, authority: cross_sign_for_swarm(transaction, authority, caller, REQUEST, request, OPERATOR)
    )
    return x509.load_der_x509_certificate(der)


def test_the_permitted_root_is_signed_and_the_log_has_it(desk: Desk) -> None:
    key = new_key()
    permit(desk, request_for(key))
    signed = sign(desk, request_for(key))
    signed.verify_directly_issued_by(desk.authority.issuer.certificate)
    assert (signed.subject, signed.public_key()) == (NAME, key.public_key())
    assert signed.not_valid_after_utc - signed.not_valid_before_utc <= timedelta(days=7)
    entry = desk.last_entry()
    assert (entry["action"], entry["outcome"]) == ("ca.cross-sign", "success")
    assert base64.b64decode(entry["fields"]["certificate"]) == signed.public_bytes(Encoding.DER)


def verify_refused(desk: Desk, request: RootRequest, why: str, role: NodeRole = NodeRole.MANAGER) -> None:
    with pytest.raises(Denied, match=why):
        sign(desk, request, role)
    entry = desk.last_entry()
    assert (entry["action"], entry["outcome"]) == ("ca.cross-sign", "denied")


def test_nothing_is_signed_unasked(desk: Desk) -> None:
    verify_refused(desk, request_for(new_key()), "expected an operator's permission")


def test_another_key_is_refused(desk: Desk) -> None:
    permit(desk, request_for(new_key()))
    verify_refused(desk, request_for(new_key()), "expected the root with the permitted key")


def test_a_worker_is_refused(desk: Desk) -> None:
    request = request_for(new_key())
    permit(desk, request)
    verify_refused(desk, request, "expected a manager to ask", NodeRole.WORKER)


def test_the_permission_ends_by_itself_and_by_hand(desk: Desk) -> None:
    request = request_for(new_key())
    permit(desk, request)
    desk.move_clock(OPEN_FOR)
    verify_refused(desk, request, "expected an operator's permission")
    permit(desk, request)
    sign(desk, request)
    desk.home.store.write(lambda transaction: close_cross_signing(transaction, OPERATOR))
    verify_refused(desk, request, "expected an operator's permission")
    spki = request.key.spki_sha256
    assert [entry["object"] for entry in logged(desk.home, "ca.cross-sign-open")] == [{"id": spki, "type": "root"}] * 2
    assert len(logged(desk.home, "ca.cross-sign-close")) == 1
