"""The root that a rotation goes to: made here with its key sealed or in a token, or made elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ca.algorithms import KeyType, accept_key
from ca.errors import InvalidCertificate
from ca.issuing import fingerprint, issue_root, serial_from
from ca.serials import SERIAL_BYTES
from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import now_utc, unix_seconds
from swarmsec.errors import UsageProblem
from swarmsec.services.ca.init_authority import ImportedRoot
from swarmsec.services.ca.show_authority import is_token_key_name
from swarmsec.services.ca.token_roots import TokenRoot, conclude_token_key
from swarmsec.services.ports import Keys, Transaction
from swarmsec.services.records import AuthorityRecord, KeyKind
from swarmsec.services.requester import Field, Requester
from swarmsec.services.rotation.rotation_records import RootState


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRoot:
    """A root made elsewhere whose key was sealed in this home before."""

    certificate: bytes
    """DER."""
    key_name: str
    key_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRoot:
    """What is known of a root before it is there; nothing for one like the present one, its key sealed.

    Args:
        key_kind: of the key, where one is made here; that of the present root without it.
        imported: the root itself, made elsewhere.
        kept: the same, with its key here already.
        in_token: its key, found or made in a token.
        leaves_token: whether the key may be sealed in the home though the present one is in a token.
    """

    key_kind: KeyKind | None = None
    imported: ImportedRoot | None = None
    kept: KeptRoot | None = None
    in_token: TokenRoot | None = None
    leaves_token: bool = False


LIKE_THE_PRESENT: Final = NextRoot()


def make_next_root(
    transaction: Transaction, keys: Keys, active: AuthorityRecord, wanted: NextRoot, requester: Requester
) -> AuthorityRecord:
    """Add the root that follows the active one, and log it.

    Raises:
        UsageProblem: it is one that this authority has or had, or its key is; or a key would leave the tokens
            unasked.
    """
    generation = _next_generation(transaction)
    kind = wanted.key_kind or kind_of_root(active)
    key_name, certificate = _made(transaction, keys, next_key_name(transaction), kind, active, wanted)
    verify_new_root(transaction, certificate)
    record = AuthorityRecord(
        generation=generation,
        certificate=certificate,
        key_name=key_name,
        state=RootState.NEXT.value,
        created=unix_seconds(transaction.clock),
    )
    transaction.authorities.add(record)
    token, imported = wanted.in_token, wanted.imported or wanted.kept
    if token is not None and token.plan is not None:
        conclude_token_key(transaction, requester, token.plan)
    given = token or imported
    fields: Mapping[str, Field] = {
        "key_type": kind.value if given is None else given.key_type,
        "imported": imported is not None,
        **({"key_name": key_name, "made_in_token": token.made_there} if token else {}),
        "root_sha256": fingerprint(certificate),
    }
    target = ObjectRef(type="authority", id=transaction.settings.get("cluster_id") or "", version=generation)
    transaction.log(requester.event(Action.CA_ROOT_CREATE, target, fields=fields))
    return record


def next_key_name(transaction: Transaction) -> str:
    """The name under which the key of the next root is sealed."""
    return f"ca/root/{_next_generation(transaction)}"


def _next_generation(transaction: Transaction) -> int:
    return max((root.generation for root in transaction.authorities.all()), default=0) + 1


def kind_of_root(root: AuthorityRecord) -> KeyKind:
    """The kind of a root's key; where we make none of its kind, such as RSA, the usual one."""
    _, kind = accept_key(x509.load_der_x509_certificate(root.certificate).public_key(), refusal=InvalidCertificate)
    return KeyKind.P384 if kind is KeyType.P384 else KeyKind.P256


def _made(
    transaction: Transaction, keys: Keys, sealed_name: str, kind: KeyKind, active: AuthorityRecord, wanted: NextRoot
) -> tuple[str, bytes]:
    """The name of its key, and the certificate, DER."""
    if wanted.imported is not None:
        keys.put(transaction, sealed_name, wanted.imported.key)
        return sealed_name, wanted.imported.certificate
    if wanted.kept is not None:
        return wanted.kept.key_name, wanted.kept.certificate
    if wanted.in_token is not None:
        key_name = wanted.in_token.key_name
        signer = keys.signer(transaction, key_name)
    elif is_token_key_name(active.key_name) and not wanted.leaves_token:
        raise UsageProblem(
            "this home has its root key in a token, and the next one would not be in one",
            hint="name its place with --pkcs11 URI, or say --sealed",
        )
    else:
        key_name = sealed_name
        signer = keys.create_signer(transaction, key_name, kind)
    clock = transaction.clock
    return key_name, issue_root(signer, serial=serial_from(clock.random(SERIAL_BYTES)), now=now_utc(clock))


def verify_new_root(transaction: Transaction, certificate: bytes) -> None:
    """A root of the authority's past must not come back: what it signed was given up with it.

    Args:
        certificate: DER.

    Raises:
        UsageProblem: the authority has or had a root with this key.
    """
    key = _spki(certificate)
    for root in transaction.authorities.all():
        if _spki(root.certificate) == key:
            raise UsageProblem(
                f"expected a new root with a key of its own, got the key of the {root.state} root of generation"
                f" {root.generation}",
                hint="make another key; the roots are listed by: swarmsec ca show",
            )


def _spki(certificate: bytes) -> bytes:
    public_key = x509.load_der_x509_certificate(certificate).public_key()
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
