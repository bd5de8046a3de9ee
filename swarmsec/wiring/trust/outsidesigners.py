"""Signers whose keys lie outside every home: in a file, or in a PKCS#11 token by its URI.

They are used on whatever machine has them; a home is not needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner, Key

from notary.changefiles import Brought, ChangeFile, SignaturesFile
from notary.trustkeys import key_of, key_of_spki, material_of
from swarmsec.atomicfile import write_atomically
from swarmsec.errors import AlreadyExists, Denied, Unavailable, UsageProblem
from swarmsec.keys.errors import WrongUnlock
from swarmsec.secretbytes import SecretBytes

MAX_KEY_FILE: Final = 16_384
Ask = Callable[[str], SecretBytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutsideSigner:
    """A key that signs, and its public half as metadata has it."""

    key: Key
    sign: Callable[[bytes], bytes]


def create_key_file(path: Path, passphrase: SecretBytes | None) -> Key:
    """Make a signer's key in a new file that its owner alone can read, and its public half beside it.

    Args:
        path: of the private key; the public one gets the ending ``.pub``.
        passphrase: encrypts the file; None for none.

    Raises:
        AlreadyExists: one of the files exists.
        Unavailable: one cannot be written.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    encryption = BestAvailableEncryption(passphrase.reveal()) if passphrase else NoEncryption()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    try:
        write_atomically(path, private, mode=0o600, exclusive=True)
        write_atomically(public_path(path), public, mode=0o644, exclusive=True)
    except FileExistsError:
        raise AlreadyExists(f"the file {path} or {public_path(path)} exists", hint="name a new file") from None
    except OSError as error:
        raise Unavailable(f"{path} could not be written: {error.strerror}") from None
    return key_of(key.public_key())


def public_path(path: Path) -> Path:
    """Where the public half of a key file lies."""
    return path.with_name(f"{path.name}.pub")


def public_pem(key: Key) -> bytes:
    """A public key as files have it."""
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    return load_der_public_key(material_of(key)).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def signer_of_file(data: bytes, ask: Ask) -> OutsideSigner:
    """Open a private key: PKCS #8 in PEM, with or without a passphrase.

    Raises:
        UsageProblem: it is none.
        WrongUnlock: the passphrase does not fit.
        InvalidKey: it is of a kind that does not count.
    """
    passphrase = ask("passphrase of the key file") if b"ENCRYPTED" in data else None
    try:
        private = load_pem_private_key(data, passphrase.reveal() if passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if passphrase is not None:
            raise WrongUnlock("the passphrase does not open the key file") from None
        raise UsageProblem("expected a private key in PEM (PKCS #8)") from None
    key = key_of(private.public_key())
    signer = CryptoSigner(private, key)
    return OutsideSigner(key=key, sign=lambda data: bytes.fromhex(signer.sign(data).signature))


@contextmanager
def signer_of_token(text: str) -> Iterator[OutsideSigner]:
    """Open a key in a token for as long as it is used.

    Args:
        text: ``pkcs11:token=…;object=…?module-path=…&pin-source=file:…``.

    Raises:
        UsageProblem: the URI cannot be meant.
        NotFound, KeyUnavailable, WrongUnlock: as the token says.
    """
    from swarmsec.keys.tokenaccess import TokenAccess
    from swarmsec.keys.tokens import Tokens
    from swarmsec.keys.tokenuri import parse_token_uri

    uri = parse_token_uri(text)
    if not uri.module_path:
        raise UsageProblem("expected module-path=/PATH in the URI of the token")
    tokens = Tokens(TokenAccess(module=uri.module_path, pin_file=uri.pin_file))
    try:
        signer = tokens.signer(uri)
        yield OutsideSigner(key=key_of_spki(signer.public_key_der), sign=signer.sign)
    finally:
        tokens.close()


def sign_change(change: ChangeFile, signer: OutsideSigner) -> SignaturesFile:
    """Sign every document of a change that this key counts for.

    Raises:
        Denied: it counts for none.
    """
    material = material_of(signer.key)
    brought = []
    for item in change.documents:
        keyids = {
            keyid for quorum in item.quorums for keyid, key in quorum.keys.items() if material_of(key) == material
        }
        signed = item.document.signed
        brought += [
            Brought(role=item.document.role, keyid=keyid, signature=signer.sign(signed).hex())
            for keyid in sorted(keyids)
        ]
    if not brought:
        raise Denied("this key is not one that signs the change", hint="its signers: swarmsec trust pending")
    return SignaturesFile(change_id=change.change_id, signatures=tuple(brought))
