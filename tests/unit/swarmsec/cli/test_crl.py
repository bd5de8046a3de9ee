"""``swarmsec ca crl``: a list that OpenSSL reads, believes and acts on."""

from __future__ import annotations

import stat
import subprocess

from tests.unit.swarmsec.cli.program import Program


def openssl(program: Program, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["openssl", *arguments], cwd=program.directory, capture_output=True, text=True, check=False, timeout=30
    )


def issued(program: Program, name: str) -> str:
    """Issue a certificate; returns its serial."""
    return program.good("ca", "issue", "--profile", "server", "--san", name, "--out", name).out.strip()


def test_openssl_refuses_what_is_on_the_list_and_nothing_else(program: Program) -> None:
    serials = {name: issued(program, name) for name in ("good", "bad")}
    program.good("ca", "revoke", serials["bad"])
    program.write("list.pem", program.good("ca", "crl").out)
    text = openssl(program, "crl", "-in", "list.pem", "-noout", "-text", "-verify", "-CAfile", "good/ca.pem")
    assert "verify OK" in text.stderr
    assert serials["bad"].upper() in text.stdout
    assert serials["good"].upper() not in text.stdout
    check = ("verify", "-x509_strict", "-crl_check", "-CRLfile", "list.pem", "-CAfile", "good/ca.pem")
    assert openssl(program, *check, "good/cert.pem").returncode == 0
    refused = openssl(program, *check, "bad/cert.pem")
    assert refused.returncode != 0
    assert "certificate revoked" in refused.stderr


def test_a_file_is_replaced_whole(program: Program) -> None:
    program.write("list.pem", "former")
    first = program.good("ca", "crl", "--out", "list.pem")
    assert first.out == ""
    path = program.directory / "list.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert openssl(program, "crl", "-in", "list.pem", "-noout", "-crlnumber").returncode == 0
    assert program("ca", "crl", "--out", "absent/list.pem").code == 3


def test_the_number_rises_with_revocations_alone(program: Program) -> None:
    first = program.good("ca", "crl", "--json").document
    assert set(first) == {"number", "this_update", "next_update", "revoked", "crl"}
    assert program.good("ca", "crl", "--json").document["number"] == first["number"]
    program.good("ca", "revoke", issued(program, "bad"))
    second = program.good("ca", "crl", "--json", "--out", "list.pem").document
    assert second["number"] > first["number"]
    assert (first["revoked"], second["revoked"], second["file"]) == (0, 1, "list.pem")
    lines = program.good("audit", "log", "--action", "ca.crl").out.splitlines()
    assert len(lines) == 3
    program.good("audit", "verify")


def test_a_home_without_an_authority_has_no_list(homeless: Program) -> None:
    assert homeless("ca", "crl").code == 2
