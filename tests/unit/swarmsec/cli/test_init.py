"""``swarmsec ca init`` with a root made elsewhere: checked before anything is made, sealed, and then at work."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.unit.swarmsec.cli.program import Program
from tests.unit.swarmsec.wiring.ca.foreignroots import Key, build_root, key_pem

INIT = ("ca", "init", "--recovery-out", "recovery.key", "--import-cert", "root.pem", "--import-key", "root.key")
P256 = ec.generate_private_key(ec.SECP256R1())


def files(program: Program, key: Key, *, mode: int = 0o600) -> Path:
    """Write a root and its key."""
    program.write("root.pem", build_root(key))
    path = program.directory / program.write("root.key", key_pem(key))
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("key", "kind"),
    [(P256, "p256"), (ec.generate_private_key(ec.SECP384R1()), "p384"), (rsa.generate_private_key(65537, 2048), "rsa")],
)
def test_an_imported_root_issues_revokes_and_lists(homeless: Program, key: Key, kind: str) -> None:
    kept = files(homeless, key)
    made = homeless.good(*INIT, "--cluster-id", "shop")
    assert f"{kept.name} still has it in the clear" in made.err
    assert kept.read_bytes() == key_pem(key)
    assert homeless.good("ca", "export").out == (homeless.directory / "root.pem").read_text()
    (entry,) = homeless.good("audit", "log", "--action", "ca.init", "--json").out.splitlines()
    assert f'"imported":true,"key_type":"{kind}"' in entry
    for name in ("good", "bad"):
        homeless.good("ca", "issue", "--profile", "server", "--san", name, "--out", name)
    homeless.good("ca", "revoke", "bad")
    homeless.good("ca", "crl", "--out", "list.pem")
    for name, code in (("good", 0), ("bad", 2)):
        check = ["openssl", "verify", "-x509_strict", "-crl_check", "-CRLfile", "list.pem", "-CAfile", "root.pem"]
        done = subprocess.run([*check, f"{name}/cert.pem"], cwd=homeless.directory, capture_output=True, check=False)
        assert done.returncode == code, done.stderr
    homeless.good("ca", "token", "worker")
    homeless.good("audit", "verify")


def test_the_key_is_nowhere_in_the_clear(homeless: Program) -> None:
    kept = files(homeless, P256)
    answer = homeless.good(*INIT)
    line = kept.read_text().splitlines()[1]
    number = P256.private_numbers().private_value.to_bytes(32, "big")
    assert line not in answer.out + answer.err + homeless.good("audit", "log", "--json").out
    for path in (*homeless.home.rglob("*"), *(homeless.directory / "state").rglob("*")):
        assert not path.is_file() or number not in path.read_bytes(), path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--import-cert", "root.pem"), "--import-cert and --import-key together"),
        (("--import-key", "root.key"), "--import-cert and --import-key together"),
        (("--import-cert", "root.pem", "--import-key", "root.key", "--key-type", "p384"), "expected no --key-type"),
        (("--import-cert", "absent", "--import-key", "root.key"), "no file absent"),
        (("--import-cert", "root.pem", "--import-key", "absent"), "no file absent"),
        (("--import-cert", "root.key", "--import-key", "root.key"), "expected PEM certificates"),
        (("--import-cert", "root.pem", "--import-key", "other.key"), "another key"),
        (("--import-cert", "root.pem", "--import-key", "open.key"), "readable by its owner alone"),
    ],
)
def test_what_cannot_be_imported_leaves_no_home(homeless: Program, arguments: tuple[str, ...], message: str) -> None:
    files(homeless, P256)
    for name, mode in (("other.key", 0o600), ("open.key", 0o644)):
        key = P256 if name == "open.key" else ec.generate_private_key(ec.SECP256R1())
        (homeless.directory / homeless.write(name, key_pem(key))).chmod(mode)
    answer = homeless("ca", "init", *arguments)
    assert answer.code == 2
    assert message in answer.err
    assert not homeless.home.exists()


def test_an_authority_is_not_replaced(program: Program) -> None:
    files(program, P256)
    before = program.good("ca", "export").out
    answer = program("ca", "init", "--import-cert", "root.pem", "--import-key", "root.key")
    assert (answer.code, "is already the authority" in answer.err) == (2, True)
    assert program.good("ca", "export").out == before
