"""``swarmsec ca list``, ``ca show`` and ``ca revoke``: every certificate, when it is due, why it was revoked."""

from __future__ import annotations

import json
import re

import pytest

from ca.revocation import Reason
from swarmsec.cli import certificates
from swarmsec.cli.revoke import REASONS
from tests.unit.swarmsec.cli.program import Program


def issued(program: Program, name: str) -> str:
    """Issue a certificate; returns its serial."""
    return program.good("ca", "issue", "--profile", "server", "--san", name, "--out", name).out.strip()


def test_the_words_of_the_option_are_those_of_the_authority() -> None:
    assert tuple(reason.word for reason in Reason) == REASONS


def test_a_reason_is_kept_listed_shown_and_logged(program: Program) -> None:
    serial, other = issued(program, "db"), issued(program, "web")
    answer = program.good("ca", "revoke", "db", "--reason", "keyCompromise", "--comment", "leaked", "--json")
    assert answer.document == {"revoked": [serial], "reason": "keyCompromise"}

    listed = {item["serial"]: item for item in program.good("ca", "list", "--json").document}
    assert (listed[serial]["status"], listed[serial]["reason"]) == ("revoked", "keyCompromise")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", listed[serial]["revoked"])
    assert (listed[other]["reason"], listed[other]["revoked"]) == (None, None)
    rows = [line.split("\t") for line in program.good("ca", "list").out.splitlines()]
    assert ["db", "server", "revoked", listed[serial]["not_after"][:10], "keyCompromise", serial] in rows

    shown = program.good("ca", "show", serial, "--json").document
    assert [each["reason"] for each in shown] == ["keyCompromise"]
    assert (shown[0]["profile"], shown[0]["hosts"]) == ("server", ["db"])
    assert "keyCompromise" in program.good("ca", "show", "db").out
    entry = json.loads(program.good("audit", "log", "--action", "ca.revoke", "--json").out.splitlines()[-1])
    assert (entry["reason"], entry["fields"]["crl_reason"]) == ("leaked", "keyCompromise")
    program.good("audit", "verify")


def test_the_first_reason_stays(program: Program) -> None:
    serial = issued(program, "db")
    program.good("ca", "revoke", serial, "--reason", "superseded")
    again = program.good("ca", "revoke", serial, "--reason", "keyCompromise", "--json").document
    assert again["revoked"] == []
    assert program.good("ca", "show", serial, "--json").document[0]["reason"] == "superseded"


def test_an_identity_that_is_taken_back_has_lost_its_privilege(program: Program) -> None:
    program.good("access", "add", "alice", "--role", "auditor", "--out", "alice")
    program.good("access", "revoke", "alice", "--reason", "left")
    assert program.good("ca", "show", "alice", "--json").document[0]["reason"] == "privilegeWithdrawn"


def test_a_word_that_is_no_reason_changes_nothing(program: Program) -> None:
    serial = issued(program, "db")
    answer = program("ca", "revoke", serial, "--reason", "certificateHold")
    assert (answer.code, "keyCompromise" in answer.err) == (2, True)
    assert program.good("ca", "show", serial, "--json").document[0]["status"] == "valid"


def test_the_beginning_of_a_serial_will_do_where_it_is_one(program: Program) -> None:
    serial = issued(program, "db")
    assert program.good("ca", "show", serial[:8], "--json").document[0]["serial"] == serial
    for target in (serial[:7], "0" * 8, "f" * 41, "nobody"):
        answer = program("ca", "show", target)
        assert (answer.code, "no certificate of a node or serial" in answer.err) == (2, True)
    assert program.good("ca", "revoke", serial[:8].upper()).out.strip() == serial


def test_on_a_terminal_a_table_of_long_words_fits_eighty_columns(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    serial = issued(program, "n" * 25)
    program.good("ca", "revoke", serial, "--reason", "cessationOfOperation")
    monkeypatch.setattr("swarmsec.cli.tables.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    lines = program.good("ca", "list").out.splitlines()
    assert max(map(len, lines)) <= 80
    row = next(line for line in lines if line.startswith("n" * 25))
    assert row.split() == ["n" * 25, "server", "revoked", row.split()[3], "cessation…", serial[:8]]
    assert certificates._SHORT_SERIAL == 8
