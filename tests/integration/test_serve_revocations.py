"""The revocation list over HTTPS: for everybody, as OpenSSL reads it, and with what another process revoked."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.serve_clients import SECONDS
from tests.integration.serve_world import ServedHome
from tests.peers.processes import wait_for

PATH = "/api/v1/ca/crl"


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedHome]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    with ServedHome(tmp_path) as home:
        yield home.create().serve()


def test_the_list_follows_what_another_process_revokes(served: ServedHome) -> None:
    (served.directory / "root.pem").write_bytes(served.roots)
    bad = served.identity("auditor")

    def text() -> str:
        answer = served.ask("GET", PATH)
        assert (answer.status, answer.headers["content-type"]) == (200, "application/pkix-crl")
        (served.directory / "list.der").write_bytes(answer.body)
        command = ["openssl", "crl", "-inform", "DER", "-in", "list.der", "-CAfile", "root.pem", "-verify", "-text"]
        done = subprocess.run(command, cwd=served.directory, capture_output=True, text=True, check=True, timeout=30)
        assert "verify OK" in done.stderr
        return done.stdout

    assert bad.serial.upper() not in text()
    assert served.ask("GET", PATH).body == served.ask("GET", PATH).body
    assert served.run("ca", "revoke", bad.serial).returncode == 0
    wait_for(lambda: bad.serial.upper() in text(), timeout=SECONDS, what="the revocation on the list")
