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


def a_ceremony(program: Program, example: Example) -> None:
    """A root that waits for signatures, the change in a file, one signer's signatures in another."""
    key_files(program)
    keys = [word for name in SIGNERS[:3] for word in ("--key", f"{name}.pub")]
    program.good("trust", "init", *keys)
    program.good("trust", "pending", "-o", "change.json")
    program.good("trust", "sign", "change.json", "--key", "alice.key", "-o", "alice.sig", "--yes")


WORLDS: dict[tuple[str, ...], Callable[[Program, Example], None]] = {
    ("trust", "init"): no_repository,
    ("trust", "status"): a_repository,
    ("trust", "delegate", "add"): a_repository,
    ("trust", "delegate", "remove"): a_repository,
    ("trust", "export"): a_repository,
    ("trust", "root", "export"): a_repository,
    ("trust", "key", "create"): no_repository,
    ("trust", "key", "rotate"): a_repository,
    ("trust", "key", "show"): no_repository,
    ("trust", "pending"): a_ceremony,
    ("trust", "root", "rotate"): a_repository,
    ("trust", "sign"): a_ceremony,
    ("trust", "token", "create"): a_repository,
}
