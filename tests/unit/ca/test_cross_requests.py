"""Which requests for a cross-signed root are fulfilled; each rule is broken once."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from ca.cross_requests import (
    CrossSignPermission,
    CrossSignRequest,
    RequestedExtension,
    check_cross_sign_request,
)
from ca.errors import RequestRefused
from ca.identity import NodeIdentity, NodeRole
from ca.requests import RootRequest, parse_root_request
from tests.unit.ca.authority import p256, spki_of

CLUSTER = "ocluster00000000000000000"
CALLER = NodeIdentity(cluster_id=CLUSTER, role=NodeRole.MANAGER, node_id="leader")
CA = RequestedExtension(oid="2.5.29.19", critical=True, value="30030101ff")
REQUEST = CrossSignRequest(common_name="swarm-ca", name_count=0, hosts=(), profile="CA", extensions=[CA])
ANY_KEY = CrossSignPermission(spki_sha256=None)
KEY = p256()


def root_request(*names: tuple[x509.ObjectIdentifier, str], kind: _ASN1Type = _ASN1Type.UTF8String) -> RootRequest:
    attributes = [x509.NameAttribute(oid, text, kind) for oid, text in names]
    made = x509.CertificateSigningRequestBuilder(x509.Name(attributes)).sign(KEY, hashes.SHA256())
    return parse_root_request(made.public_bytes(Encoding.PEM))


NAMED = root_request((NameOID.COMMON_NAME, "swarm-ca"))


@pytest.mark.parametrize("kind", [_ASN1Type.UTF8String, _ASN1Type.PrintableString])
def test_what_swarmkit_asks_for_is_granted(kind: _ASN1Type) -> None:
    sent = root_request((NameOID.COMMON_NAME, "swarm-ca"), kind=kind)
    for permission in (ANY_KEY, CrossSignPermission(spki_sha256=sent.key.spki_sha256)):
        granted = check_cross_sign_request(REQUEST, sent, caller=CALLER, cluster_id=CLUSTER, permission=permission)
        assert granted.spki_der == spki_of(KEY)
        assert granted.key_id == x509.SubjectKeyIdentifier.from_public_key(KEY.public_key()).digest
        assert granted.subject == sent.subject_der
        assert bytes([kind.value, 8]) + b"swarm-ca" in granted.subject


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (replace(REQUEST, profile=""), "profile 'CA', got ''"),
        (replace(REQUEST, profile="ca"), "profile 'CA'"),
        (replace(REQUEST, common_name="another"), "named CN=swarm-ca"),
        (replace(REQUEST, name_count=1), "named CN=swarm-ca"),
        (replace(REQUEST, hosts=["swarm-manager"]), "without hosts"),
        (replace(REQUEST, extensions=[]), "one extension"),
        (replace(REQUEST, extensions=[CA, CA]), "one extension"),
        (replace(REQUEST, extensions=[replace(CA, critical=False)]), "one extension"),
        (replace(REQUEST, extensions=[replace(CA, oid="2.5.29.15")]), "one extension"),
        (replace(REQUEST, extensions=[replace(CA, value="3000")]), "one extension"),
        (replace(REQUEST, extensions=[replace(CA, value="30060101ff020100")]), "one extension"),
    ],
)
def test_another_form_is_refused(request_: CrossSignRequest, reason: str) -> None:
    with pytest.raises(RequestRefused, match=reason):
        check_cross_sign_request(request_, NAMED, caller=CALLER, cluster_id=CLUSTER, permission=ANY_KEY)


@pytest.mark.parametrize(
    "sent",
    [
        root_request(),
        root_request((NameOID.COMMON_NAME, "Swarm-CA")),
        root_request((NameOID.ORGANIZATION_NAME, "swarm-ca")),
        root_request((NameOID.COMMON_NAME, "swarm-ca"), (NameOID.ORGANIZATION_NAME, CLUSTER)),
        root_request((NameOID.COMMON_NAME, "swarm-ca"), kind=_ASN1Type.T61String),
    ],
)
def test_another_subject_is_refused(sent: RootRequest) -> None:
    with pytest.raises(RequestRefused, match="named CN=swarm-ca"):
        check_cross_sign_request(REQUEST, sent, caller=CALLER, cluster_id=CLUSTER, permission=ANY_KEY)


@pytest.mark.parametrize(
    ("caller", "reason"),
    [
        (replace(CALLER, role=NodeRole.WORKER), "expected a manager to ask"),
        (replace(CALLER, cluster_id="other"), "expected a caller of cluster"),
    ],
)
def test_who_may_not_ask_is_refused(caller: NodeIdentity, reason: str) -> None:
    with pytest.raises(RequestRefused, match=reason):
        check_cross_sign_request(REQUEST, NAMED, caller=caller, cluster_id=CLUSTER, permission=ANY_KEY)


@pytest.mark.parametrize(
    ("permission", "reason"),
    [
        (None, "permission for a root of the swarm's own"),
        (CrossSignPermission(spki_sha256="00" * 32), "permitted key 0000.*, got [0-9a-f]{64}"),
        (CrossSignPermission(spki_sha256=""), "permitted key"),
    ],
)
def test_a_managers_certificate_is_not_enough(permission: CrossSignPermission | None, reason: str) -> None:
    with pytest.raises(RequestRefused, match=reason):
        check_cross_sign_request(REQUEST, NAMED, caller=CALLER, cluster_id=CLUSTER, permission=permission)
