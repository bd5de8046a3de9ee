"""``swarmsec ca crl``: a list that OpenSSL reads, believes and acts on."""

from __future__ import annotations

import re
import stat
import subprocess

from swarmsec.cli.revoke import REASONS
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
    assert set(first) == {"root_sha256", "number", "this_update", "next_update", "revoked", "last", "crl"}
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


def test_reasons_are_written_as_openssl_reads_them(program: Program) -> None:
    for word in REASONS[1:]:
        program.good("ca", "revoke", issued(program, word.lower()), "--reason", word)
    program.good("ca", "revoke", issued(program, "none"))
    program.write("list.pem", program.good("ca", "crl").out)
    text = openssl(program, "crl", "-in", "list.pem", "-noout", "-text").stdout
    assert text.count("Serial Number:") == len(REASONS)
    named = re.findall(r"X509v3 CRL Reason Code: *\n *([A-Za-z ]+)\n", text)
    assert sorted(named) == [
        "Affiliation Changed",
        "CA Compromise",
        "Cessation Of Operation",
        "Key Compromise",
        "Privilege Withdrawn",
        "Superseded",
    ]


def test_a_root_that_was_given_up_shows_its_last_list_for_ever(program: Program) -> None:
    serial = issued(program, "bad")
    old = program.good("ca", "show", "--json").document["roots"][0]["sha256"]
    program.write("old.pem", program.good("ca", "export").out)
    program.good("ca", "revoke", serial, "--reason", "keyCompromise")
    first = program.good("ca", "crl", "--json").document
    assert (first["root_sha256"], first["last"]) == (old, False)
    program.good("ca", "rotate", "--timeout", "60s")

    last = program.good("ca", "crl", "--root", old, "--json").document
    assert (last["root_sha256"], last["last"], last["revoked"]) == (old, True, 1)
    program.write("last.pem", last["crl"])
    verified = openssl(program, "crl", "-in", "last.pem", "-noout", "-text", "-verify", "-CAfile", "old.pem")
    assert "verify OK" in verified.stderr
    assert "Key Compromise" in verified.stdout
    present = program.good("ca", "crl", "--json").document
    assert present["number"] > last["number"] > first["number"]
    assert [each["number"] for each in program.good("ca", "crl", "--all", "--json").document["lists"]] == [
        present["number"]
    ]
    assert f"the last one, number {last['number']}" in program.good("ca", "show").out
    assert program.good("ca", "crl", "--root", old.upper(), "--json").document["number"] == last["number"]


def test_lists_that_there_are_not(program: Program) -> None:
    unknown = program("ca", "crl", "--root", "00" * 32)
    assert (unknown.code, "no root with SHA-256" in unknown.err) == (2, True)
    both = program("ca", "crl", "--root", "00" * 32, "--all")
    assert (both.code, "not both" in both.err) == (2, True)
