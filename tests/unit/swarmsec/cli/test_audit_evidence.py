"""Evidence for others: proofs, exports and consistency, judged by a checker that shares no code with the product."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import pytest

from swarmsec.audit.actions import Action
from swarmsec.audit.entry import ObjectRef
from swarmsec.clock import SystemClock
from swarmsec.wiring.homes.home import open_home
from tests.peers import tlog_checker
from tests.unit.swarmsec.cli.program import Program
from tests.unit.swarmsec.homes import OPERATOR


@pytest.fixture
def exported(program: Program) -> Path:
    """An export in tiles of a log of a few hundred entries."""
    grow(program, 300)
    program.good("audit", "export", "-o", "evidence")
    return program.directory / "evidence"


def grow(program: Program, count: int) -> None:
    """Add entries to the log."""
    home = open_home(program.home)
    event = OPERATOR.event(Action.KEY_REWRAP, ObjectRef(type="test"))
    home.store.write_group([lambda unit: unit.log(event)] * count)
    home.close()


def sql(program: Program, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(program.home / "state.db")) as database, database:
        database.execute(statement, values)


def key_in(directory: Path) -> tlog_checker.Key:
    return tlog_checker.Key.read((directory / "log.vkey").read_text().removesuffix("\n"))


def test_a_proof_is_one_file_that_the_checker_takes(program: Program) -> None:
    answer = program.good("audit", "prove", "3", "--json").document
    key = tlog_checker.Key.read(answer["log_key"])
    index, entry = tlog_checker.tlog_proof((program.directory / "3.tlog-proof").read_bytes(), key)
    assert index == 3
    checked = program.good("audit", "check", "3.tlog-proof", "--log-key", answer["log_key"], "--json").document
    assert checked["entry"] == json.loads(entry)
    assert program.good("audit", "check", "3.tlog-proof").out.encode() == entry + b"\n"


def test_a_proof_is_checked_where_no_home_is(program: Program, homeless: Program) -> None:
    key = program.good("audit", "prove", "3", "--json").document["log_key"]
    shutil.move(program.home, program.directory / "gone")
    assert program.good("audit", "check", "3.tlog-proof", "--log-key", key).code == 0
    assert program("audit", "check", "3.tlog-proof").code == 2


def spoil_extra(text: str) -> str:
    line = text.split("\n")[1].removeprefix("extra ")
    changed = b64decode(line).replace(b"success", b"failure")
    return text.replace(line, b64encode(changed).decode())


@pytest.mark.parametrize(
    ("spoil", "code", "word"),
    [
        (spoil_extra, 4, "is not in the log of this checkpoint"),
        (lambda text: text.replace("index 3", "index 4"), 4, "proof"),
        (lambda text: text.replace("index 3", "index 999"), 4, "expected an entry below"),
        (lambda text: text.replace("\n9\n", "\n8\n"), 4, "does not verify"),
        (lambda text: text.replace("@v1", "@v9"), 2, "expected a proof"),
        (lambda text: "", 2, "expected a proof"),
    ],
)
def test_a_proof_that_was_changed_is_refused(
    program: Program, spoil: Callable[[str], str], code: int, word: str
) -> None:
    program.good("audit", "prove", "3")
    path = program.directory / "3.tlog-proof"
    whole = path.read_text()
    assert spoil(whole) != whole
    path.write_text(spoil(whole))
    answer = program("audit", "check", "3.tlog-proof")
    assert (answer.code, word in answer.err) == (code, True), answer.err


def test_what_cannot_be_proved(program: Program) -> None:
    assert program("audit", "prove", "99").code == 2
    assert program("audit", "check", "nothing").code == 2
    sql(program, "UPDATE audit_entries SET leaf_hash = zeroblob(32) WHERE seq = 2")
    assert "not in the log" in program("audit", "prove", "3").err


def test_an_export_in_tiles_is_whole_for_the_checker_and_for_us(program: Program, exported: Path) -> None:
    head, entries = tlog_checker.export(exported, key_in(exported))
    assert len(entries) == head.size > 300
    answer = program.good("audit", "verify", "--from", "evidence", "--log-key", "evidence/log.vkey", "--json").document
    assert (answer["entries"], answer["root"]) == (head.size, head.root.hex())
    assert answer["checkpoint"].encode() == (exported / "checkpoint").read_bytes()
    assert "lies beside the files" in program.good("audit", "verify", "--from", "evidence").err


def test_an_export_goes_on_where_an_earlier_one_ended(program: Program, exported: Path) -> None:
    grow(program, 300)
    kept = (exported / "tile/0/000").stat().st_mtime_ns
    program.good("audit", "export", "-o", "evidence")
    assert (exported / "tile/0/000").stat().st_mtime_ns == kept
    assert tlog_checker.export(exported, key_in(exported))[0].size > 600


def test_an_export_goes_into_no_directory_of_others(program: Program) -> None:
    (program.directory / "mine").mkdir()
    program.write("mine/thesis.txt", "mine")
    assert program("audit", "export", "-o", "mine").code == 2
    assert [path.name for path in (program.directory / "mine").iterdir()] == ["thesis.txt"]


def test_an_export_is_in_the_log_that_it_exports(program: Program, exported: Path) -> None:
    _, entries = tlog_checker.export(exported, key_in(exported))
    newest = json.loads(entries[-1])
    assert (newest["action"], newest["fields"]["directory"]) == ("audit.export", str(exported))


def cut(path: Path) -> None:
    """Cut the last byte off."""
    path.write_bytes(path.read_bytes()[:-1])


def flip(path: Path) -> None:
    """Flip a bit in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def swap(path: Path) -> None:
    """Exchange the first two hashes."""
    data = path.read_bytes()
    path.write_bytes(data[32:64] + data[:32] + data[64:])


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("tile/0/000", flip),
        ("tile/0/000", swap),
        ("tile/0/000", cut),
        ("tile/0/000", Path.unlink),
        ("tile/1/000.p/1", flip),
        ("tile/1/000.p/1", Path.unlink),
        ("tile/entries/000", flip),
        ("tile/entries/000", cut),
        ("checkpoint", flip),
        ("checkpoint", Path.unlink),
        ("log.vkey", flip),
    ],
)
def test_an_export_that_was_changed_is_refused(
    program: Program, exported: Path, name: str, damage: Callable[[Path], None]
) -> None:
    key = (exported / "log.vkey").read_text().strip()
    program.good("audit", "verify", "--from", "evidence", "--log-key", key)
    damage(exported / name)
    arguments = () if name == "log.vkey" else ("--log-key", key)
    answer = program("audit", "verify", "--from", "evidence", *arguments)
    missing = name in {"checkpoint", "log.vkey"}
    assert answer.code == 4 or (missing and answer.code == 2), answer.err
    with pytest.raises((tlog_checker.Wrong, OSError, ValueError, UnicodeError)):
        tlog_checker.export(exported, key_in(exported))


@pytest.mark.parametrize("name", ["checkpoint", "log.vkey", "tile/0/000", "tile/entries/000", "entries.jsonl"])
def test_a_pipe_among_exported_files_is_refused_and_not_waited_for(program: Program, exported: Path, name: str) -> None:
    (exported / name).unlink(missing_ok=True)
    os.mkfifo(exported / name)
    answer = program("audit", "verify", "--from", "evidence")
    assert (answer.code, "to be a plain file" in answer.err) == (3, True), answer.err


def test_files_that_are_not_there_are_named(program: Program) -> None:
    answer = program("audit", "verify", "--from", "nowhere", "--log-key", "nokey")
    assert (answer.code, "no file nokey" in answer.err, "NAME+ID+BASE64" in answer.err) == (2, True, True)
    answer = program("audit", "verify", "--from", "nowhere")
    assert (answer.code, "no file nowhere" in answer.err, "audit export" in answer.err) == (2, True, True)


def test_a_bundle_that_is_missing_is_named(program: Program, exported: Path) -> None:
    for path in (exported / "tile/entries").glob("001.p/*"):
        path.unlink()
    answer = program("audit", "verify", "--from", "evidence", "--json")
    assert (answer.code, answer.document["first_bad_seq"]) == (4, 256), answer


def test_lines_are_verified_alone_and_with_their_checkpoint(program: Program) -> None:
    program.good("audit", "export", "--format", "jsonl", "-o", "lines")
    answer = program.good("audit", "verify", "--from", "lines", "--json").document
    lines = (program.directory / "lines/entries.jsonl").read_bytes().splitlines()
    assert answer["entries"] == len(lines)
    assert answer["root"] == tlog_checker.mth([tlog_checker.leaf(line) for line in lines]).hex()
    shutil.copy(program.directory / "lines/entries.jsonl", program.directory / "alone.jsonl")
    alone = program.good("audit", "verify", "--from", "alone.jsonl", "--json").document
    assert (alone["root"], alone["checkpoint"]) == (answer["root"], None)
    kept = program.directory / "lines/entries.jsonl"
    kept.write_bytes(b"\n".join(lines[:-1]) + b"\n")
    short = program("audit", "verify", "--from", "lines")
    assert (short.code, "entries were cut off its end" in short.err) == (4, True)
    kept.write_bytes(b"\n".join([lines[1], lines[0], *lines[2:]]) + b"\n")
    assert program("audit", "verify", "--from", "lines", "--json").document["first_bad_seq"] == 0
    kept.write_bytes(b"\n".join(lines))
    assert program("audit", "verify", "--from", "lines").code == 4
    program.write("empty.jsonl", "")
    nothing = program("audit", "verify", "--from", "empty.jsonl")
    assert (nothing.code, "expected entries, got none" in nothing.err) == (4, True), nothing


def test_where_both_forms_lie_both_are_verified(program: Program, exported: Path) -> None:
    lines = program.directory / "lines"
    program.good("audit", "export", "--format", "jsonl", "-o", "lines")
    program.good("audit", "export", "-o", "later")
    assert program("audit", "verify", "--from", "later", "--json").document["formats"] == ["tiles"]
    # A later checkpoint beside them is not that of the lines.
    shutil.copytree(program.directory / "later/tile", lines / "tile")
    assert program("audit", "verify", "--from", "lines").code == 4
    size = program.good("audit", "verify", "--from", "later", "--json").document["entries"]
    held = (program.directory / "later/tile/entries").rglob("*")
    (program.directory / "later/entries.jsonl").write_bytes(b"".join(entries_in(held)))
    answer = program.good("audit", "verify", "--from", "later")
    assert (f"{size} entries" in answer.out, "jsonl, tiles" in answer.err) == (True, True), answer
    both = program.good("audit", "verify", "--from", "later", "--json").document
    assert (both["entries"], both["formats"]) == (size, ["jsonl", "tiles"])
    flip(program.directory / "later/tile/0/000")
    broken = program("audit", "verify", "--from", "later")
    assert (broken.code, "restore" in broken.err, "exported anew" in broken.err) == (4, False, True), broken.err


def entries_in(bundles: Iterable[Path]) -> list[bytes]:
    """The entries of bundles of C2SP tlog-tiles, in order, as lines."""
    data = b"".join(path.read_bytes() for path in sorted(bundles, key=str) if path.is_file())
    found: list[bytes] = []
    while data:
        length = int.from_bytes(data[:2], "big")
        found.append(data[2 : 2 + length] + b"\n")
        data = data[2 + length :]
    return found


def test_an_export_stays_in_the_form_that_it_began_in(program: Program) -> None:
    program.good("audit", "export", "--format", "jsonl", "-o", "lines")
    answer = program("audit", "export", "-o", "lines")
    assert (answer.code, "export as tiles" in answer.err) == (2, True), answer.err
    program.good("audit", "verify", "--from", "lines")
    program.good("audit", "export", "-o", "tiles")
    assert program("audit", "export", "--format", "jsonl", "-o", "tiles").code == 2


def test_what_is_no_directory_is_called_so(program: Program) -> None:
    for answer in (
        program("audit", "export", "-o", "/dev/full"),
        program("access", "add", "joe", "--role", "auditor", "--out", "/dev/full"),
        program("audit", "export", "-o", "recovery.key/below"),
    ):
        assert (answer.code, "Not a directory" in answer.err) == (3, True), answer.err
    assert program.good("access", "list", "--json").document == []


def test_what_is_no_checkpoint_is_a_wrong_argument(program: Program, exported: Path) -> None:
    assert exported.is_dir()
    program.write("note", "nothing of the kind\n")
    for place in ((), ("--from", "evidence")):
        answer = program("audit", "verify", *place, "--against", "note")
        assert (answer.code, "expected a checkpoint in note" in answer.err) == (2, True), answer.err


def test_files_that_are_too_large_are_malformed_and_nothing_else(program: Program, exported: Path) -> None:
    program.write("large", bytes(1_000_000))
    for arguments in (("check", "large"), ("verify", "--against", "large"), ("check", "large", "--log-key", "large")):
        answer = program("audit", *arguments)
        assert (answer.code, "bytes in large, got more" in answer.err) == (2, True), answer.err
    shutil.copy(program.directory / "large", exported / "checkpoint")
    assert program("audit", "verify", "--from", "evidence").code == 4


def test_consistency_with_numbers_and_with_kept_checkpoints(program: Program, exported: Path) -> None:
    grow(program, 5)
    found = program.good("audit", "consistency", "3", "--json").document
    hashes = [b64decode(text) for text in found["proof"]]
    old, new = bytes.fromhex(found["old"]["root"]), bytes.fromhex(found["new"]["root"])
    assert tlog_checker.roots_from_proof(3, found["new"]["size"], hashes, old) == (old, new)
    kept = program.good("audit", "consistency", "evidence/checkpoint", "--json").document
    assert kept["old"]["root"] == tlog_checker.export(exported, key_in(exported))[0].root.hex()
    for wrong in (("9", "3"), ("3", "99999"), ("nothing",)):
        assert program("audit", "consistency", *wrong).code == 2


# Pruning


def age(program: Program, monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    """Let the program's clock be ahead by so many days from now on."""
    real = SystemClock.unix_ms
    monkeypatch.setattr(SystemClock, "unix_ms", lambda self: real(self) + days * 86_400_000)


def test_pruning_takes_content_away_and_no_proof(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(program, 600)
    before = program.good("audit", "verify", "--json").document
    program.good("audit", "prove", "3", "-o", "before.tlog-proof")
    age(program, monkeypatch, 400)
    assert program.good("audit", "prune", "--keep", "13mo", "--dry-run", "--json").document["below"] == 0
    answer = program.good("audit", "prune", "--keep", "300d", "--json").document
    assert (answer["below"], answer["newly"]) == (512, 512)
    after = program.good("audit", "verify", "--json").document
    assert (after["pruned"], after["entries"]) == (512, before["entries"] + 2), "the first verification and the pruning"
    entry = json.loads(program.good("audit", "log", "--action", "audit.prune", "--json").out)
    assert (entry["outcome"], entry["fields"]["below"]) == ("success", 512)
    assert program.good("audit", "check", "before.tlog-proof").code == 0
    program.good("audit", "prove", "3")
    assert "does not carry its entry" in program("audit", "check", "3.tlog-proof").err
    entry = b64decode((program.directory / "before.tlog-proof").read_text().split("\n")[1].removeprefix("extra "))
    program.write("entry", entry)
    assert program.good("audit", "check", "3.tlog-proof", "--entry", "entry").code == 0
    assert program.good("audit", "consistency", "3").code == 0
    first = json.loads(program.good("audit", "log", "--json").out.splitlines()[0])
    assert first["seq"] == 512
    program.good("audit", "export", "-o", "evidence")
    directory = program.directory / "evidence"
    _, entries = tlog_checker.export(directory, key_in(directory), minimum=512)
    assert json.loads(entries[0])["seq"] == 512
    assert program.good("audit", "verify", "--from", "evidence", "--json").document["pruned"] == 512
    program.good("audit", "export", "--format", "jsonl", "-o", "lines")
    assert program.good("audit", "verify", "--from", "lines", "--json").document["pruned"] == 512


def test_a_second_pruning_goes_on_from_the_first(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(program, 300)
    age(program, monkeypatch, 400)
    assert program.good("audit", "prune", "--keep", "300d", "--json").document["below"] == 256
    grow(program, 300)
    program.good("access", "add", "alice", "--role", "auditor", "--out", "alice")
    age(program, monkeypatch, 400)
    assert program.good("audit", "prune", "--keep", "300d", "--json").document["below"] == 512
    assert program.good("audit", "verify", "--json").document["pruned"] == 512


def pruned(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(program, 300)
    age(program, monkeypatch, 400)
    program.good("audit", "prune", "--keep", "300d")


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("UPDATE audit_entries SET data = x'' WHERE seq = 260", "log entry 260"),
        ("UPDATE audit_entries SET leaf_hash = zeroblob(32) WHERE seq = 5", "rewritten"),
        ("DELETE FROM audit_entries WHERE seq = 5", "log entry 5"),
        ("DELETE FROM audit_pruned_rows WHERE row_key = 'store_id'", "is not what was put on record"),
        ("UPDATE audit_pruned_rows SET row_digest = 'x' WHERE row_key = 'store_id'", "does not match its digest"),
        ("DELETE FROM settings WHERE name = 'audit_pruned'", "log entry 0"),
        ("DELETE FROM settings WHERE name = 'cluster_id'", "is missing"),
    ],
)
def test_what_is_done_to_a_pruned_log_is_found(
    program: Program, monkeypatch: pytest.MonkeyPatch, statement: str, word: str
) -> None:
    pruned(program, monkeypatch)
    sql(program, statement)
    answer = program("audit", "verify")
    assert (answer.code, word in answer.err) == (4, True), answer.err


def test_nothing_is_pruned_of_a_log_that_is_not_whole(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    grow(program, 300)
    age(program, monkeypatch, 400)
    sql(program, "UPDATE audit_entries SET data = replace(data, 'success', 'failure') WHERE seq = 3")
    assert program("audit", "prune", "--keep", "300d").code == 4


@pytest.mark.parametrize("keep", ["0d", "13", "13m", "-1d", "1.5y", ""])
def test_what_is_no_time_to_keep_is_usage(program: Program, keep: str) -> None:
    assert program("audit", "prune", "--keep", keep).code == 2


def test_names_that_no_file_can_have_are_refused(program: Program) -> None:
    program.good("audit", "prove", "3")
    long = "n" * 5000
    for key, said in ((long, "no file nnn"), (f"{long}+x", "expected a verifier key NAME+ID+BASE64")):
        answer = program("audit", "check", "3.tlog-proof", "--log-key", key)
        assert (answer.code, said in answer.err) == (2, True), answer.err
    answer = program("audit", "verify", "--from", long)
    assert (answer.code, "File name too long" in answer.err, "hint:" in answer.err) == (3, True, True)
