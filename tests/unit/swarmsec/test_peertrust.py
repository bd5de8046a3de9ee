"""Which certificates a peer may show: those that Docker takes, and no others, whichever Python runs."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from swarmsec.peertrust import bare_context, system_context
from swarmsec.wiring.nodes.authorityclient import key_pem

HOST = "registry.example"
NOW = datetime.now(UTC)
CAN_SIGN = x509.BasicConstraints(ca=True, path_length=None)
CANNOT_SIGN = x509.BasicConstraints(ca=False, path_length=None)


@dataclass(frozen=True, slots=True)
class Issuer:
    """An authority with no more in its certificate than a test gives it."""

    name: x509.Name
    key: ec.EllipticCurvePrivateKey
    pem: str


def issue(
    cn: str, *extensions: x509.ExtensionType, by: Issuer | None = None, ends: timedelta = timedelta(hours=1)
) -> Issuer:
    """A certificate, by itself where no issuer is named."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, cn)])
    builder = x509.CertificateBuilder(
        by.name if by else name,
        name,
        key.public_key(),
        x509.random_serial_number(),
        NOW - timedelta(days=2),
        NOW + ends,
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
    made = builder.sign(by.key if by else key, hashes.SHA256())
    return Issuer(name, key, made.public_bytes(Encoding.PEM).decode())


def server(by: Issuer, name: str = HOST, ends: timedelta = timedelta(hours=1)) -> Issuer:
    """What Docker's documentation gives a daemon: names and a purpose."""
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return issue(name, x509.SubjectAlternativeName([x509.DNSName(name)]), purpose, by=by, ends=ends)


def shake_hands(client: ssl.SSLContext, shown: Issuer, directory: Path, chain: str = "") -> None:
    """A whole handshake in memory.

    Raises:
        ssl.SSLCertVerificationError: the client refuses what is shown.
    """
    (directory / "shown.pem").write_text(key_pem(shown.key).decode() + shown.pem + chain)
    showing = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    showing.load_cert_chain(directory / "shown.pem")
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname=HOST)
    answering = showing.wrap_bio(to_server, to_client, server_side=True)
    for side in (asking, answering, asking, answering):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert asking.version() == "TLSv1.3"


def trusting(context: ssl.SSLContext, *authorities: Issuer) -> ssl.SSLContext:
    context.load_verify_locations(cadata="".join(each.pem for each in authorities))
    return context


@pytest.fixture(params=[bare_context, system_context])
def context(request: pytest.FixtureRequest) -> ssl.SSLContext:
    made = request.param()
    assert isinstance(made, ssl.SSLContext)
    return made


def test_an_authority_as_docker_s_documentation_makes_it_is_taken(context: ssl.SSLContext, tmp_path: Path) -> None:
    root = issue("root", CAN_SIGN)
    shake_hands(trusting(context, root), server(root), tmp_path)


def test_an_authority_below_another_is_taken_alone(context: ssl.SSLContext, tmp_path: Path) -> None:
    middle = issue("middle", CAN_SIGN, by=issue("root", CAN_SIGN))
    shake_hands(trusting(context, middle), server(middle), tmp_path, chain=middle.pem)


@pytest.mark.parametrize(
    ("name", "problem"), [("stranger", "unable to get local issuer certificate"), ("root", "signature failure")]
)
def test_what_is_not_under_an_authority_is_refused(
    context: ssl.SSLContext, tmp_path: Path, name: str, problem: str
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=problem):
        shake_hands(trusting(context, issue("root", CAN_SIGN)), server(issue(name, CAN_SIGN)), tmp_path)


def test_what_may_not_sign_signs_nothing(context: ssl.SSLContext, tmp_path: Path) -> None:
    root = issue("root", CAN_SIGN)
    middle = issue("middle", CANNOT_SIGN, by=root)
    with pytest.raises(ssl.SSLCertVerificationError, match="invalid CA certificate"):
        shake_hands(trusting(context, root), server(middle), tmp_path, chain=middle.pem)


def test_a_key_usage_without_signing_certificates_counts(context: ssl.SSLContext, tmp_path: Path) -> None:
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    root = issue("root", CAN_SIGN, usage)
    with pytest.raises(ssl.SSLCertVerificationError, match="invalid CA certificate"):
        shake_hands(trusting(context, root), server(root), tmp_path)


def test_another_name_and_a_date_that_is_over_are_refused(context: ssl.SSLContext, tmp_path: Path) -> None:
    root = issue("root", CAN_SIGN)
    trusting(context, root)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(context, server(root, "other.example"), tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"):
        shake_hands(context, server(root, ends=timedelta(days=-1)), tmp_path)


def test_nobody_is_trusted_unasked(tmp_path: Path) -> None:
    root = issue("root", CAN_SIGN)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(bare_context(), server(root), tmp_path)
    assert bare_context().cert_store_stats()["x509"] == 0


def test_every_python_asks_for_the_same(context: ssl.SSLContext) -> None:
    flags = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
    assert (context.verify_flags, context.verify_mode, context.check_hostname) == (flags, ssl.CERT_REQUIRED, True)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
