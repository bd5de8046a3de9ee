"""The repository under ``/tuf/``, read by python-tuf's own client in a process of its own over HTTPS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from notary.reference import Digest
from swarmsec.services.ports import Transaction
from swarmsec.services.trust.init_trust import init_trust
from swarmsec.services.trust.sign_image import ensure_delegated, sign_image
from tests.integration import stock_client
from tests.integration.serve_world import ServedHome
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.trust.trustdesk import APP, OTHER, named


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedHome]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    with ServedHome(tmp_path) as home:
        home.create()
        with home.opened() as (opened, keys):
            opened.store.write(lambda transaction: init_trust(transaction, keys, OPERATOR))
        yield home.serve()


def sign(served: ServedHome, reference: str, text: str) -> None:
    """Sign from another process than the server's."""
    with served.opened() as (home, keys):

        def unit(transaction: Transaction) -> None:
            wanted = named(reference, text)
            ensure_delegated(transaction, keys, OPERATOR, wanted.repository)
            sign_image(transaction, keys, OPERATOR, wanted)

        home.store.write(unit)


def answers(served: ServedHome, *paths: str) -> dict[str, str | None]:
    """What the stock client finds."""
    (served.directory / "ca.pem").write_bytes(served.roots)
    root = served.directory / "root.json"
    root.write_bytes(served.ask("GET", "/tuf/1.root.json").body)
    command = [sys.executable, "-I", stock_client.__file__, str(root), f"https://localhost:{served.port}/tuf/", *paths]
    done = subprocess.run(
        command,
        cwd=served.directory,
        env={**os.environ, "SSL_CERT_FILE": str(served.directory / "ca.pem")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


def test_the_stock_client_gives_the_same_answers(served: ServedHome) -> None:
    sign(served, f"{APP}:1.0", "one")
    sign(served, f"{OTHER}:1.0", "two")
    assert answers(served, f"{APP}/1.0", f"{OTHER}/1.0", f"{APP}/2.0", "elsewhere.example/x/1") == {
        f"{APP}/1.0": Digest.of(b"one").hex,
        f"{OTHER}/1.0": Digest.of(b"two").hex,
        f"{APP}/2.0": None,
        "elsewhere.example/x/1": None,
    }
    sign(served, f"{APP}:1.0", "three")
    assert answers(served, f"{APP}/1.0") == {f"{APP}/1.0": Digest.of(b"three").hex}


def test_files_say_how_long_they_may_be_kept(served: ServedHome) -> None:
    assert served.ask("GET", "/tuf/timestamp.json").headers["cache-control"] == "no-cache"
    assert "immutable" in served.ask("GET", "/tuf/1.root.json").headers["cache-control"]
    targets = json.loads(served.ask("GET", "/tuf/1.targets.json").body)["signed"]["targets"]["policy/trust.yaml"]
    answer = served.ask("GET", f"/tuf/policy/{targets['hashes']['sha256']}.trust.yaml")
    assert (answer.status, Digest.of(answer.body).hex) == (200, targets["hashes"]["sha256"])
    assert b"TrustPolicy" in answer.body


@pytest.mark.parametrize(
    "path", ["2.root.json", "root.json", "0.root.json", "policy/x", "..%2F1.root.json", "1.root.json%2F", "policy"]
)
def test_attack_27_other_names_are_not_found(served: ServedHome, path: str) -> None:
    assert served.ask("GET", f"/tuf/{path}").status == 404
