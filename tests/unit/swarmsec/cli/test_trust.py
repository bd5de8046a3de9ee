"""``swarmsec trust``: the ceremony between machines, keys in files and tokens, status, and what is said of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from swarmsec.clock import SystemClock
from tests.unit.swarmsec.cli.program import Program

APP = "registry.example/shop/api"


def make_keys(program: Program, *names: str) -> None:
    for name in names:
        program.good("trust", "key", "create", f"{name}.key", "--plain")


def begin(program: Program) -> str:
    """Three signers elsewhere, and the change that they are to sign, in a file."""
    make_keys(program, "alice", "bob", "carol")
    keys = [word for name in ("alice", "bob", "carol") for word in ("--key", f"{name}.key.pub")]
    answer = program.good("trust", "init", *keys)
    assert "waits for signatures" in answer.err
    program.good("trust", "pending", "-o", "change.json")
    return answer.out.split()[1]


def test_embedded(program: Program) -> None:
    answer = program.good("trust", "init", "--yes", "--json")
    assert answer.document["published"] is True
    status = program.good("trust", "status", "--json").document
    assert status["custody"] == "embedded"
    assert {item["role"]: item["threshold"] for item in status["roles"]}["root"] == 2
    said = program.good("trust", "status")
    assert "one machine holds every root key" in said.err
    assert program.good("policy", "list").out.count("TrustPolicy") == 1
    assert program("trust", "init", "--yes").code == 2


@pytest.mark.parametrize(
    "arguments", [("status",), ("pending",), ("delegate", "add", APP), ("export", "-o", "bundle.json")]
)
def test_what_is_due_is_signed_again_before_anything_else(
    program: Program, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    program.good("trust", "init", "--yes")

    def stamps() -> list[str]:
        entries = program.good("audit", "log", "--json").out.splitlines()
        return [entry for entry in entries if '"trust.refresh"' in entry]

    program.good("trust", *arguments)
    assert stamps() == []
    now = SystemClock().unix_ms
    monkeypatch.setattr(SystemClock, "unix_ms", lambda _: now() + 2 * 3_600_000)
    program("trust", *arguments)
    assert len(stamps()) == 1


def test_a_home_is_made_where_there_is_none(homeless: Program) -> None:
    answer = homeless.good("trust", "init", "--yes", "--recovery-out", "recovery.key")
    assert "made a new home" in answer.err
    assert homeless.good("audit", "verify").code == 0
    assert homeless.good("ca", "init").code == 0


def test_the_ceremony_needs_no_home_for_its_signers(program: Program, tmp_path: Path) -> None:
    change = begin(program)
    lost = tmp_path / "away"
    shutil.move(program.home, lost)
    for name in ("alice", "carol"):
        answer = program.good("trust", "sign", "change.json", "--key", f"{name}.key", "-o", f"{name}.sig", "--yes")
        assert "root version 1, until" in answer.err
        assert "root: 2 of" in answer.err
    shutil.move(lost, program.home)
    assert program.good("trust", "sign", "alice.sig").out == f"pending {change}\n"
    assert program("trust", "status").code == 2
    assert program.good("trust", "sign", "carol.sig").out == f"published {change}\n"
    assert program.good("trust", "pending").out == ""
    assert program.good("trust", "status", "--json").document["custody"] == "external"
    assert program("trust", "sign", "carol.sig").code == 2


def test_a_signer_at_the_home_signs_what_waits(program: Program) -> None:
    begin(program)
    program.good("trust", "sign", "--key", "alice.key", "--yes")
    members = program.good("trust", "pending", "--json").document
    assert [item["missing"]["root"][0]["missing"] for item in members] == [1]
    assert "published" in program.good("trust", "sign", "--key", "bob.key", "--yes").out


def test_a_signer_who_says_no_signs_nothing(program: Program) -> None:
    begin(program)
    answer = program("trust", "sign", "change.json", "--key", "alice.key", "-o", "alice.sig", stdin=b"n\n")
    assert answer.code == 130
    assert not (program.directory / "alice.sig").exists()


def test_a_stranger_s_key_is_refused(program: Program) -> None:
    begin(program)
    make_keys(program, "mallory")
    answer = program("trust", "sign", "change.json", "--key", "mallory.key", "-o", "m.sig", "--yes")
    assert (answer.code, "not one that signs the change" in answer.err) == (1, True)


def test_a_change_that_was_altered_on_the_way_is_signed_for_nothing(program: Program) -> None:
    begin(program)
    change = json.loads((program.directory / "change.json").read_bytes())
    change["documents"] = change["documents"][1:]
    program.write("change.json", json.dumps(change))
    program.good("trust", "sign", "change.json", "--key", "alice.key", "-o", "alice.sig", "--yes")
    program.good("trust", "sign", "alice.sig")
    signatures = json.loads((program.directory / "alice.sig").read_bytes())
    signatures["signatures"][0]["sig"] = "00"
    program.write("alice.sig", json.dumps(signatures))
    answer = program("trust", "sign", "alice.sig")
    assert (answer.code, "is not over version 1" in answer.err) == (2, True)


def test_attack_37_a_change_with_a_member_twice_is_refused(program: Program) -> None:
    begin(program)
    data = (program.directory / "change.json").read_bytes()
    program.write("change.json", data[:-1] + b',"change":"other"}')
    answer = program("trust", "sign", "change.json", "--key", "alice.key", "-o", "a.sig", "--yes")
    assert (answer.code, "a member stands twice" in answer.err) == (2, True)


def test_a_dropped_change_is_gone(program: Program) -> None:
    change = begin(program)
    program.good("trust", "pending", "--drop", change)
    assert program("trust", "pending", "--drop", change).code == 2
    said = program.good("audit", "log", "--action", "trust.drop", "--json").out
    assert change in said
    program.good("trust", "init", "--yes")


def test_keys_are_private_files_and_are_never_overwritten(program: Program) -> None:
    make_keys(program, "alice")
    file = program.directory / "alice.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert program("trust", "key", "create", "alice.key", "--plain").code == 2
    file.chmod(0o644)
    begin_error = program("trust", "sign", "--key", "alice.key")
    assert begin_error.code == 2


def test_a_key_file_may_have_a_passphrase(program: Program) -> None:
    (program.directory / program.write("pass", b"correct horse\n")).chmod(0o600)
    (program.directory / program.write("wrong", b"other\n")).chmod(0o600)
    program.good("--passphrase-file", "pass", "trust", "key", "create", "alice.key")
    assert b"ENCRYPTED" in (program.directory / "alice.key").read_bytes()
    make_keys(program, "bob")
    program.good("trust", "init", "--key", "alice.key.pub", "--key", "bob.key.pub")
    program.good("trust", "pending", "-o", "change.json")
    sign = ("trust", "sign", "change.json", "--key", "alice.key", "-o", "alice.sig", "--yes")
    answer = program("--passphrase-file", "wrong", *sign)
    assert answer.code in {1, 2, 3}
    assert "does not open" in answer.err
    program.good("--passphrase-file", "pass", *sign)


@pytest.mark.parametrize(
    "words",
    [
        ("trust", "init"),
        ("trust", "init", "--yes", "--key", "alice.key.pub"),
        ("trust", "sign"),
        ("trust", "delegate", "add", "registry.example/x:1"),
        ("trust", "key", "rotate", "snapshot", "--add", "alice.key.pub"),
        ("trust", "export", "-o", "b.json"),
        ("trust", "status"),
        ("trust", "key", "show", "home"),
    ],
)
def test_what_cannot_be_meant_is_said(program: Program, words: tuple[str, ...]) -> None:
    make_keys(program, "alice")
    answer = program(*words)
    assert answer.code in {2, 3}
    assert answer.err.startswith("error: ") or "Usage" in answer.err


def test_the_root_s_keys_move_out(program: Program) -> None:
    program.good("trust", "init", "--yes")
    make_keys(program, "alice", "bob")
    program.good("trust", "root", "rotate", "--key", "alice.key.pub", "--key", "bob.key.pub")
    program.good("trust", "sign", "--key", "alice.key", "--yes")
    program.good("trust", "sign", "--key", "bob.key", "--yes")
    assert program.good("trust", "status", "--json").document["custody"] == "external"
    assert "pending" in program.good("trust", "delegate", "add", APP).out


def test_keys_rotate(program: Program) -> None:
    program.good("trust", "init", "--yes")
    program.good("trust", "delegate", "add", APP)
    for role in (APP, "snapshot", "timestamp", "revocations"):
        assert program.good("trust", "key", "rotate", role).out == f"{role} has new keys\n"
    assert program("trust", "key", "rotate", "registry.example/other").code == 2


def test_a_bundle_is_one_file_for_as_long_as_the_root_allows(program: Program) -> None:
    program.good("trust", "init", "--yes")
    program.good("trust", "root", "rotate")
    program.good("trust", "export", "-o", "bundle.json")
    bundle = json.loads((program.directory / "bundle.json").read_bytes())
    assert bundle["format"] == "swarmsec-trust-bundle/1"
    assert {"1.root.json", "2.root.json", "policy/trust.yaml"} <= bundle["metadata"].keys()
    assert "timestamp.json" not in bundle["metadata"]
    answer = program("trust", "export", "-o", "bundle.json", "--ttl", "8d")
    assert (answer.code, "as the root allows" in answer.err) == (2, True)
