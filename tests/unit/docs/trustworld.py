"""What the examples of ``swarmsec trust`` take for granted."""

from __future__ import annotations

from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.unit.docs.examples import Example
from tests.unit.swarmsec.cli.program import Program

SIGNERS = ("alice", "bob", "carol", "release")


def key_files(program: Program) -> None:
    """A key file and a public key of every signer."""
    for name in SIGNERS:
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (program.directory / program.write(f"{name}.key", private)).chmod(0o600)
        program.write(f"{name}.pub", key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def no_repository(program: Program, example: Example) -> None:
    """Where ``trust init`` begins."""
    key_files(program)


def a_repository(program: Program, example: Example) -> None:
    """A repository with keys of its own, and one image repository that is delegated already."""
    key_files(program)
    program.good("trust", "init", "--yes")
    if "add" not in example.words:
        program.good("trust", "delegate", "add", "registry.example/shop/api")


WORLDS: dict[tuple[str, ...], Callable[[Program, Example], None]] = {
    ("trust", "init"): no_repository,
    ("trust", "status"): a_repository,
    ("trust", "delegate", "add"): a_repository,
    ("trust", "delegate", "remove"): a_repository,
}
