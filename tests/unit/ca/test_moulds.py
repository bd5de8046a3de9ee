"""Moulds against the general way and ``CertificateBuilder``: the same octets, and nothing else leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from ca.algorithms import P256_SPKI_START, SignatureAlgorithm
from ca.errors import InvalidCertificate
from ca.identity import NodeIdentity, NodeRole, hosts_of, subject_of
from ca.moulds import SERIAL_LENGTH, fits_mould, mould_of
from ca.profiles import Validity, swarm_node
from ca.templates import Contents, Template, subject_der_of
from tests.unit.ca.authority import (
    PrivateKey,
    issue_leaf,
    new_identity,
    new_issuer,
    new_serial,
    ninety_days,
    p256,
    spki_of,
)
from tests.unit.ca.test_templates import IDENTITIES, NAMES, built, validities

ISSUER = new_issuer()
KEYS = [p256() for _ in range(4)]
SERIALS = st.integers(1 << 151, (1 << 159) - 1)


@given(
    identity=IDENTITIES,
    algorithm=st.sampled_from(SignatureAlgorithm),
    issuer=NAMES,
    validity=validities(),
    serial=SERIALS,
    key_id=st.binary(min_size=1, max_size=64),
    holder=st.sampled_from(KEYS),
)
def test_moulds_equal_the_builder_and_the_general_way(
    identity: NodeIdentity,
    algorithm: SignatureAlgorithm,
    issuer: x509.Name,
    validity: Validity,
    serial: int,
    key_id: bytes,
    holder: PrivateKey,
) -> None:
    template = Template(
        profile=swarm_node(identity.role), algorithm=algorithm, issuer=issuer.public_bytes(), authority_key_id=key_id
    )
    mould = mould_of(template, validity, identity)
    parts = mould.parts(serial.to_bytes(SERIAL_LENGTH, "big"), identity.node_id.encode(), spki_of(holder))
    contents = Contents(
        serial=serial,
        validity=validity,
        subject=subject_der_of(identity),
        spki_der=spki_of(holder),
        hosts=hosts_of(identity),
    )
    expected = built(template, contents, issuer, subject_of(identity), holder)
    assert b"".join(parts) == template.tbs(contents) == expected.tbs_certificate_bytes
    mould.verify(expected.public_bytes(serialization.Encoding.DER), parts)


IDENTITY = new_identity()
VALIDITY = ninety_days(ISSUER)
MOULD = mould_of(ISSUER.template(swarm_node(IDENTITY.role)), VALIDITY, IDENTITY)
SERIAL = new_serial()
PARTS = MOULD.parts(SERIAL.to_bytes(SERIAL_LENGTH, "big"), IDENTITY.node_id.encode(), spki_of(KEYS[0]))
GOOD = MOULD.template.certificate(b"".join(PARTS), ISSUER.sign(b"".join(PARTS)))
TBS_END = len(GOOD) - len(MOULD.template.certificate(b"", x509.load_der_x509_certificate(GOOD).signature)) + 2


def test_what_was_asked_leaves() -> None:
    MOULD.verify(GOOD, PARTS)
    assert x509.load_der_x509_certificate(GOOD).subject == subject_of(IDENTITY)


@given(st.integers(0, TBS_END + 11), st.integers(1, 255))
def test_no_octet_of_what_is_signed_or_of_the_frame_may_differ(position: int, difference: int) -> None:
    changed = bytearray(GOOD)
    changed[position] ^= difference
    with pytest.raises(InvalidCertificate):
        MOULD.verify(bytes(changed), PARTS)


@pytest.mark.parametrize("tail", [b"\x00", GOOD])
def test_nothing_follows_a_certificate(tail: bytes) -> None:
    with pytest.raises(InvalidCertificate, match="parsed back"):
        MOULD.verify(GOOD + tail, PARTS)


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ((new_serial(), IDENTITY.node_id, KEYS[0]), "serial"),
        ((SERIAL, new_identity().node_id, KEYS[0]), "node id"),
        ((SERIAL, IDENTITY.node_id, KEYS[1]), "public key"),
    ],
)
def test_other_values_do_not_leave(changed: tuple[int, str, PrivateKey], part: str) -> None:
    serial, node_id, key = changed
    asked = MOULD.parts(serial.to_bytes(SERIAL_LENGTH, "big"), node_id.encode(), spki_of(key))
    with pytest.raises(InvalidCertificate, match=f"got another {part}"):
        MOULD.verify(GOOD, asked)


def test_an_id_of_another_length_needs_another_mould() -> None:
    asked = [part if part != IDENTITY.node_id.encode() else b"short" for part in PARTS]
    made = MOULD.template.certificate(b"".join(asked), b"")
    with pytest.raises(InvalidCertificate):
        MOULD.verify(made, asked)


def test_a_key_that_is_none_does_not_leave() -> None:
    spki_der = P256_SPKI_START + bytes(64)
    parts = MOULD.parts(SERIAL.to_bytes(SERIAL_LENGTH, "big"), IDENTITY.node_id.encode(), spki_der)
    made = MOULD.template.certificate(b"".join(parts), ISSUER.sign(b"".join(parts)))
    with pytest.raises(InvalidCertificate, match="expected a public key"):
        MOULD.verify(made, parts)


@pytest.mark.parametrize(("serial", "fits"), [((1 << 159) - 1, True), (1 << 151, True), ((1 << 151) - 1, False)])
def test_moulds_have_room_for_serials_of_20_octets(serial: int, fits: bool) -> None:
    assert fits_mould(spki_of(KEYS[0]), serial) is fits


def test_other_curves_take_the_general_way() -> None:
    spki_der = spki_of(ec.generate_private_key(ec.SECP384R1()))
    assert not fits_mould(spki_der, SERIAL)
    role = NodeRole.MANAGER
    identity = NodeIdentity(cluster_id=IDENTITY.cluster_id, role=role, node_id=IDENTITY.node_id)
    leaf = issue_leaf(
        ISSUER,
        profile=swarm_node(role),
        subject=identity,
        spki_der=spki_der,
        hosts=hosts_of(identity),
        validity=VALIDITY,
        serial=SERIAL,
    )
    assert x509.load_der_x509_certificate(leaf).subject == subject_of(identity)


def test_a_template_that_writes_other_extensions_casts_no_mould() -> None:
    broken = replace(ISSUER.template(swarm_node(IDENTITY.role)), authority_key_id=b"never seen before")
    object.__setattr__(broken, "_fixed_extensions", b"")
    with pytest.raises(InvalidCertificate, match="got another set of extensions"):
        mould_of(broken, VALIDITY, IDENTITY)
