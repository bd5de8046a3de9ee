"""The key objects in a token: finding one, what it must be, and making one that never leaves.

What an authority signs with must be unable to leave its token (PKCS#11: sensitive and not extractable), an EC key on
P-256 or P-384, and have its public half beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from swarmsec.errors import KeyUnavailable, UsageProblem
from swarmsec.keys.tokenuri import TokenKeyUri
from swarmsec.services.records import KeyKind

_OCTET_STRING: Final = 0x04


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A curve, its object identifier in DER as tokens want it, and what it signs with."""

    curve: ec.EllipticCurve
    parameters: bytes
    algorithm: hashes.HashAlgorithm

    @property
    def coordinate_bytes(self) -> int:
        return self.curve.key_size // 8


CURVES: Final = {
    KeyKind.P256: Curve(
        curve=ec.SECP256R1(), parameters=bytes.fromhex("06082a8648ce3d030107"), algorithm=hashes.SHA256()
    ),
    KeyKind.P384: Curve(curve=ec.SECP384R1(), parameters=bytes.fromhex("06052b81040022"), algorithm=hashes.SHA384()),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKey:
    """A private key in a token, with what can be known of it."""

    uri: TokenKeyUri
    kind: KeyKind
    public_key: ec.EllipticCurvePublicKey
    made_there: bool
    """Whether the token says that it made the key itself and never let it out."""


def private_keys(binding: Any, session: Any, uri: TokenKeyUri) -> Sequence[Any]:
    """The private keys of a name, as handles of the session."""
    wanted = [(binding.CKA_CLASS, binding.CKO_PRIVATE_KEY), (binding.CKA_TOKEN, binding.CK_TRUE)]
    found: Sequence[Any] = session.findObjects([*wanted, *_names(binding, uri)])
    return found


def _names(binding: Any, uri: TokenKeyUri) -> list[tuple[int, object]]:
    label: list[tuple[int, object]] = [(binding.CKA_LABEL, uri.object)] if uri.object else []
    return label + ([(binding.CKA_ID, tuple(uri.id))] if uri.id else [])


def find_key(binding: Any, session: Any, uri: TokenKeyUri) -> TokenKey | None:
    """The one private key of a name, or None.

    Raises:
        UsageProblem: several have it, or it is none that an authority signs with.
    """
    found = private_keys(binding, session, uri)
    if not found:
        return None
    if len(found) > 1:
        raise UsageProblem(f"expected one private key {uri}, got {len(found)}", hint="add id=… to the URI")
    names = ("KEY_TYPE", "SIGN", "SENSITIVE", "EXTRACTABLE", "ID", "LOCAL", "NEVER_EXTRACTABLE")
    values = session.getAttributeValue(found[0], [getattr(binding, f"CKA_{name}") for name in names])
    told = dict(zip(names, values, strict=True))
    if told["KEY_TYPE"] != binding.CKK_EC or not told["SIGN"]:
        raise UsageProblem(f"expected an EC key that signs at {uri}, got another")
    if told["EXTRACTABLE"] is None or told["EXTRACTABLE"] or not told["SENSITIVE"]:
        raise UsageProblem(
            f"expected a key at {uri} that cannot leave its token, got one that can", hint="let ca init make one"
        )
    key_id = bytes(told["ID"] or ())
    kind, public_key = _public_key(binding, session, uri, key_id)
    exact = replace(uri, id=uri.id or key_id, module_path="", pin_file="")
    made_there = bool(told["LOCAL"] and told["NEVER_EXTRACTABLE"])
    return TokenKey(uri=exact, kind=kind, public_key=public_key, made_there=made_there)


def _public_key(
    binding: Any, session: Any, uri: TokenKeyUri, key_id: bytes
) -> tuple[KeyKind, ec.EllipticCurvePublicKey]:
    """The public half, which tokens keep as an object of its own under the same id."""
    by: list[tuple[int, object]] = [(binding.CKA_ID, tuple(key_id))] if key_id else _names(binding, uri)
    found = session.findObjects([(binding.CKA_CLASS, binding.CKO_PUBLIC_KEY), *by])
    if len(found) != 1:
        raise UsageProblem(
            f"expected one public key beside {uri}, got {len(found)}", hint="copy the public key into the token"
        )
    parameters, point = session.getAttributeValue(found[0], [binding.CKA_EC_PARAMS, binding.CKA_EC_POINT])
    for kind, curve in CURVES.items():
        if bytes(parameters or ()) == curve.parameters:
            return kind, _point(curve, bytes(point or ()), uri)
    raise UsageProblem(f"expected a key on P-256 or P-384 at {uri}, got another curve")


def _point(curve: Curve, encoded: bytes, uri: TokenKeyUri) -> ec.EllipticCurvePublicKey:
    """PKCS#11 wants the point as a DER OCTET STRING; some tokens give it bare."""
    size = 1 + 2 * curve.coordinate_bytes
    bare = encoded[2:] if len(encoded) == size + 2 and encoded[:2] == bytes([_OCTET_STRING, size]) else encoded
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve.curve, bare)
    except ValueError:
        raise UsageProblem(f"expected a point of its curve as the public key of {uri}") from None


def remove_public_halves(binding: Any, session: Any, uri: TokenKeyUri) -> None:
    """Remove what an interrupted making left: public keys under an id whose private key was never there.

    Args:
        uri: with an ``id``; without one nothing is removed, because others' keys may have the label.
    """
    if uri.id:
        wanted = [(binding.CKA_CLASS, binding.CKO_PUBLIC_KEY), *_names(binding, uri)]
        for leftover in session.findObjects(wanted):
            session.destroyObject(leftover)


def generate_key(binding: Any, session: Any, uri: TokenKeyUri, kind: KeyKind) -> None:
    """Make a pair of keys whose private one never leaves the token."""
    yes, no = binding.CK_TRUE, binding.CK_FALSE
    names = _names(binding, uri)
    public = [
        (binding.CKA_CLASS, binding.CKO_PUBLIC_KEY),
        (binding.CKA_KEY_TYPE, binding.CKK_EC),
        (binding.CKA_TOKEN, yes),
        (binding.CKA_PRIVATE, no),
        (binding.CKA_VERIFY, yes),
        (binding.CKA_EC_PARAMS, tuple(CURVES[kind].parameters)),
        *names,
    ]
    private = [
        (binding.CKA_CLASS, binding.CKO_PRIVATE_KEY),
        (binding.CKA_KEY_TYPE, binding.CKK_EC),
        (binding.CKA_TOKEN, yes),
        (binding.CKA_PRIVATE, yes),
        (binding.CKA_SENSITIVE, yes),
        (binding.CKA_EXTRACTABLE, no),
        (binding.CKA_SIGN, yes),
        *names,
    ]
    session.generateKeyPair(public, private, binding.MechanismECGENERATEKEYPAIR)


def verify_signature(key: TokenKey, digest: bytes, signature: bytes) -> None:
    """Hold what a token signed against the key that was meant.

    Raises:
        KeyUnavailable: it is another key's.
    """
    try:
        key.public_key.verify(signature, digest, ec.ECDSA(utils.Prehashed(CURVES[key.kind].algorithm)))
    except InvalidSignature:
        raise KeyUnavailable(
            f"the token signed with another key than {key.uri}", hint="put in the token that has the root's key"
        ) from None
