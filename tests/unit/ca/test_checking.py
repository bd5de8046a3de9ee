"""The last look: a certificate that differs in anything from what was asked does not leave."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from ca import der
from ca.algorithms import SignatureAlgorithm, parse_public_key
from ca.checking import verify_issued, verify_issued_signature
from ca.errors import CaError, InvalidCertificate
from ca.identity import hosts_of
from ca.profiles import Profile
from ca.templates import Contents, Template, subject_der_of
from tests.unit.ca.authority import new_identity, new_issuer, new_serial, ninety_days, p256, spki_of

ISSUER = new_issuer()
TEMPLATE = ISSUER.template(Profile.SWARM_WORKER)
IDENTITY = new_identity()
CONTENTS = Contents(
    serial=new_serial(),
    validity=ninety_days(ISSUER),
    subject=subject_der_of(IDENTITY),
    spki_der=spki_of(p256()),
    hosts=hosts_of(IDENTITY),
)


def made(template: Template = TEMPLATE, contents: Contents = CONTENTS) -> bytes:
    tbs = template.tbs(contents)
    return template.certificate(tbs, ISSUER.sign(tbs))


def check(certificate_der: bytes) -> x509.Certificate:
    return verify_issued(certificate_der, template=TEMPLATE, contents=CONTENTS)


def test_what_was_asked_leaves() -> None:
    certificate = check(made())
    assert certificate.serial_number == CONTENTS.serial
    verify_issued_signature(certificate, parse_public_key(ISSUER.spki_der, refusal=CaError), ISSUER.algorithm)


LATER = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("contents", "field"),
    [
        (replace(CONTENTS, serial=new_serial()), "serial"),
        (replace(CONTENTS, subject=subject_der_of(new_identity())), "subject"),
        (replace(CONTENTS, spki_der=spki_of(p256())), "public key"),
        (replace(CONTENTS, hosts=(*CONTENTS.hosts, "swarm-manager")), "set of extensions"),
        (replace(CONTENTS, hosts=CONTENTS.hosts[:1]), "set of extensions"),
        (replace(CONTENTS, hosts=()), "set of extensions"),
        (
            replace(CONTENTS, validity=replace(CONTENTS.validity, not_before=CONTENTS.validity.not_before + LATER)),
            "begin",
        ),
        (replace(CONTENTS, validity=replace(CONTENTS.validity, not_after=CONTENTS.validity.not_after + LATER)), "end"),
    ],
)
def test_other_contents_do_not(contents: Contents, field: str) -> None:
    with pytest.raises(InvalidCertificate, match=f"got another {field}"):
        check(made(contents=contents))


@pytest.mark.parametrize(
    ("template", "field"),
    [
        (replace(TEMPLATE, profile=Profile.ROOT), "set of extensions"),
        (replace(TEMPLATE, profile=Profile.CLIENT), "set of extensions"),
        (replace(TEMPLATE, authority_key_id=None), "set of extensions"),
        (replace(TEMPLATE, authority_key_id=b"another"), "set of extensions"),
        (replace(TEMPLATE, issuer=x509.Name([]).public_bytes()), "issuer"),
        (replace(TEMPLATE, algorithm=SignatureAlgorithm.ECDSA_SHA384), "signature algorithm"),
    ],
)
def test_other_profiles_and_issuers_do_not(template: Template, field: str) -> None:
    with pytest.raises(InvalidCertificate, match=f"got another {field}"):
        check(made(template))


GOOD = made()
TBS_LENGTH = len(der.children(GOOD)[0])


@given(st.integers(0, TBS_LENGTH + 3), st.integers(1, 255))
def test_no_byte_of_what_is_signed_may_differ(position: int, difference: int) -> None:
    changed = bytearray(GOOD)
    changed[position] ^= difference
    with pytest.raises(InvalidCertificate):
        check(bytes(changed))


def test_what_is_no_certificate_does_not_leave() -> None:
    with pytest.raises(InvalidCertificate, match="parsed back"):
        check(b"\x30\x00")


def test_a_signature_of_another_key_is_found() -> None:
    tbs = TEMPLATE.tbs(CONTENTS)
    certificate = check(TEMPLATE.certificate(tbs, new_issuer().sign(tbs)))
    with pytest.raises(InvalidCertificate, match="signature is not valid"):
        verify_issued_signature(certificate, parse_public_key(ISSUER.spki_der, refusal=CaError), ISSUER.algorithm)


def test_a_template_that_writes_other_extensions_is_found_by_its_sample() -> None:
    broken = replace(TEMPLATE, authority_key_id=b"never seen before")
    whole = der.children(der.sequence(broken._fixed_extensions))
    object.__setattr__(broken, "_fixed_extensions", b"".join(whole[:-1]))
    with pytest.raises(InvalidCertificate, match="got another set of extensions"):
        verify_issued(made(broken), template=broken, contents=CONTENTS)
