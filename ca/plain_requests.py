"""The one form of signing request that nodes send, read in a fraction of the time that the general form takes.

A node asks with a key on P-256, no subject, no attributes and ECDSA with SHA-256 (swarmkit, ca/certificates.go): but
for the point, the signature and two lengths, every octet of such a request is known before. It is compared with them
here, so nothing is left that a parser could understand otherwise. What differs anywhere is not refused but left to
``ca.requests``, which reads every form and accepts exactly the same ones of this form.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ca import der
from ca.algorithms import P256_SPKI_LENGTH, P256_SPKI_START, SignatureAlgorithm

ALGORITHM = SignatureAlgorithm.ECDSA_SHA256
NO_NAME = der.sequence()
_NO_ATTRIBUTES = der.explicit(0, b"")
_POINT = P256_SPKI_LENGTH - len(P256_SPKI_START)
# CertificationRequestInfo (RFC 2986, section 4.1): version, subject, key, attributes.
_INFO = der.sequence(der.integer(0), NO_NAME, bytes(P256_SPKI_LENGTH), _NO_ATTRIBUTES)
_BEFORE_KEY = _INFO[: -P256_SPKI_LENGTH - len(_NO_ATTRIBUTES)]
# The whole has one octet of length in the long form, the signature one in the short form and no unused bits.
_PLAIN = re.compile(
    rb"%b\x81(.)(%b(%b.{%d})%b)%b%b(.)\x00(.+)"
    % (
        re.escape(bytes([der.SEQUENCE])),
        re.escape(_BEFORE_KEY),
        re.escape(P256_SPKI_START),
        _POINT,
        re.escape(_NO_ATTRIBUTES),
        re.escape(ALGORITHM.der),
        re.escape(bytes([der.BIT_STRING])),
    ),
    re.DOTALL,
)
_HEADER = 3
_MAX_SHORT = 0x7F


class PlainRequest(NamedTuple):
    """A request of the plain form; its signature is not verified yet.

    ``info_der`` is what was signed, ``spki_der`` the canonical SubjectPublicKeyInfo whose point nobody has looked at,
    ``signature`` what should be an ECDSA signature.
    """

    info_der: bytes
    spki_der: bytes
    signature: bytes


def split_plain_request(request_der: bytes) -> PlainRequest | None:
    """Take a request of the plain form apart; None for any other bytes.

    Args:
        request_der: of bounded length.
    """
    found = _PLAIN.fullmatch(request_der)
    if found is None:
        return None
    whole, info_der, spki_der, part, signature = found.groups()
    # DER has each length in its shortest form.
    is_plain = _MAX_SHORT < whole[0] == len(request_der) - _HEADER and part[0] == len(signature) + 1 <= _MAX_SHORT
    return PlainRequest(info_der, spki_der, signature) if is_plain else None
