"""Prebuilt DER against ``CertificateBuilder``: for the same values the same bytes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ca.algorithms import SignatureAlgorithm
from ca.hosts import Host, general_names, parse_hosts
from ca.identity import NodeIdentity, NodeRole, subject_of
from ca.profiles import Profile, Validity, extensions_of
from ca.templates import Contents, Template, key_identifier, subject_der_of
from tests.unit.ca.authority import HASHES, PrivateKey, p256, spki_of

ISSUER_KEYS: dict[bool, PrivateKey] = {
    False: p256(),
    True: rsa.generate_private_key(public_exponent=65537, key_size=2048),
}
HOLDER_KEYS = [
    p256(),
    ec.generate_private_key(ec.SECP384R1()),
    ec.generate_private_key(ec.SECP521R1()),
    rsa.generate_private_key(public_exponent=65537, key_size=4096),
]
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=16)
NAMES = st.lists(st.tuples(st.sampled_from([NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME]), TEXTS), min_size=1).map(
    lambda pairs: x509.Name([x509.NameAttribute(oid, text) for oid, text in pairs])
)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2300, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.replace(microsecond=0)
)
HOSTS = st.lists(
    st.from_regex(r"[a-z][a-z0-9-]{0,50}[a-z](\.[a-z]{1,9}){0,3}", fullmatch=True) | st.ip_addresses().map(str),
    min_size=1,
    max_size=12,
).map(parse_hosts)
IDS = st.from_regex(r"[a-z][a-z0-9]{0,30}", fullmatch=True).filter(lambda text: text != "localhost")
IDENTITIES = st.builds(NodeIdentity, cluster_id=IDS, role=st.sampled_from(NodeRole), node_id=IDS)


@st.composite
def validities(draw: st.DrawFn) -> Validity:
    begin = draw(MOMENTS)
    return Validity(not_before=begin, not_after=begin + timedelta(seconds=draw(st.integers(1, 10**9))))


def built(
    template: Template, contents: Contents, issuer: x509.Name, subject: x509.Name, holder: PrivateKey
) -> x509.Certificate:
    """What ``CertificateBuilder`` makes of the same values."""
    made = x509.CertificateBuilder(issuer, subject, holder.public_key(), contents.serial)
    made = made.not_valid_before(contents.validity.not_before).not_valid_after(contents.validity.not_after)
    for extension in extensions_of(template.profile):
        made = made.add_extension(extension.value, critical=extension.critical)
    made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(holder.public_key()), critical=False)
    if template.authority_key_id is not None:
        key_id = x509.AuthorityKeyIdentifier(template.authority_key_id, None, None)
        made = made.add_extension(key_id, critical=False)
    if contents.hosts:
        names = x509.SubjectAlternativeName(general_names(contents.hosts))
        made = made.add_extension(names, critical=False)
    key = ISSUER_KEYS[template.algorithm.is_rsa]
    return made.sign(key, HASHES[template.algorithm.hash_name])


@given(
    profile=st.sampled_from(Profile),
    algorithm=st.sampled_from(SignatureAlgorithm),
    issuer=NAMES,
    subject=NAMES,
    validity=validities(),
    serial=st.integers(1, 2**159 - 1),
    hosts=HOSTS,
    key_id=st.binary(min_size=1, max_size=64),
    holder=st.sampled_from(HOLDER_KEYS),
)
def test_templates_equal_the_builder(
    profile: Profile,
    algorithm: SignatureAlgorithm,
    issuer: x509.Name,
    subject: x509.Name,
    validity: Validity,
    serial: int,
    hosts: tuple[Host, ...],
    key_id: bytes,
    holder: PrivateKey,
) -> None:
    is_root = profile is Profile.ROOT
    template = Template(
        profile=profile,
        algorithm=algorithm,
        issuer=issuer.public_bytes(),
        authority_key_id=None if is_root else key_id,
    )
    contents = Contents(
        serial=serial,
        validity=validity,
        subject=subject.public_bytes(),
        spki_der=spki_of(holder),
        hosts=() if is_root else hosts,
    )
    expected = built(template, contents, issuer, subject, holder)
    tbs = template.tbs(contents)
    assert tbs == expected.tbs_certificate_bytes
    whole = template.certificate(tbs, expected.signature)
    assert whole == expected.public_bytes(serialization.Encoding.DER)


@given(IDENTITIES)
def test_subjects_of_nodes_equal_the_name(identity: NodeIdentity) -> None:
    assert subject_der_of(identity) == subject_of(identity).public_bytes()


@pytest.mark.parametrize("holder", HOLDER_KEYS)
def test_key_identifiers_are_method_1_of_the_rfc(holder: PrivateKey) -> None:
    expected = x509.SubjectKeyIdentifier.from_public_key(holder.public_key()).digest
    assert key_identifier(spki_of(holder)) == expected


@pytest.mark.parametrize("algorithm", SignatureAlgorithm)
def test_algorithm_identifiers_are_those_of_real_signatures(algorithm: SignatureAlgorithm) -> None:
    name = x509.Name([])
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    signed = request.sign(ISSUER_KEYS[algorithm.is_rsa], HASHES[algorithm.hash_name])
    assert signed.signature_algorithm_oid.dotted_string == algorithm.oid
    assert algorithm.der in signed.public_bytes(serialization.Encoding.DER)
    assert isinstance(signed.signature_hash_algorithm, hashes.HashAlgorithm)
    assert signed.signature_hash_algorithm.name == algorithm.hash_name
