"""The request for a cross-signed root, as a leader sends it."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from ca.errors import CaError
from swarmsec.docker.external_ca import parse_cross_sign_request
from swarmsec.errors import UsageProblem
from tests.unit.swarmsec.services.desk import new_key

NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "swarm-ca")])
EXTENSION = {"id": "2.5.29.19", "critical": True, "value": "30030101ff"}


def document(**changes: object) -> dict[str, Any]:
    """What Docker 20.10 sends."""
    csr = x509.CertificateSigningRequestBuilder(NAME).sign(new_key(), hashes.SHA256())
    made: dict[str, Any] = {
        "hosts": None,
        "certificate_request": csr.public_bytes(Encoding.PEM).decode(),
        "subject": {"CN": "swarm-ca", "names": [], "SerialNumber": ""},
        "profile": "CA",
        "crl_override": "",
        "label": "",
        "extensions": [EXTENSION],
    }
    return made | changes


def test_the_leaders_form_is_read() -> None:
    found = parse_cross_sign_request(document())
    assert found is not None
    wanted, request = found
    assert (wanted.common_name, wanted.name_count, list(wanted.hosts), wanted.profile) == ("swarm-ca", 0, [], "CA")
    assert (wanted.extensions[0].oid, wanted.extensions[0].critical) == ("2.5.29.19", True)
    assert b"swarm-ca" in request.subject_der


def test_a_request_for_a_node_is_none() -> None:
    assert parse_cross_sign_request(document(profile="")) is None
    assert parse_cross_sign_request({}) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": None},
        {"subject": {"CN": "swarm-ca", "names": "x"}},
        {"certificate_request": 5},
        {"hosts": "x"},
        {"hosts": [5]},
        {"hosts": ["a"] * 17},
        {"extensions": [EXTENSION] * 17},
        {"extensions": [{"id": "2.5.29.19"}]},
        {"extensions": [{**EXTENSION, "critical": 1}]},
    ],
)
def test_another_shape_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(UsageProblem):
        parse_cross_sign_request(document(**changes))


def test_a_request_that_proves_no_key_is_refused() -> None:
    with pytest.raises(CaError):
        parse_cross_sign_request(document(certificate_request="\ud800 none"))
