"""Who issues: the certificate is an authority's and the signer has its key."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509

from ca.errors import InvalidCertificate, InvalidRequest
from ca.identity import hosts_of
from ca.issuer import Issuer, subject_key_id, subject_name
from ca.profiles import Profile
from ca.templates import key_identifier
from tests.unit.ca.authority import (
    KeySigner,
    LyingSigner,
    issue_leaf,
    new_identity,
    new_issuer,
    new_root,
    new_serial,
    ninety_days,
    p256,
    spki_of,
)
from tests.unit.ca.foreign_roots import EXTENSIONS, GOOD


def test_an_issuer_needs_its_own_key() -> None:
    key = p256()
    root = new_root(KeySigner(key=key))
    with pytest.raises(InvalidCertificate, match="got another key"):
        Issuer(root, KeySigner(key=p256()))
    with pytest.raises(InvalidCertificate, match="signature is not valid"):
        Issuer(root, LyingSigner(key=key))
    with pytest.raises(InvalidCertificate, match="expected sha256"):
        Issuer(root, KeySigner(key=key, signature_hash="sha1"))


def test_a_leaf_is_no_issuer() -> None:
    key = p256()
    issuer, identity = new_issuer(), new_identity()
    leaf = issue_leaf(
        issuer,
        profile=Profile.SWARM_WORKER,
        subject=identity,
        spki_der=spki_of(key),
        hosts=hosts_of(identity),
        validity=ninety_days(issuer),
        serial=new_serial(),
    )
    with pytest.raises(InvalidCertificate, match="CA:TRUE"):
        Issuer(x509.load_der_x509_certificate(leaf), KeySigner(key=key))


def test_an_issuer_is_named_as_its_certificate_names_it() -> None:
    key = p256()
    root = replace(GOOD, key=key).made()
    issuer = Issuer(root, KeySigner(key=key))
    assert issuer.name == subject_name(root) == root.subject.public_bytes()
    assert issuer.key_id == subject_key_id(root, issuer.spki_der) == b"made elsewhere"
    assert issuer.not_after == root.not_valid_after_utc


def test_an_issuer_without_key_identifier_has_the_usual_one() -> None:
    key = p256()
    issuer = Issuer(replace(GOOD, key=key, extensions=EXTENSIONS[:2]).made(), KeySigner(key=key))
    assert issuer.key_id == key_identifier(spki_of(key))


def test_leaves_have_no_template_of_roots() -> None:
    with pytest.raises(InvalidRequest, match="profile of leaf certificates"):
        new_issuer().template(Profile.ROOT)
    assert new_issuer().authority_template().profile is Profile.ROOT
