"""Certificates of nodes from moulds: within one issuer, profile, cluster and validity they share nearly all octets.

A mould is cast from a sample that ``ca.templates`` has written and ``ca.checking`` has read whole, for one length of
node ids. After that a certificate is a matter of four values and the octets around them: serial, node id (in the
subject and in the names), key, and identifier of the key. What comes out is parsed back by ``cryptography`` and
compared, part by part and to the last octet, with the four values and with the sample, in which every field was read.
Whatever a mould does not fit, such as a key on another curve, takes the general way and says the same; that both make
the same octets is a property test.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from cryptography import x509

from ca import der
from ca.algorithms import P256_SPKI_LENGTH, P256_SPKI_START, PARSE_ERRORS, parse_public_key
from ca.checking import verify_issued
from ca.errors import InvalidCertificate
from ca.identity import NodeIdentity, NodeRole, hosts_of
from ca.profiles import Validity, extensions_of
from ca.templates import Contents, Template, key_identifier, subject_der_of

SERIAL_LENGTH: Final = 20
KEY_ID_LENGTH: Final = 20
# The point that generates P-256 (SEC 2, section 2.4.2): a key whose private key is 1, for samples that nobody is given.
_SAMPLE_KEY: Final = P256_SPKI_START + bytes.fromhex(
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)
_SAMPLE_SERIAL: Final = 1 << 158
_SAMPLE_SIGNATURE: Final = bytes(64)
# A certificate of 256 to 65,535 octets has two octets of length.
_HEADER: Final = 4
_PARTS: Final = (
    "beginning",
    "serial",
    "issuer, validity or cluster",
    "node id",
    "public key",
    "set of extensions",
    "key identifier",
    "issuer's key identifier or role",
    "name",
    "end",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mould:
    """What the certificates of one kind share.

    Args:
        template: issuer and profile.
        fixed: the octets of the signed part before the serial, between serial and node id, between key and its
            identifier, between that and the node's name, and after it.
        places: where the parts are in a certificate, the fixed ones and those that change, in their order.
    """

    template: Template
    fixed: tuple[bytes, bytes, bytes, bytes, bytes]
    places: tuple[slice, ...]

    def parts(self, serial: bytes, node_id: bytes, spki_der: bytes) -> list[bytes]:
        """The parts of the TBSCertificate to sign, which is all of them joined.

        Args:
            serial: 20 octets, the first from 0x01 to 0x7f.
            node_id: as long as that of the sample.
            spki_der: canonical SubjectPublicKeyInfo on P-256.
        """
        start, cluster, extensions, issuer_key, end = self.fixed
        key_id = key_identifier(spki_der)
        return [start, serial, cluster, node_id, spki_der, extensions, key_id, issuer_key, node_id, end]

    def verify(self, certificate_der: bytes, parts: list[bytes]) -> None:
        """Parse a certificate back and compare all of it with what was asked for, but for its signature.

        Args:
            certificate_der: what is about to leave.
            parts: what was asked for.

        Raises:
            InvalidCertificate: naming the first part that differs.
        """
        _, serial, _, _, spki_der, *_ = parts
        try:
            certificate = x509.load_der_x509_certificate(certificate_der)
            number, signature = certificate.serial_number, certificate.signature
            # Finds what was asked for to be no key.
            parse_public_key(spki_der, refusal=InvalidCertificate)
        except PARSE_ERRORS as error:
            raise InvalidCertificate("expected a certificate that can be parsed back") from error
        # Every octet: what was asked to be signed, and the frame around that and the signature that was read.
        is_whole = certificate_der == self.template.certificate(b"".join(parts), signature)
        if not is_whole or number != int.from_bytes(serial, "big"):
            other = self._other_part(certificate_der, parts)
            raise InvalidCertificate(f"expected the certificate that was asked for, got another {other}")

    def _other_part(self, certificate_der: bytes, parts: list[bytes]) -> str:
        """The name of the first part that is not what was asked for; ``frame`` where it is what stands around them."""
        found = [certificate_der[place] for place in self.places]
        pairs = zip(_PARTS, found, parts, strict=True)
        return next((name for name, one, other in pairs if one != other), "frame")


def fits_mould(spki_der: bytes, serial: int) -> bool:
    """Whether a key and a serial have the lengths that moulds have room for.

    Args:
        spki_der: canonical SubjectPublicKeyInfo, of which nobody has looked at the point.
        serial: positive.
    """
    is_p256 = len(spki_der) == P256_SPKI_LENGTH and spki_der.startswith(P256_SPKI_START)
    return is_p256 and serial.bit_length() // 8 + 1 == SERIAL_LENGTH


def mould_of(template: Template, validity: Validity, identity: NodeIdentity) -> Mould:
    """The mould for the certificate of a node.

    Args:
        template: of the profile of the node's role.
        validity: shared by certificates of the same minute.
        identity: its role and cluster, and the length of its id.

    Raises:
        InvalidCertificate: the template does not write what it should.
    """
    return _cast(template, validity, identity.cluster_id, identity.role, len(identity.node_id))


@lru_cache(maxsize=64)
def _cast(template: Template, validity: Validity, cluster_id: str, role: NodeRole, id_length: int) -> Mould:
    sample = NodeIdentity(cluster_id=cluster_id, role=role, node_id="n" * id_length)
    hosts = hosts_of(sample)
    contents = Contents(
        serial=_SAMPLE_SERIAL,
        validity=validity,
        subject=subject_der_of(sample),
        spki_der=_SAMPLE_KEY,
        hosts=hosts,
    )
    tbs = template.tbs(contents)
    verify_issued(template.certificate(tbs, _SAMPLE_SIGNATURE), template=template, contents=contents)
    # What follows the node's own name among the names.
    after = len(tbs) - sum(2 + len(host) for host in hosts[hosts.index(sample.node_id) + 1 :])
    ends = _ends(template, tbs, id_length, after)
    start, _, cluster, _, _, extensions, _, issuer_key, _, end = (tbs[a:b] for a, b in pairwise([0, *ends]))
    mould = Mould(
        template=template,
        fixed=(start, cluster, extensions, issuer_key, end),
        places=tuple(slice(_HEADER + a, _HEADER + b) for a, b in pairwise([0, *ends])),
    )
    parts = mould.parts(_SAMPLE_SERIAL.to_bytes(SERIAL_LENGTH, "big"), sample.node_id.encode(), _SAMPLE_KEY)
    mould.verify(template.certificate(tbs, _SAMPLE_SIGNATURE), parts)
    return mould


def _ends(template: Template, tbs: bytes, id_length: int, name_end: int) -> list[int]:
    """Where the parts of the TBSCertificate end, told by the elements up to there."""
    version, serial, algorithm, issuer, dates, subject, key, extensions = der.children(tbs)
    (listed,) = der.children(extensions)
    before_key_id = der.children(listed)[: len(extensions_of(template.profile)) + 1]
    header = len(tbs) - sum(map(len, der.children(tbs)))
    serial_end = header + len(version) + len(serial)
    subject_end = serial_end + len(algorithm) + len(issuer) + len(dates) + len(subject)
    key_end = subject_end + len(key)
    key_id_end = len(tbs) - sum(map(len, der.children(listed))) + sum(map(len, before_key_id))
    return [
        serial_end - SERIAL_LENGTH,
        serial_end,
        subject_end - id_length,
        subject_end,
        key_end,
        key_id_end - KEY_ID_LENGTH,
        key_id_end,
        name_end - id_length,
        name_end,
        len(tbs),
    ]
