"""``swarmsec access``: identities with exactly one role, files that are all there or not at all."""

from __future__ import annotations

import stat
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from swarmsec.atomicfile import write_atomically
from swarmsec.services.access import manage_access
from swarmsec.wiring.nodes import identityfiles
from tests.unit.swarmsec.cli.program import Program

FILES = ["root-ca.crt", "swarmsec.crt", "swarmsec.key"]


def statuses(program: Program) -> dict[str, str]:
    """Each identity's state by its name."""
    return {item["name"]: item["status"] for item in program.good("access", "list", "--json").document}


def test_an_identity_is_a_key_a_certificate_and_the_root(program: Program) -> None:
    made = program.good("access", "add", "alice", "--role", "operator", "--out", "alice", "--json").document
    directory = program.directory / "alice"
    assert sorted(path.name for path in directory.iterdir()) == FILES
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "swarmsec.key").stat().st_mode) == 0o600
    certificate = x509.load_pem_x509_certificate((directory / "swarmsec.crt").read_bytes())
    (root,) = x509.load_pem_x509_certificates((directory / "root-ca.crt").read_bytes())
    certificate.verify_directly_issued_by(root)
    key = load_pem_private_key((directory / "swarmsec.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(key.curve, ec.SECP256R1)
    public = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert key.public_key().public_bytes(*public) == certificate.public_key().public_bytes(*public)
    assert [item.value for item in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["alice"]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert (made["role"], made["serial"]) == ("operator", f"{certificate.serial_number:x}")
    assert (directory / "root-ca.crt").read_text() == program.good("ca", "export").out


@pytest.mark.parametrize(
    "role",
    [
        "admin",
        "operator",
        "auditor",
        "driver",
        "signer:registry.example/shop/api",
        "signer:docker.io/library/nginx",
        "agent:u6jff6bwy5t4u16541oq1yqb5",
    ],
)
def test_roles_of_people_and_programs_are_given(program: Program, role: str) -> None:
    program.good("access", "add", "one", "--role", role, "--out", "one")
    (listed,) = program.good("access", "list", "--json").document
    assert (listed["role"], listed["status"]) == (role, "valid")
    assert set(listed) == {"name", "role", "status", "serial", "not_before", "not_after"}


@pytest.mark.parametrize(
    ("role", "message"),
    [
        ("node:abc", "nodes get theirs: swarmsec node join"),
        ("swarm-manager:abc", "nodes get theirs"),
        ("anonymous", "got anonymous"),
        ("root", "expected a role, got 'root'"),
        ("Admin", "expected a role"),
        ("admin:x", "expected a role"),
        ("signer", "expected a role"),
        ("signer:", "expected a role"),
        ("signer:nginx", "with a full repository"),
        ("signer:registry.example/*", "with a full repository"),
        ("signer:registry.example/app:1", "with a full repository"),
        ("agent:", "expected a role"),
        ("agent:../x", "expected agent:NODE"),
        ("agent:*", "expected agent:NODE"),
        ("", "expected a role"),
    ],
)
def test_other_roles_are_refused(program: Program, role: str, message: str) -> None:
    answer = program("access", "add", "one", "--role", role, "--out", "one")
    assert answer.code == 2
    assert message in answer.err
    assert not (program.directory / "one").exists()


@pytest.mark.parametrize(
    "name", ["", "-a", "a b", "../a", "a\n", "Ä", "localhost", "swarm-manager", "10.0.0.1", "a" * 64]
)
def test_names_that_a_certificate_should_not_carry_are_refused(program: Program, name: str) -> None:
    assert program("access", "add", "--role", "admin", "--out", "one", "--", name).code == 2
    assert not (program.directory / "one").exists()


def test_a_name_is_free_again_once_revoked(program: Program) -> None:
    program.good("access", "add", "alice", "--role", "operator", "--out", "first")
    answer = program("access", "add", "alice", "--role", "admin", "--out", "second")
    assert answer.code == 2
    assert "swarmsec access revoke alice" in answer.err
    assert not (program.directory / "second").exists()
    program.good("access", "revoke", "alice", "--reason", "left")
    assert statuses(program) == {"alice": "revoked"}
    program.good("access", "add", "alice", "--role", "auditor", "--out", "second")
    assert [item["status"] for item in program.good("access", "list", "--json").document] == ["revoked", "valid"]


def test_a_name_is_free_again_once_expired(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    program.good("access", "add", "alice", "--role", "operator", "--out", "first")
    (listed,) = program.good("access", "list", "--json").document
    end = int(datetime.fromisoformat(listed["not_after"]).timestamp())
    monkeypatch.setattr(manage_access, "unix_seconds", lambda clock: end - 1)
    assert program("access", "add", "alice", "--role", "auditor", "--out", "second").code == 2
    monkeypatch.setattr(manage_access, "unix_seconds", lambda clock: end)
    program.good("access", "add", "alice", "--role", "auditor", "--out", "second")


def test_revoking_twice_says_so_and_unknown_names_are_not_found(program: Program) -> None:
    program.good("access", "add", "alice", "--role", "operator", "--out", "alice")
    assert len(program.good("access", "revoke", "alice", "--json").document["revoked"]) == 1
    again = program.good("access", "revoke", "alice")
    assert (again.out, "was revoked before" in again.err) == ("", True)
    assert program("access", "revoke", "bob").code == 2


def test_only_identities_are_revoked_here(program: Program) -> None:
    serial = program.good("access", "add", "alice", "--role", "operator", "--out", "alice").out.strip()
    assert program("access", "revoke", serial).code == 2
    assert statuses(program) == {"alice": "valid"}


@pytest.mark.parametrize("present", FILES)
def test_files_that_are_there_are_never_replaced(program: Program, present: str) -> None:
    (program.directory / "alice").mkdir()
    program.write(f"alice/{present}", "mine")
    assert program("access", "add", "alice", "--role", "operator", "--out", "alice").code == 2
    assert (program.directory / "alice" / present).read_text() == "mine"
    assert statuses(program) == {}


@pytest.mark.parametrize("failing", FILES)
def test_an_identity_whose_files_cannot_be_written_is_revoked_again(
    program: Program, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    write = write_atomically

    def full(path: Path, data: bytes, *, mode: int, exclusive: bool = False) -> None:
        if path.name == failing:
            raise OSError(28, "No space left on device")
        write(path, data, mode=mode, exclusive=exclusive)

    monkeypatch.setattr(identityfiles, "write_atomically", full)
    answer = program("access", "add", "alice", "--role", "operator", "--out", "alice")
    assert answer.code == 3
    assert "No space left on device; the identity alice was revoked again" in answer.err
    assert list((program.directory / "alice").iterdir()) == []
    assert statuses(program) == {"alice": "revoked"}
    monkeypatch.undo()


def test_the_key_is_nowhere_but_in_its_file(program: Program) -> None:
    answer = program.good("access", "add", "alice", "--role", "operator", "--out", "alice")
    key = (program.directory / "alice" / "swarmsec.key").read_text().splitlines()[1]
    assert key not in answer.out + answer.err
    assert key not in program.good("audit", "log", "--json").out


def test_adding_and_revoking_are_logged(program: Program) -> None:
    program.good("access", "add", "alice", "--role", "operator", "--out", "alice")
    program.good("access", "revoke", "alice")
    lines = program.good("audit", "log", "--action", "access").out.splitlines()
    assert [line.split("\t")[3] for line in lines[1:]] == ["access.add", "access.revoke"]
    program.good("audit", "verify")
