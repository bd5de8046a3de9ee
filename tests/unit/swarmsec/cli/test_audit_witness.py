"""Witnesses: what they cosign, and a log that root and every key of its machine rewrote."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from swarmsec.audit.errors import CheckpointInvalid, LogFormatInvalid, ProofInvalid
from swarmsec.audit.witnessing import AddCheckpoint, OriginUnknown, SizeConflict
from swarmsec.clock import SystemClock
from swarmsec.wiring.log.witnessclient import parse_witness_url
from swarmsec.wiring.log.witnessdir import Witness
from tests.peers import tlog_checker
from tests.unit.swarmsec.cli.program import Program
from tests.unit.swarmsec.cli.test_audit_evidence import grow


@pytest.fixture
def watched(program: Program) -> Program:
    """A home whose log a witness watches, which has cosigned it once."""
    program.good("audit", "witness", "init", "--dir", "witness", "--name", "witness.example/ci")
    program.good("audit", "witness", "add", "witness/witness.vkey")
    program.good("audit", "export", "-o", "evidence")
    program.good("audit", "witness", "watch", "--dir", "witness", "evidence/log.vkey")
    cosign(program)
    return program


def cosign(program: Program) -> None:
    """Export, have it cosigned, and bring the cosignature back, as files that are carried to and fro."""
    program.good("audit", "export", "-o", "evidence")
    program.write("cosigned", program.good("audit", "witness", "cosign", "--dir", "witness", "--from", "evidence").out)
    program.good("audit", "witness", "accept", "cosigned")


PINNED = ("--require-witness", "1", "--witness", "witness/witness.vkey")


def test_a_cosigned_log_verifies_and_so_do_export_and_proof(watched: Program) -> None:
    answer = watched.good("audit", "verify", *PINNED, "--json").document
    assert answer["witnesses"] == ["witness.example/ci"]
    assert watched.good("audit", "verify", "--require-witness", "1").code == 0
    watched.good("audit", "prove", "3")
    checked = watched.good("audit", "check", "3.tlog-proof", *PINNED, "--json").document
    assert checked["witnesses"] == ["witness.example/ci"]
    keys = [(watched.directory / name).read_text().strip() for name in ("evidence/log.vkey", "witness/witness.vkey")]
    log, witness = (tlog_checker.Key.read(text) for text in keys)
    head = tlog_checker.checkpoint((watched.directory / "cosigned").read_bytes(), log, (witness,))
    assert head.witnesses == ("witness.example/ci",)
    listed = watched.good("audit", "witness", "list", "--json").document
    assert listed[0]["size"] == head.size
    shown = watched.good("audit", "witness", "show", "--dir", "witness", "--json").document
    assert shown["logs"][0]["size"] == head.size


def test_a_log_without_witnesses_says_how_to_have_one(program: Program) -> None:
    answer = program("audit", "verify", "--require-witness", "1")
    assert (answer.code, "audit witness add" in answer.err) == (4, True)


def test_a_missing_witness_is_found(program: Program, watched: Program) -> None:
    answer = watched("audit", "verify", "--require-witness", "2")
    assert (answer.code, "2 of 1 known witnesses cosigned, got at most 1" in answer.err) == (4, True)
    watched.good("audit", "witness", "init", "--dir", "other", "--name", "witness.example/other")
    answer = watched("audit", "verify", "--require-witness", "1", "--witness", "other/witness.vkey")
    assert (answer.code, "got at most 0" in answer.err) == (4, True)


def copies(program: Program, name: str) -> None:
    for part in ("authority", "state"):
        shutil.copytree(program.directory / part, program.directory / name / part)


def put_back(program: Program, name: str) -> None:
    for part in ("authority", "state"):
        shutil.rmtree(program.directory / part)
        shutil.copytree(program.directory / name / part, program.directory / part)


@pytest.fixture
def rewritten(watched: Program) -> Program:
    """A home whose owner removed what came last, anchor and all, and went on otherwise: he has root and every key."""
    copies(watched, "before")
    watched.good("access", "add", "mallory", "--role", "admin", "--out", "mallory")
    cosign(watched)
    put_back(watched, "before")
    for _ in range(4):
        watched.good("ca", "token", "worker", "--rotate")
    return watched


def test_a_log_that_root_and_every_key_rewrote_looks_whole_at_home(rewritten: Program) -> None:
    """Which is why there are witnesses."""
    assert rewritten.good("audit", "verify").code == 0


def test_a_log_that_root_and_every_key_rewrote_is_found_through_what_the_witness_has(rewritten: Program) -> None:
    answer = rewritten("audit", "verify", "--against", "cosigned")
    assert (answer.code, "an entry before was rewritten" in answer.err) == (4, True)
    assert rewritten("audit", "consistency", "cosigned").code == 4


def test_a_log_that_root_and_every_key_rewrote_is_not_cosigned_again(rewritten: Program) -> None:
    grow(rewritten, 10)
    rewritten.good("audit", "export", "-o", "forged")
    answer = rewritten("audit", "witness", "cosign", "--dir", "witness", "--from", "forged")
    assert (answer.code, "was rewritten" in answer.err) == (4, True)


def test_a_log_that_was_cut_behind_the_witness_is_found(watched: Program) -> None:
    copies(watched, "before")
    grow(watched, 5)
    cosign(watched)
    put_back(watched, "before")
    shutil.rmtree(watched.directory / "evidence")
    assert watched.good("audit", "verify").code == 0
    answer = watched("audit", "verify", "--against", "cosigned")
    assert (answer.code, "entries were cut off its end" in answer.err) == (4, True)
    watched.good("audit", "export", "-o", "shorter")
    answer = watched("audit", "witness", "cosign", "--dir", "witness", "--from", "shorter")
    assert (answer.code, "this witness has seen" in answer.err) == (4, True)


def test_a_forged_history_in_exported_files_is_found_through_a_kept_checkpoint(rewritten: Program) -> None:
    key = ("--log-key", "evidence/log.vkey")
    for form in ("tiles", "jsonl"):
        rewritten.good("audit", "export", "--format", form, "-o", f"forged-{form}")
        rewritten.good("audit", "verify", "--from", f"forged-{form}", *key)
        answer = rewritten("audit", "verify", "--from", f"forged-{form}", *key, "--against", "cosigned")
        assert (answer.code, "rewritten" in answer.err) == (4, True), answer.err


def test_a_witness_without_its_key_file_or_with_one_that_others_may_read_does_not_cosign(watched: Program) -> None:
    path = watched.directory / "witness/witness.key"
    path.chmod(0o644)
    assert watched("audit", "witness", "show", "--dir", "witness").code == 2
    path.chmod(0o600)
    path.write_text("nothing")
    assert watched("audit", "witness", "show", "--dir", "witness").code == 2
    path.unlink()
    assert watched("audit", "witness", "show", "--dir", "witness").code == 2


def test_a_witness_is_made_once_and_watches_a_name_under_one_key(watched: Program) -> None:
    arguments = ("audit", "witness", "init", "--dir", "witness", "--name", "again")
    assert watched(*arguments).code == 2
    assert watched("audit", "witness", "init", "--dir", "x", "--name", "a b").code == 2
    assert watched("audit", "witness", "watch", "--dir", "witness", "witness/witness.vkey").code == 2
    origin = (watched.directory / "evidence/log.vkey").read_text().partition("+")[0]
    from swarmsec.audit.notes import KeyKind
    from tests.unit.swarmsec.audit.logs import FixedSigner

    other = str(FixedSigner(origin, 5, KeyKind.LOG).key)
    assert watched("audit", "witness", "watch", "--dir", "witness", other).code == 2


def test_strangers_are_not_accepted(watched: Program) -> None:
    watched.good("audit", "witness", "remove", "witness.example/ci")
    answer = watched("audit", "witness", "accept", "cosigned")
    assert (answer.code, "expected a cosignature of a known witness" in answer.err) == (4, True)
    assert watched("audit", "witness", "remove", "witness.example/ci").code == 2
    assert watched("audit", "witness", "add", "evidence/log.vkey").code == 2
    assert watched("audit", "witness", "accept", "evidence/log.vkey").code == 2
    watched.good("audit", "witness", "add", "witness/witness.vkey")
    assert watched("audit", "witness", "add", "witness/witness.vkey").code == 2
    assert watched.good("audit", "witness", "accept", "cosigned").out == ""


@contextmanager
def serving(directory: Path, *, answer: tuple[int, bytes] | None = None) -> Iterator[str]:
    """The witness of a directory, asked over HTTP as C2SP tlog-witness says, or a fixed answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, text = answer or self._decide(body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def _decide(self, body: bytes) -> tuple[int, bytes]:
            try:
                request = AddCheckpoint.parse(body)
                return 200, Witness.load(directory).add_checkpoint(request, SystemClock()).encode()
            except SizeConflict as conflict:
                return 409, b"%d\n" % conflict.known
            except OriginUnknown:
                return 404, b""
            except CheckpointInvalid:
                return 403, b""
            except ProofInvalid:
                return 422, b""
            except LogFormatInvalid:
                return 400, b""

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the library's name
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asked(program: Program, url: str) -> None:
    program.good("audit", "witness", "remove", "witness.example/ci")
    program.good("audit", "witness", "add", "witness/witness.vkey", "--url", url)


def test_a_home_asks_its_witnesses(watched: Program) -> None:
    with serving(watched.directory / "witness") as url:
        asked(watched, url)
        grow(watched, 5)
        found = watched.good("audit", "witness", "ask", "--json").document
        assert found[0]["name"] == "witness.example/ci"
        again = watched.good("audit", "witness", "ask", "witness.example/ci", "--json").document
        assert again == found
        assert watched.good("audit", "verify", *PINNED, "--json").document["witnessed"] == found[0]["size"]
        assert watched("audit", "witness", "ask", "nobody").code == 2


def test_a_rewritten_log_is_told_when_it_asks(rewritten: Program) -> None:
    with serving(rewritten.directory / "witness") as url:
        asked(rewritten, url)
        grow(rewritten, 20)
        answer = rewritten("audit", "witness", "ask")
        assert (answer.code, "has seen another history" in answer.err) == (4, True), answer.err


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (404, b"", 1),
        (403, b"", 1),
        (422, b"", 4),
        (500, b"", 3),
        (200, b"nothing", 2),
        (200, b"\xff", 3),
        (409, b"many", 3),
        (409, b"99999\n", 4),
        (200, b"x" * 70_000, 3),
    ],
)
def test_answers_of_a_witness_that_are_none(watched: Program, status: int, body: bytes, code: int) -> None:
    with serving(watched.directory, answer=(status, body)) as url:
        asked(watched, url)
        assert watched("audit", "witness", "ask").code == code


def test_a_witness_that_cannot_be_reached_is_told(watched: Program) -> None:
    asked(watched, "http://127.0.0.1:1")
    assert watched("audit", "witness", "ask").code == 3


@pytest.mark.parametrize(
    "url",
    ["", "ftp://a", "http://", "http://u:p@host", "http://a?b", "http://a#b", "http://a:99999", "http://[", "a\nb"],
)
def test_addresses_that_are_none(url: str) -> None:
    from swarmsec.errors import UsageProblem

    with pytest.raises(UsageProblem) as caught:
        parse_witness_url(url)
    assert "u:p" not in str(caught.value)
