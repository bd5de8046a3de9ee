"""A root signer whose key is in a PKCS#11 token: its public key, its signature, and a stranger's token."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from swarmsec.keys.tokenaccess import TokenAccess
from swarmsec.keys.tokens import Tokens
from swarmsec.keys.tokenuri import parse_token_uri
from swarmsec.services.records import KeyKind
from tests.integration.storefixtures import make_home, verify_whole
from tests.peers.softhsm import SoftHsm


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SoftHsm:
    """Two tokens with a key each."""
    made = SoftHsm(tmp_path / "hsm")
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    for number, label in enumerate(("alice", "mallory")):
        made.make_token(label)
        uri = parse_token_uri(
            f"{made.uri(label).partition('?')[0]};id=%0{number + 1}?{made.uri(label).partition('?')[2]}"
        )
        opened = Tokens(TokenAccess(module=uri.module_path, pin_file=uri.pin_file))
        try:
            opened.create(uri, KeyKind.P256)
        finally:
            opened.close()
    return made


def test_a_token_signs_a_ceremony_and_a_stranger_s_does_not(tokens: SoftHsm, tmp_path: Path) -> None:
    place = make_home(tmp_path / "place")
    environment = {**os.environ, "SWARMSEC_HOME": str(place.home), "SWARMSEC_STATE": str(place.state)}

    def run(*words: str, code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "swarmsec", *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env=environment,
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    alice, mallory = tokens.uri("alice"), tokens.uri("mallory")
    (tmp_path / "alice.pub").write_text(run("trust", "key", "show", alice))
    run("trust", "key", "create", str(tmp_path / "bob.key"), "--plain")
    run("trust", "init", "--key", str(tmp_path / "alice.pub"), "--key", str(tmp_path / "bob.key.pub"))
    change, signatures = str(tmp_path / "change.json"), str(tmp_path / "alice.sig")
    run("trust", "pending", "-o", change)
    run("trust", "sign", change, "--key", mallory, "-o", signatures, "--yes", code=1)
    run("trust", "sign", change, "--key", alice, "-o", signatures, "--yes")
    assert "pending" in run("trust", "sign", signatures)
    assert "published" in run("trust", "sign", "--key", str(tmp_path / "bob.key"), "--yes")
    assert "external" in run("trust", "status")
    verify_whole(place)
