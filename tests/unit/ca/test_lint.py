"""Random certificates before pkilint, the linter of a public authority: nothing but names of one label is found.

Docker demands such names (its nodes look for ``swarm-manager`` and ``swarm-ca``); RFC 5280 has names in the preferred
syntax of RFC 1034, which the linter takes to have two labels. All else that it says of a certificate is a defect.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pkilint import loader, pkix
from pkilint.pkix import certificate as linting
from pkilint.pkix import crl, extension, name
from pkilint.validation import ValidationFindingSeverity

from ca.bundle import parse_certificate
from ca.identity import NodeIdentity, hosts_of, new_id
from ca.issuing import Issuer, cross_sign, issue_root, serial_from
from ca.profiles import MIN_SHORT_LIFETIME, Profile, Validity, cross_validity, swarm_node, validity
from ca.revocation import build_revocation_list
from ca.revocation_entries import Reason, Revocation
from tests.unit.ca.authority import HASHES, NOW, KeySigner, PrivateKey, issue_leaf, spki_of

SEED: Final = 20_260_504
COUNT: Final = 1000 if os.environ.get("SWARMSEC_SOAK") else 200
SINGLE_LABEL: Final = "pkix.invalid_domain_name_syntax"
Found = set[tuple[str, str]]


def linter() -> Callable[[bytes], Found]:
    """The linter for certificates of RFC 5280: code and field of everything beyond plain information."""
    validator = linting.create_pkix_certificate_validator_container(
        linting.create_decoding_validators(name.ATTRIBUTE_TYPE_MAPPINGS, extension.EXTENSION_MAPPINGS),
        [
            linting.create_issuer_validator_container([]),
            linting.create_validity_validator_container(),
            linting.create_subject_validator_container([]),
            linting.create_extensions_validator_container([]),
            linting.create_spki_validator_container([]),
        ],
    )

    def lint(der: bytes) -> Found:
        return findings(validator.validate(loader.load_certificate(der, "certificate").root))

    return lint


def findings(results: Iterable[Any]) -> Found:
    """Code and words of everything that is more than plain information."""
    return {
        (str(finding.finding.code), str(finding.message))
        for result in results
        for finding in result.finding_descriptions
        if finding.finding.severity is not ValidationFindingSeverity.INFO
    }


class Chance:
    """Random authorities and certificates: what is drawn is the same at each run, keys apart."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._keys: list[PrivateKey] = [
            *(ec.generate_private_key(curve) for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())),
            *(rsa.generate_private_key(65537, bits) for bits in (2048, 3072)),
        ]
        self._holder = rsa.generate_private_key(65537, 2048)
        self.issuers = [self.issuer(key) for key in self._keys]

    def serial(self) -> int:
        return serial_from(self.random.randbytes(20))

    def issuer(self, key: PrivateKey) -> Issuer:
        large = isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size > 256
        signer = KeySigner(key=key, signature_hash="sha384" if large else "sha256")
        common_name = self.random.choice(["swarm-ca", f"swarm-ca {self.random.randrange(100)}"])
        root = issue_root(signer, serial=self.serial(), now=NOW, common_name=common_name)
        return Issuer(x509.load_der_x509_certificate(root), signer)

    def key(self) -> bytes:
        """Of the holder: all kinds, none of them an issuer's."""
        make = self.random.choice([ec.SECP256R1, ec.SECP256R1, ec.SECP384R1, ec.SECP521R1, None])
        return spki_of(ec.generate_private_key(make()) if make else self._rsa())

    def _rsa(self) -> rsa.RSAPrivateKey:
        # One is enough, they take long to make.
        return self._holder

    def label(self, letters: str = "abcdefghijklmnopqrstuvwxyz0123456789") -> str:
        text = "".join(self.random.choices(letters + "-", k=self.random.randint(1, 62)))
        return f"{self.random.choice('abcdefgh')}{text}".rstrip("-")

    def host(self) -> str:
        match self.random.randrange(5):
            case 0:
                return str(IPv4Address(self.random.getrandbits(32)))
            case 1:
                return str(IPv6Address(self.random.getrandbits(128)))
            case 2:
                return self.label()
            case _:
                return ".".join([*(self.label() for _ in range(self.random.randint(1, 2))), "example"])

    def lifetime(self) -> timedelta:
        return timedelta(minutes=self.random.choice([2, 59, 60, 61, 24 * 60, 90 * 1440, 10 * 365 * 1440]))

    def leaf(self) -> bytes:
        issuer = self.random.choice(self.issuers)
        profile = self.random.choice([Profile.SWARM_WORKER, Profile.SWARM_MANAGER, Profile.SERVER, Profile.CLIENT])
        subject, hosts = self.subject(profile)
        lifetime = self.lifetime()
        is_short = lifetime < timedelta(hours=1)
        backdate = timedelta(0) if is_short else timedelta(hours=self.random.choice([0, 1, 24]))
        assert lifetime >= MIN_SHORT_LIFETIME
        return issue_leaf(
            issuer,
            profile=profile,
            subject=subject,
            spki_der=self.key(),
            hosts=hosts,
            validity=validity(
                NOW + timedelta(seconds=self.random.randrange(10 * 365 * 86400)),
                lifetime,
                backdate,
                issuer_not_after=issuer.not_after,
                allow_short=is_short,
            ),
            serial=self.serial(),
        )

    def subject(self, profile: Profile) -> tuple[NodeIdentity | x509.Name, tuple[str, ...]]:
        role = profile.role
        if role is not None:
            node_id = self.random.choice([new_id(self.random.randbytes(17)), self.label()])
            identity = NodeIdentity(cluster_id=new_id(self.random.randbytes(17)), role=role, node_id=node_id)
            assert swarm_node(role) is profile
            return identity, hosts_of(identity)
        hosts = tuple(self.host() for _ in range(self.random.randint(1, 5)))
        names = [(NameOID.ORGANIZATION_NAME, new_id(self.random.randbytes(17))), (NameOID.COMMON_NAME, self.label())]
        return x509.Name([x509.NameAttribute(oid, text) for oid, text in names]), hosts

    def authorities(self) -> Iterator[bytes]:
        """Roots, and each signed by every other."""
        for old in self.issuers:
            yield old.certificate.public_bytes(Encoding.DER)
            for new in self.issuers:
                if new is not old:
                    span = cross_validity(NOW, issuer_not_after=old.not_after, root_not_after=new.not_after)
                    yield cross_sign(old, new_root=new.certificate, serial=self.serial(), validity=span)


@pytest.fixture(scope="module")
def lint() -> Callable[[bytes], Found]:
    return linter()


@pytest.fixture(scope="module")
def chance() -> Chance:
    return Chance(SEED)


def single_labels(der: bytes) -> set[str]:
    names = parse_certificate(der).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {text for text in names.get_values_for_type(x509.DNSName) if "." not in text}


def test_random_leaves_have_no_finding_but_names_of_one_label(chance: Chance, lint: Callable[[bytes], Found]) -> None:
    seen = set()
    for number in range(COUNT):
        der = chance.leaf()
        for code, message in lint(der):
            assert code == SINGLE_LABEL, (number, code, message, der.hex())
            named = [text for text in single_labels(der) if f'"{text}"' in message]
            assert named, (number, message)
            seen.update(named)
    # Without this the linter might have looked at nothing.
    assert {"swarm-worker", "swarm-manager", "swarm-ca"} <= seen


def test_roots_and_cross_signed_roots_have_no_finding(chance: Chance, lint: Callable[[bytes], Found]) -> None:
    for der in chance.authorities():
        assert lint(der) == set()


def crl_linter() -> Callable[[bytes], Found]:
    """The linter for revocation lists of RFC 5280."""
    validator = crl.create_pkix_crl_validator_container(
        [
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [
            crl.create_issuer_validator_container([]),
            crl.create_validity_validator_container([]),
            crl.create_extensions_validator_container([]),
        ],
    )
    return lambda der: findings(validator.validate(loader.load_crl(der, "list").root))


def test_revocation_lists_have_no_finding(chance: Chance) -> None:
    lint_list = crl_linter()
    begin = NOW.replace(microsecond=0)
    week = Validity(not_before=begin, not_after=begin + timedelta(days=7))
    for issuer in chance.issuers:
        for count in (0, 1, 50):
            entries = [
                Revocation(serial=chance.serial(), revoked_at=begin, reason=chance.random.choice(list(Reason)))
                for _ in range(count)
            ]
            number = chance.random.randrange(1, 2**63)
            assert lint_list(build_revocation_list(issuer, number=number, validity=week, entries=entries)) == set()


def test_the_linter_finds_what_a_revocation_list_lacks(chance: Chance) -> None:
    begin = NOW.replace(microsecond=0)
    builder = x509.CertificateRevocationListBuilder().issuer_name(chance.issuers[0].certificate.subject)
    key = ec.generate_private_key(ec.SECP256R1())
    bare = builder.last_update(begin).next_update(begin + timedelta(days=7)).sign(key, HASHES["sha256"])

    assert crl_linter()(bare.public_bytes(Encoding.DER))


def test_the_linter_finds_what_is_wrong_with_a_docker_certificate(lint: Callable[[bytes], Found]) -> None:
    """Docker's own node certificates have keyEncipherment on an EC key: that this is found shows that it looks."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = dict.fromkeys(
        (
            "content_commitment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    built = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "n")]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "swarm-ca")]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW.replace(microsecond=0))
        .not_valid_after(NOW.replace(microsecond=0) + timedelta(days=90))
        .add_extension(x509.KeyUsage(digital_signature=True, key_encipherment=True, **usage), critical=True)
        .sign(key, HASHES["sha256"])
    )
    codes = {code for code, _ in lint(built.public_bytes(Encoding.DER))}
    assert "pkix.key_usage_value_prohibited_for_ec" in codes
