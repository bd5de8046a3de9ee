"""Issuing, judged by ``openssl`` and by the verifier of ``cryptography``."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ca.bundle import parse_bundle, write_bundle
from ca.errors import InvalidCertificate, InvalidRequest
from ca.identity import NodeIdentity, NodeRole, hosts_of, identity_of
from ca.issuing import Issuer, fingerprint, issue_root, serial_from
from ca.profiles import Profile, Validity, swarm_node
from tests.unit.ca.authority import (
    NOW,
    VECTORS,
    KeySigner,
    LyingSigner,
    assert_extensions,
    issue_leaf,
    key_id_of,
    new_identity,
    new_issuer,
    new_serial,
    ninety_days,
    openssl,
    p256,
    spki_of,
)

SERVER_AUTH, CLIENT_AUTH = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"
SUBJECT = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca.example.org")])
HOSTS = ("ca.example.org", "localhost", "127.0.0.1", "::1")
PURPOSES = {
    Profile.SWARM_WORKER: f"{SERVER_AUTH} {CLIENT_AUTH}",
    Profile.SWARM_MANAGER: f"{SERVER_AUTH} {CLIENT_AUTH}",
    Profile.SERVER: SERVER_AUTH,
    Profile.CLIENT: CLIENT_AUTH,
}
LEAF_PROFILES = list(PURPOSES)
ISSUERS = {
    "p256": new_issuer(),
    "p384": new_issuer(ec.generate_private_key(ec.SECP384R1()), signature_hash="sha384"),
    "rsa": new_issuer(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
}
ISSUER = ISSUERS["p256"]


def issue(profile: Profile, issuer: Issuer = ISSUER, **changes: Any) -> x509.Certificate:
    """A certificate of a profile, with some arguments changed."""
    role = profile.role
    subject: NodeIdentity | x509.Name = SUBJECT if role is None else new_identity(role)
    arguments: dict[str, Any] = {
        "profile": profile,
        "subject": subject,
        "spki_der": spki_of(p256()),
        "hosts": hosts_of(subject) if isinstance(subject, NodeIdentity) else HOSTS,
        "validity": ninety_days(issuer),
        "serial": new_serial(),
    }
    issued = issue_leaf(issuer, **(arguments | changes))
    return x509.load_der_x509_certificate(issued)


@pytest.mark.parametrize("name", ISSUERS)
def test_a_root_is_as_swarmkits(name: str) -> None:
    root = ISSUERS[name].certificate
    assert root.subject.rfc4514_string() == root.issuer.rfc4514_string() == "CN=swarm-ca"
    assert root.not_valid_after_utc - root.not_valid_before_utc == timedelta(seconds=630720000)
    key_id = x509.SubjectKeyIdentifier.from_public_key(root.public_key()).digest.hex()
    assert_extensions(
        root,
        {
            "KeyUsage": (True, "key_cert_sign crl_sign"),
            "BasicConstraints": (True, "ca=True pathlen=None"),
            "SubjectKeyIdentifier": (False, key_id),
        },
    )
    assert parse_bundle(write_bundle([root])) == (root,)


def test_the_root_of_a_docker_engine_has_the_same_extensions_as_ours() -> None:
    theirs = x509.load_pem_x509_certificate((VECTORS / "docker-20.10.24" / "swarm-root-ca.crt").read_bytes())
    ours = ISSUER.certificate
    for one, other in zip(ours.extensions, theirs.extensions, strict=True):
        assert (one.oid, one.critical) == (other.oid, other.critical)
        assert one.value == other.value or isinstance(one.value, x509.SubjectKeyIdentifier)
    assert ours.subject.rfc4514_string() == theirs.subject.rfc4514_string()


@pytest.mark.parametrize("name", ISSUERS)
@pytest.mark.parametrize("profile", LEAF_PROFILES)
def test_extensions_of_leaves(profile: Profile, name: str) -> None:
    issuer = ISSUERS[name]
    leaf = issue(profile, issuer)
    names = HOSTS if profile.role is None else hosts_of(identity_of(leaf))
    key_id = x509.SubjectKeyIdentifier.from_public_key(leaf.public_key()).digest.hex()
    assert_extensions(
        leaf,
        {
            "KeyUsage": (True, "digital_signature"),
            "ExtendedKeyUsage": (False, PURPOSES[profile]),
            "BasicConstraints": (True, "ca=False pathlen=None"),
            "SubjectKeyIdentifier": (False, key_id),
            "AuthorityKeyIdentifier": (False, key_id_of(issuer.certificate)),
            "SubjectAlternativeName": (False, " ".join(names)),
        },
    )


@pytest.mark.parametrize("role", NodeRole)
def test_a_node_reads_its_identity_back(role: NodeRole) -> None:
    identity = new_identity(role)
    assert identity_of(issue(swarm_node(role), subject=identity, hosts=hosts_of(identity))) == identity


@pytest.mark.parametrize("name", ISSUERS)
@pytest.mark.parametrize("profile", LEAF_PROFILES)
def test_openssl_verifies_strictly(profile: Profile, name: str, tmp_path: Path) -> None:
    issuer = ISSUERS[name]
    leaf = issue(profile, issuer)
    root_file, leaf_file = tmp_path / "root.pem", tmp_path / "leaf.pem"
    root_file.write_bytes(write_bundle([issuer.certificate]))
    leaf_file.write_bytes(write_bundle([leaf]))
    common: list[str | Path] = [
        "verify",
        "-x509_strict",
        "-check_ss_sig",
        "-attime",
        str(int(NOW.timestamp())),
        "-CAfile",
        root_file,
    ]
    openssl(*common, root_file)
    for purpose, oid in (("sslserver", SERVER_AUTH), ("sslclient", CLIENT_AUTH)):
        if oid in PURPOSES[profile]:
            openssl(*common, "-purpose", purpose, leaf_file)


def test_openssl_reads_a_managers_certificate(tmp_path: Path) -> None:
    leaf = issue(Profile.SWARM_MANAGER)
    file = tmp_path / "leaf.pem"
    file.write_bytes(write_bundle([leaf]))
    # How names are printed changed in OpenSSL 3.2.
    text = openssl("x509", "-noout", "-text", "-nameopt", "oneline", "-in", file)
    identity = identity_of(leaf)
    for line in (
        f"Subject: O = {identity.cluster_id}, OU = swarm-manager, CN = {identity.node_id}",
        "Issuer: CN = swarm-ca",
        "Not Before: May  4 09:20:00 2026 GMT",
        "Not After : Aug  2 10:20:00 2026 GMT",
        f"DNS:swarm-manager, DNS:{identity.node_id}, DNS:swarm-ca",
        "X509v3 Key Usage: critical\n                Digital Signature\n",
        "TLS Web Server Authentication, TLS Web Client Authentication\n",
        "X509v3 Basic Constraints: critical\n                CA:FALSE\n",
    ):
        assert line in text


@pytest.mark.parametrize("name", ISSUERS)
def test_the_verifier_of_cryptography_agrees(name: str) -> None:
    issuer = ISSUERS[name]
    verifier = verification.PolicyBuilder().store(verification.Store([issuer.certificate])).time(NOW)
    client = verifier.build_client_verifier()
    server = verifier.build_server_verifier(x509.DNSName("swarm-manager"))
    leaf = issue(Profile.SWARM_MANAGER, issuer)
    assert client.verify(leaf, []).chain == server.verify(leaf, []) == [leaf, issuer.certificate]
    with pytest.raises(verification.VerificationError):
        client.verify(issue(Profile.SERVER, issuer), [])
    with pytest.raises(verification.VerificationError):
        server.verify(issue(Profile.SWARM_WORKER, issuer), [])


def test_times_after_2049_are_read_back_by_openssl(tmp_path: Path) -> None:
    signer = KeySigner(key=p256())
    now = datetime(2049, 12, 31, 23, 30, tzinfo=UTC)
    root = x509.load_der_x509_certificate(issue_root(signer, serial=new_serial(), now=now))
    file = tmp_path / "root.pem"
    file.write_bytes(write_bundle([root]))
    dates = openssl("x509", "-noout", "-dates", "-in", file)
    assert dates == "notBefore=Dec 31 22:30:00 2049 GMT\nnotAfter=Dec 26 22:30:00 2069 GMT\n"


SHORT = timedelta(hours=1)


@pytest.mark.parametrize(
    ("profile", "changes", "reason"),
    [
        (Profile.ROOT, {}, "profile of leaf certificates"),
        (Profile.SWARM_WORKER, {"subject": SUBJECT}, "node's identity"),
        (Profile.SWARM_WORKER, {"subject": new_identity(NodeRole.MANAGER)}, "profile of a manager"),
        (Profile.SERVER, {"subject": new_identity()}, "profile of a worker"),
        (Profile.SWARM_WORKER, {"hosts": ["swarm-worker"]}, "exactly the hosts"),
        (Profile.SWARM_MANAGER, {"hosts": ["swarm-manager", "swarm-ca"]}, "exactly the hosts"),
        (Profile.SERVER, {"subject": x509.Name([])}, "not empty"),
        (Profile.SERVER, {"hosts": []}, "1 to 100 names"),
        (Profile.CLIENT, {"hosts": ["*"]}, "DNS name or an IP address"),
        (Profile.SERVER, {"spki_der": ISSUER.spki_der}, "issuer's own key"),
        (Profile.SERVER, {"spki_der": b""}, "public key in DER"),
        (Profile.SERVER, {"serial": 0}, "positive serial"),
        (Profile.SERVER, {"serial": -(2**100)}, "positive serial"),
        (Profile.SERVER, {"serial": 2**60}, "positive serial"),
        (Profile.SERVER, {"serial": 2**159}, "positive serial"),
        (
            Profile.SERVER,
            {"validity": Validity(not_before=ninety_days(ISSUER).not_before, not_after=ISSUER.not_after + SHORT)},
            "ends with the issuer's",
        ),
    ],
)
def test_what_does_not_fit_is_not_issued(profile: Profile, changes: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        issue(profile, ISSUER, **changes)


@pytest.mark.parametrize(
    "spki_der",
    [b"\x30\x00", bytes.fromhex("300506000301ff"), spki_of(p256())[:-1] + b"\x00"],
    ids=["empty", "no bits", "off the curve"],
)
def test_a_key_that_is_none_does_not_leave(spki_der: bytes) -> None:
    with pytest.raises((InvalidRequest, InvalidCertificate)):
        issue(Profile.SERVER, spki_der=spki_der)


def test_a_leaf_may_end_with_its_issuer() -> None:
    limits = replace(ninety_days(ISSUER), not_after=ISSUER.not_after)
    assert issue(Profile.SERVER, validity=limits).not_valid_after_utc == ISSUER.not_after


def test_a_root_signed_with_another_key_does_not_leave() -> None:
    with pytest.raises(InvalidCertificate, match="signature is not valid"):
        issue_root(LyingSigner(key=p256()), serial=new_serial(), now=NOW)


@pytest.mark.parametrize("name", ["", "x" * 65, "é" * 33, "a\nb", "a\0", "\ud800"])
def test_common_names_of_roots_are_bounded(name: str) -> None:
    with pytest.raises(InvalidRequest, match="common name"):
        issue_root(KeySigner(key=p256()), serial=new_serial(), now=NOW, common_name=name)


def test_roots_may_be_named_by_generation() -> None:
    root = issue_root(KeySigner(key=p256()), serial=new_serial(), now=NOW, common_name="swarm-ca g2")
    assert x509.load_der_x509_certificate(root).subject.rfc4514_string() == "CN=swarm-ca g2"


@given(st.binary(min_size=20, max_size=20))
def test_serials_are_positive_and_always_20_octets(random20: bytes) -> None:
    serial = serial_from(random20)
    octets = serial.to_bytes(20, "big", signed=True)
    assert octets[0] >> 6 == 1
    assert octets[1:] == random20[1:]
    assert octets[0] & 0x3F == random20[0] & 0x3F


@pytest.mark.parametrize("length", [0, 19, 21])
def test_serials_need_20_bytes(length: int) -> None:
    with pytest.raises(InvalidRequest, match="20 random bytes"):
        serial_from(bytes(length))


def test_fingerprints_are_those_of_openssl(tmp_path: Path) -> None:
    root = ISSUER.certificate
    file = tmp_path / "root.pem"
    file.write_bytes(write_bundle([root]))
    shown = openssl("x509", "-noout", "-fingerprint", "-sha256", "-in", file).partition("=")[2].strip()
    assert fingerprint(root.public_bytes(Encoding.DER)) == shown.replace(":", "").lower()
