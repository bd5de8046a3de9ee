"""``swarmsec ca issue``: files as Docker wants them, all there or not at all, or a certificate for a request."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from swarmsec.atomicfile import write_atomically
from swarmsec.wiring.nodes import identityfiles
from tests.unit.docs.world import new_request
from tests.unit.swarmsec.cli.program import Program

FILES = ["ca.pem", "cert.pem", "key.pem"]
SERVER = ("ca", "issue", "--profile", "server", "--san", "docker-1", "--san", "10.0.0.5")


def statuses(program: Program) -> list[str]:
    """The state of every certificate."""
    return [item["status"] for item in program.good("ca", "list", "--json").document]


@pytest.mark.parametrize(
    ("profile", "usage", "purpose"),
    [
        ("server", ExtendedKeyUsageOID.SERVER_AUTH, "sslserver"),
        ("client", ExtendedKeyUsageOID.CLIENT_AUTH, "sslclient"),
    ],
)
def test_the_files_are_those_that_docker_wants(
    program: Program, profile: str, usage: x509.ObjectIdentifier, purpose: str
) -> None:
    made = program.good("ca", "issue", "--profile", profile, *SERVER[4:], "--out", "d", "--json").document
    directory = program.directory / "d"
    assert sorted(path.name for path in directory.iterdir()) == FILES
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "key.pem").stat().st_mode) == 0o600
    certificate = x509.load_pem_x509_certificate((directory / "cert.pem").read_bytes())
    public = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key = load_pem_private_key((directory / "key.pem").read_bytes(), None)
    assert key.public_key().public_bytes(*public) == certificate.public_key().public_bytes(*public)
    attributes = {attribute.oid: attribute.value for attribute in certificate.subject}
    assert attributes[NameOID.COMMON_NAME] == "docker-1"
    assert NameOID.ORGANIZATIONAL_UNIT_NAME not in attributes
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [usage]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["docker-1", "10.0.0.5"]
    assert (directory / "ca.pem").read_text() == program.good("ca", "export").out
    assert (made["name"], made["profile"], made["serial"]) == ("docker-1", profile, f"{certificate.serial_number:x}")
    verify = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.pem", "cert.pem"]
    subprocess.run(verify, cwd=directory, check=True, capture_output=True)


def test_a_request_gets_its_certificate_on_stdout_and_nothing_of_what_it_asks(program: Program) -> None:
    program.write("web.csr", new_request())
    answer = program.good(*SERVER, "--csr", "web.csr")
    certificate = x509.load_pem_x509_certificate(answer.out.encode())
    request = x509.load_pem_x509_csr((program.directory / "web.csr").read_bytes())
    assert certificate.public_key() == request.public_key()
    assert answer.err == ""
    document = program.good(*SERVER, "--hours", "2", "--csr", "web.csr", "--json").document
    assert x509.load_pem_x509_certificate(document["certificate"].encode()).public_key() == request.public_key()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ((), "expected --out DIR or --csr FILE"),
        (("--out", "d", "--csr", "web.csr"), "expected --out DIR or --csr FILE"),
        (("--csr", "absent"), "no file absent"),
        (("--csr", "junk"), "certificate signing request"),
        (("--csr", "large"), "at most"),
        (("--out", "d", "--hours", "0"), "an hour or more"),
        (("--out", "d", "--hours", "99999"), "a life of at most 2160 hours"),
        (("--out", "d", "--san", "swarm-manager"), "names of Swarm roles"),
        (("--out", "d", "--san", "a b"), "expected a DNS name or an IP address"),
        (("--out", "d", "--name", "Not A Name"), "expected a name"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_issues_nothing(
    program: Program, more: tuple[str, ...], message: str
) -> None:
    program.write("web.csr", new_request())
    program.write("junk", "junk")
    program.write("large", b"x" * 20_000)
    answer = program(*SERVER, *more)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert statuses(program) == []


@pytest.mark.parametrize("present", FILES)
def test_files_that_are_there_are_never_replaced(program: Program, present: str) -> None:
    (program.directory / "d").mkdir()
    program.write(f"d/{present}", "mine")
    assert program(*SERVER, "--out", "d").code == 2
    assert (program.directory / "d" / present).read_text() == "mine"
    assert statuses(program) == []


def test_an_identitys_name_is_refused_before_anything_is_made(program: Program) -> None:
    program.good("access", "add", "alice", "--role", "operator", "--out", "alice")
    answer = program(*SERVER, "--name", "alice", "--out", "d")
    assert (answer.code, "belongs to an identity" in answer.err) == (2, True)
    assert not (program.directory / "d").exists()


@pytest.mark.parametrize("failing", FILES)
def test_a_certificate_whose_files_cannot_be_written_is_revoked_again(
    program: Program, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    write = write_atomically

    def full(path: Path, data: bytes, *, mode: int, exclusive: bool = False) -> None:
        if path.name == failing:
            raise OSError(28, "No space left on device")
        write(path, data, mode=mode, exclusive=exclusive)

    program.good(*SERVER, "--out", "first")
    monkeypatch.setattr(identityfiles, "write_atomically", full)
    answer = program(*SERVER, "--out", "d")
    assert answer.code == 3
    assert "No space left on device; the certificate" in answer.err
    assert "was revoked again" in answer.err
    assert list((program.directory / "d").iterdir()) == []
    assert statuses(program) == ["valid", "revoked"]
    monkeypatch.undo()


def test_the_key_is_nowhere_but_in_its_file(program: Program) -> None:
    answer = program.good(*SERVER, "--out", "d")
    key = (program.directory / "d" / "key.pem").read_text().splitlines()[1]
    assert key not in answer.out + answer.err
    assert key not in program.good("audit", "log", "--json").out
    program.good("audit", "verify")


def test_it_is_no_identity_of_the_server(program: Program) -> None:
    program.good("ca", "issue", "--profile", "client", "--san", "deployer", "--out", "d")
    assert program.good("access", "list", "--json").document == []
    assert program("access", "revoke", "deployer").code == 2
    assert program("access", "add", "deployer", "--role", "admin", "--out", "a").code == 2
