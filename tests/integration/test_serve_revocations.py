"""The revocation list over HTTPS: for everybody, as OpenSSL reads it, and with what another process revoked."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from swarmsec.wiring.nodes.nodefiles import CERTIFICATE
from tests.integration.rotating_nodes import follow, join, openssl, status_of, wait_phase
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


def number_of(listed: x509.CertificateRevocationList) -> int:
    return listed.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number


def later_list(served: ServedHome, root: str, number: int) -> x509.CertificateRevocationList | None:
    """A root's list, where it is a later one than that of a number."""
    listed = x509.load_der_x509_crl(served.ask("GET", f"{PATH}/{root}").body)
    return listed if number_of(listed) > number else None


def test_each_root_has_its_list_while_one_takes_the_place_of_the_other(served: ServedHome, tmp_path: Path) -> None:
    (tmp_path / "old.pem").write_bytes(served.roots)
    gone, node, other = (join(served, tmp_path, name) for name in ("gone", "a", "b"))
    assert served.run("ca", "revoke", "gone", "--reason", "keyCompromise").returncode == 0
    assert served.run("ca", "rotate", "--detach").returncode == 0
    # The first took the bundle alone, so that the rotation waits for its renewal however long the rest takes.
    for each in (other, node):
        assert follow(served, each).returncode == 0
    wait_phase(served, "reissuing")
    roots = json.loads(served.run("ca", "show", "--json").stdout)["roots"]
    old, new = (root["sha256"] for root in roots)
    lists = [x509.load_der_x509_crl(served.ask("GET", path).body) for path in (PATH, f"{PATH}/{old}", f"{PATH}/{new}")]
    number = [number_of(listed) for listed in lists]
    assert number[0] == number[1] < number[2]
    assert [len(listed) for listed in lists] == [1, 1, 0]

    exported = served.run("ca", "crl", "--all", "--out", str(tmp_path / "lists.pem"))
    assert exported.returncode == 0, exported
    check = ("verify", "-x509_strict", "-no-CApath", "-crl_check", "-CRLfile", str(tmp_path / "lists.pem"))
    trust = ("-CAfile", str(tmp_path / "old.pem"))
    assert b"certificate revoked" in openssl(*check, *trust, str(gone / CERTIFICATE)).stderr
    file = str(node / CERTIFICATE)
    assert openssl(*check, *trust, "-untrusted", file, file).returncode == 0

    while not status_of(served).is_over:
        for each in (other, node):
            assert follow(served, each).returncode == 0
        time.sleep(0.3)
    last = wait_for(lambda: later_list(served, old, number[2]), timeout=SECONDS, what="the last list of the old root")
    assert last is not None
    (tmp_path / "last.der").write_bytes(last.public_bytes(Encoding.DER))
    judged = openssl("crl", "-inform", "DER", "-in", str(tmp_path / "last.der"), "-verify", *trust, "-noout")
    assert b"verify OK" in judged.stderr
    reasons = {
        extension.value.reason
        for entry in last
        for extension in entry.extensions
        if isinstance(extension.value, x509.CRLReason)
    }
    assert reasons == {
        x509.ReasonFlags.key_compromise,
        x509.ReasonFlags.superseded,
        x509.ReasonFlags.cessation_of_operation,
    }
    lists = [x509.load_der_x509_crl(served.ask("GET", path).body) for path in (PATH, f"{PATH}/{new}")]
    assert number_of(lists[0]) == number_of(lists[1])
    assert served.status("GET", f"{PATH}/{old.upper()}") == 404
