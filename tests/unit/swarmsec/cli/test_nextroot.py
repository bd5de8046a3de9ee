"""``swarmsec ca rotate`` to a root made elsewhere: taken over whole, or refused with nothing changed."""

from __future__ import annotations

import json
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.unit.swarmsec.cli.program import Program
from tests.unit.swarmsec.wiring.ca.foreignroots import build_root, key_pem

FILES = ("--import-cert", "root.pem", "--import-key", "root.key")


def give(program: Program, certificate: bytes, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    program.write("root.pem", certificate)
    (program.directory / program.write("root.key", key_pem(key))).chmod(0o600)


def states(program: Program) -> list[str]:
    return [root["state"] for root in program.good("ca", "show", "--json").document["roots"]]


@pytest.mark.parametrize("key", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)])
def test_it_goes_to_the_imported_root_and_issues_under_it(
    program: Program, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
) -> None:
    give(program, build_root(key), key)
    answer = program.good("ca", "rotate", *FILES, "--timeout", "60s", "--json")
    assert answer.document["phase"] == "retired"
    assert "root.key still has it in the clear" in answer.err
    exported = program.good("ca", "export").out
    imported = x509.load_pem_x509_certificate((program.directory / "root.pem").read_bytes())
    assert x509.load_pem_x509_certificate(exported.encode()) == imported
    entries = [json.loads(line) for line in program.good("audit", "log", "--json").out.splitlines()]
    made = next(entry for entry in reversed(entries) if entry["action"] == "ca.root-create")
    assert (made["fields"]["imported"], made["fields"]["root_sha256"]) == (True, answer.document["new_root"])
    program.good("ca", "issue", "--profile", "server", "--san", "db", "--out", "db")
    command = ["openssl", "verify", "-x509_strict", "-CAfile", "root.pem", "db/cert.pem"]
    assert subprocess.run(command, cwd=program.directory, capture_output=True, timeout=30, check=False).returncode == 0
    program.good("audit", "verify")


def test_a_root_that_was_there_before_never_comes_back(program: Program) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    give(program, build_root(key), key)
    program.good("ca", "rotate", *FILES, "--timeout", "60s")
    program.good("ca", "rotate", "--timeout", "60s")
    before = program.good("ca", "show", "--json").out
    again = program("ca", "rotate", *FILES)
    assert (again.code, "the key of the retired root of generation 2" in again.err) == (2, True)
    assert program.good("ca", "show", "--json").out == before
    assert states(program) == ["retired", "retired", "active"]


def test_what_cannot_be_the_next_root_changes_nothing(program: Program) -> None:
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    before = program.good("ca", "show", "--json").out
    for certificate, private, arguments, said in (
        (build_root(key), other, FILES, "key"),
        (build_root(key, days=30), key, FILES, "a year left"),
        (b"", key, FILES, "certificate"),
        (build_root(key), key, FILES[:2], "--import-cert and --import-key together"),
        (build_root(key), key, (*FILES, "--key-type", "p256"), "a type of its own"),
        (build_root(key), key, (*FILES, "--follow"), "got several"),
    ):
        give(program, certificate, private)
        answer = program("ca", "rotate", *arguments)
        assert (answer.code, said in answer.err) == (2, True), answer
    (program.directory / "root.key").chmod(0o644)
    assert "readable by its owner alone" in program("ca", "rotate", *FILES).err
    assert program.good("ca", "show", "--json").out == before
