"""The log over HTTPS: tiles for auditors alone, and a witness that comes as a CI job and hands its cosignature in."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ca.identity import NodeRole
from tests.integration.serve_clients import SECONDS
from tests.integration.serve_world import PROGRAM, ServedHome
from tests.peers import tlog_checker
from tests.peers.processes import ManagedProcess, wait_for


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedHome]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    with ServedHome(tmp_path) as home:
        home.create()
        done = home.run("access", "add", "ci", "--role", "auditor", "--out", str(tmp_path / "ci"))
        assert done.returncode == 0, done.stderr
        yield home.serve()


def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A command of somebody who has no home."""
    return subprocess.run(
        [*PROGRAM, *words], cwd=cwd, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL
    )


def good(*words: str, cwd: Path) -> str:
    done = run(*words, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_auditor_fetches_the_log_and_a_witness_cosigns_it(served: ServedHome) -> None:
    there = served.directory / "elsewhere"
    there.mkdir()
    pinned = served.run("--json", "audit", "prove", "3", "-o", str(there / "3.tlog-proof"))
    assert pinned.returncode == 0, pinned.stderr
    key = pinned.stdout.split('"log_key": "')[1].split('"')[0]
    client = ("--server", served.url, "--identity", str(served.directory / "ci"))

    good(*client, "audit", "export", "--log-key", key, "-o", "evidence", cwd=there)
    log = tlog_checker.Key.read(key)
    head, entries = tlog_checker.export(there / "evidence", log)
    assert len(entries) == head.size

    good("audit", "witness", "init", "--dir", "witness", "--name", "ci.example/w", cwd=there)
    good("audit", "witness", "watch", "--dir", "witness", key, cwd=there)
    refused = run(*client, "audit", "witness", "cosign", "--dir", "witness", cwd=there)
    assert (refused.returncode, "known witness" in refused.stderr) == (1, True), refused
    assert served.run("audit", "witness", "add", str(there / "witness/witness.vkey")).returncode == 0
    printed = good(*client, "audit", "witness", "cosign", "--dir", "witness", cwd=there)
    witness = tlog_checker.Key.read((there / "witness/witness.vkey").read_text().strip())
    assert tlog_checker.checkpoint(printed.encode(), log, (witness,)).witnesses == ("ci.example/w",)
    verified = served.run("audit", "verify", "--require-witness", "1", "--witness", str(there / "witness/witness.vkey"))
    assert (verified.returncode, "ci.example/w cosigned" in verified.stderr) == (0, True), verified.stderr


def test_addresses_of_callers_are_keyed_hashes_where_the_settings_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    with ServedHome(tmp_path) as home:
        home.create(settings='[audit]\nkeyed_hashes = ["addresses"]\n').serve()
        assert home.ask("GET", "/log/checkpoint").status == 403
        home.joined(NodeRole.WORKER, "n2")
        home.stop()
        everything = [json.loads(line) for line in home.run("--json", "audit", "log").stdout.splitlines()]
        assert {"serve.start", "request.refuse"} <= {entry["action"] for entry in everything}
        sources = [entry["source"]["ip"] for entry in everything if "ip" in entry.get("source", {})]
        assert sources
        assert all(ip.startswith("hmac:1:") for ip in sources)
        command = [*PROGRAM, "--home", str(home.home), "--json", "audit", "log", "--match-stdin"]
        asked = subprocess.run(command, input=b"127.0.0.1\n", capture_output=True, timeout=60, check=True)
        assert asked.stdout.count(b'"source"') == len(sources)


def test_only_those_who_may_read_the_log_get_any_of_it(served: ServedHome) -> None:
    paths = ("/log/checkpoint", "/log/tile/0/000.p/1", "/log/tile/entries/000.p/1")
    auditor, signer = served.identity("auditor"), served.identity("driver")
    for path in paths:
        assert served.ask("GET", path).status == 403
        assert served.ask("GET", path, signer).status == 403
        assert served.ask("GET", path, auditor).status == 200
    answer = served.ask("GET", paths[1], auditor)
    assert (len(answer.body), answer.headers["content-type"]) == (32, "application/octet-stream")
    assert "immutable" in answer.headers["cache-control"]
    assert served.ask("GET", "/log/tile/0/999", auditor).status == 404
    for path in ("/log/tile/0/1", "/log/tile/00/000", "/log/tile/0/000.p/256", "/log/tile/x"):
        assert served.ask("GET", path, auditor).status == 400
    assert served.ask("POST", "/log/cosignatures", auditor, b"nothing").status == 400
    assert served.ask("POST", "/log/cosignatures", None, b"nothing").status == 403


def test_the_servers_checkpoint_follows_within_a_second_or_two(served: ServedHome) -> None:
    auditor = served.identity("auditor")

    def size() -> int:
        return int(served.ask("GET", "/log/checkpoint", auditor).body.split(b"\n")[1])

    before = size()
    served.joined(NodeRole.WORKER, "n2")
    wait_for(lambda: size() > before, timeout=SECONDS, what="a checkpoint of the new entries")


def test_a_witness_serves_add_checkpoint_and_what_it_remembers(served: ServedHome) -> None:
    there = served.directory
    made = served.run("audit", "witness", "init", "--dir", str(there / "witness"), "--name", "w.example/served")
    assert made.returncode == 0, made.stderr
    pinned = served.run("--json", "audit", "prove", "3", "-o", str(there / "3.tlog-proof"))
    key = pinned.stdout.split('"log_key": "')[1].split('"')[0]
    good("audit", "witness", "watch", "--dir", "witness", key, cwd=there)
    log = there / "witness.log"
    command = [sys.executable, "-m", "swarmsec", "audit", "witness", "serve", "--dir", str(there / "witness")]
    process = ManagedProcess([*command, "--listen", "127.0.0.1:0"], log=log)
    process.start()
    try:
        process.wait_ready(lambda: "listening on " in log.read_text(), timeout=SECONDS, what="the witness to listen")
        url = log.read_text().partition("listening on ")[2].split()[0]
        assert served.run("audit", "witness", "add", str(there / "witness/witness.vkey"), "--url", url).returncode == 0
        asked = served.run("audit", "witness", "ask")
        assert asked.returncode == 0, asked.stderr
        assert asked.stdout.startswith("w.example/served ")
        _verify_remembered(url, key, there)
        _verify_refusals(url)
    finally:
        process.stop(grace=10)


def _verify_remembered(url: str, key: str, directory: Path) -> None:
    import hashlib
    import urllib.request

    origin = key.partition("+")[0]
    path = f"{url}/{hashlib.sha256(origin.encode()).hexdigest()}/checkpoint"
    with urllib.request.urlopen(path, timeout=SECONDS) as answer:  # loopback
        note = answer.read()
    witness = tlog_checker.Key.read((directory / "witness/witness.vkey").read_text().strip())
    assert tlog_checker.checkpoint(note, tlog_checker.Key.read(key), (witness,)).witnesses == ("w.example/served",)


def _verify_refusals(url: str) -> None:
    import urllib.error
    import urllib.request

    def status(path: str, body: bytes | None) -> int:
        request = urllib.request.Request(url + path, data=body)  # loopback
        try:
            with urllib.request.urlopen(request, timeout=SECONDS) as answer:  # loopback
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    assert status("/add-checkpoint", b"nothing") == 400
    assert status("/add-checkpoint", b"x" * 200_000) == 400
    assert status("/nothing", None) == 404
    other = "other.example/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    assert status("/add-checkpoint", f"old 0\n\n{other}\n\u2014 other.example/log AAAAAAAA\n".encode()) == 404
