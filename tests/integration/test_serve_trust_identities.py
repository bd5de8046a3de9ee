"""A CI's own identity signs through the server, by the rules and keys that lie beside the home's settings."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from notary.reference import Digest
from swarmsec.services.ports import Transaction
from swarmsec.services.trust.delegate_repository import Delegation, add_delegations
from swarmsec.services.trust.init_trust import init_trust
from tests.integration.serve_world import ServedHome
from tests.integration.test_serve_trust import sign, signed
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.trust.trustdesk import APP, OTHER

KEY = ec.generate_private_key(ec.SECP256R1())
RULES = {
    "issuers": [
        {
            "issuer": "https://ci.example",
            "audience": "swarmsec",
            "jwks": "ci-keys.json",
            "rules": [{"subject": "repo:shop/api:ref:refs/tags/*", "repositories": [APP]}],
        }
    ]
}


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedHome]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    with ServedHome(tmp_path) as home:
        home.create(settings='[trust]\noidc = "ci.json"\n')
        public = ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
        (home.home / "ci.json").write_text(json.dumps(RULES))
        (home.home / "ci-keys.json").write_text(json.dumps({"keys": [{**public, "kid": "a"}]}))
        with home.opened() as (opened, keys):

            def begin(transaction: Transaction) -> None:
                init_trust(transaction, keys, OPERATOR)
                wanted = [Delegation(repository=name) for name in (APP, OTHER)]
                add_delegations(transaction, keys, OPERATOR, wanted)

            opened.store.write(begin)
        yield home.serve()


def token(subject: str, token_id: str) -> str:
    now = int(time.time())
    claims = {"iss": "https://ci.example", "aud": "swarmsec", "sub": subject, "jti": token_id, "iat": now}
    return jwt.encode({**claims, "exp": now + 300}, KEY, algorithm="ES256", headers={"kid": "a"})


def test_attack_95_a_job_signs_what_its_rule_says_once_and_nothing_else(served: ServedHome) -> None:
    given = token("repo:shop/api:ref:refs/tags/v1", "one")
    assert sign(served, f"{OTHER}:1", "one", token=given).status == 403
    assert sign(served, f"{APP}:1", "one", token=given).status == 200
    assert signed(served, APP) == {"1": Digest.of(b"one").hex}
    again = sign(served, f"{APP}:2", "two", token=given)
    assert (again.status, again.message) == (403, "this token was used already")
    fork = sign(served, f"{APP}:2", "two", token=token("repo:evil/api:ref:refs/tags/v1", "two"))
    assert (fork.status, fork.message) == (403, f"this job may not sign for {APP}")
    assert signed(served, APP) == {"1": Digest.of(b"one").hex}
    log = served.run("audit", "log", "--json").stdout
    assert "repo:shop/api:ref:refs/tags/v1" in log
    assert given.rpartition(".")[2] not in log


def test_rules_that_cannot_be_meant_keep_the_server_from_starting(served: ServedHome) -> None:
    served.stop()
    (served.home / "ci.json").write_text('{"issuers":[],"issuers":[]}')
    done = served.run("serve", "--listen", "127.0.0.1:0")
    assert (done.returncode, "rules for CI identities" in done.stderr) == (2, True)
