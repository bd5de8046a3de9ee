"""Signing through the server: tokens, signers, several at once; what clients see of it meanwhile."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from notary.reference import Digest
from swarmsec.services.ports import Transaction
from swarmsec.services.trust.ci_tokens import create_ci_token
from swarmsec.services.trust.delegate_repository import Delegation, add_delegation
from swarmsec.services.trust.init_trust import init_trust
from tests.integration.serve_clients import Answer, Bearer
from tests.integration.serve_world import ServedHome
from tests.unit.notary.signers import LocalSigner
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.trust.trustdesk import APP, INDEX, OTHER

THIRD = "registry.example/team/second"
SECOND_SIGNER = LocalSigner.fresh()
QUARTER = timedelta(minutes=15)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    directory = tmp_path_factory.mktemp("trust")
    with pytest.MonkeyPatch.context() as patch, ServedHome(directory) as home:
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        home.create(settings="[serve]\nfailed_attempts_per_minute = 10000\n")
        with home.opened() as (opened, keys):

            def begin(transaction: Transaction) -> None:
                init_trust(transaction, keys, OPERATOR)
                for name in (APP, OTHER):
                    add_delegation(transaction, keys, OPERATOR, Delegation(repository=name))
                second = Delegation(repository=THIRD, outside_keys=[SECOND_SIGNER.key])
                add_delegation(transaction, keys, OPERATOR, second)

            opened.store.write(begin)
        yield home.serve()


def token(served: ServedHome, repository: str = APP) -> str:
    with served.opened() as (home, keys):
        made = home.store.write(
            lambda transaction: create_ci_token(transaction, keys, OPERATOR, repository=repository, ttl=QUARTER)
        )
    return made.text.reveal().decode()


def sign(served: ServedHome, image: str, text: str, bearer: Bearer | None = None, **more: Any) -> Answer:
    data = text.encode()
    members = {"image": image, "digest": str(Digest.of(data)), "size": len(data), "media_type": INDEX, **more}
    return served.ask("POST", "/api/v1/trust/images", bearer, json.dumps(members).encode())


def signed(served: ServedHome, role: str) -> dict[str, str]:
    """Tag to text's digest, as the published role says it, by way of timestamp and snapshot."""
    snapshot = served.ask("GET", "/tuf/timestamp.json").json()["signed"]["meta"]["snapshot.json"]["version"]
    meta = served.ask("GET", f"/tuf/{snapshot}.snapshot.json").json()["signed"]["meta"]
    version = meta[f"{role}.json"]["version"]
    name = role.replace("/", "%2F").replace(":", "%3A")
    targets = served.ask("GET", f"/tuf/{version}.{name}.json").json()["signed"]["targets"]
    return {path.rpartition("/")[2]: members["hashes"]["sha256"] for path, members in targets.items()}


def test_a_token_signs_its_repository_once(served: ServedHome) -> None:
    given = token(served)
    answer = sign(served, f"{APP}:by-token", "one", token=given)
    assert (answer.status, answer.json()["published"]) == (200, True)
    assert signed(served, APP)["by-token"] == Digest.of(b"one").hex
    again = sign(served, f"{APP}:by-token", "two", token=given)
    assert (again.status, again.message) == (403, "this token was used already")
    assert signed(served, APP)["by-token"] == Digest.of(b"one").hex


def test_attack_95_a_token_of_one_repository_signs_no_other(served: ServedHome) -> None:
    given = token(served)
    refused = sign(served, f"{OTHER}:stolen", "bad", token=given)
    assert (refused.status, refused.message) == (403, "this token is not for this repository")
    assert "stolen" not in signed(served, OTHER)
    assert sign(served, f"{APP}:after", "one", token=given).status == 200


def test_a_signer_signs_its_own_repository_alone(served: ServedHome) -> None:
    signer = served.identity(f"signer:{APP}", name="ci-app")
    assert sign(served, f"{APP}:by-signer", "one", signer).status == 200
    refused = sign(served, f"{OTHER}:by-signer", "one", signer)
    assert (refused.status, refused.message) == (403, f"role signer:{APP} may not sign for {OTHER}")


def test_attack_96_nobody_signs_without_token_and_certificate(served: ServedHome) -> None:
    refused = sign(served, f"{APP}:nobody", "one")
    assert (refused.status, refused.message) == (403, "expected a token or a client certificate")
    assert sign(served, f"{APP}:nobody", "one", served.identity("auditor", name="aud")).status == 403
    assert "nobody" not in signed(served, APP)


def test_a_repository_that_nobody_delegated_is_not_signed(served: ServedHome) -> None:
    admin = served.identity("admin", name="boss")
    answer = sign(served, "registry.example/new/app:1", "one", admin)
    assert (answer.status, "must delegate it" in answer.message) == (403, True)


@pytest.mark.parametrize(
    "members",
    [
        {"digest": "sha256:00"},
        {"digest": "sha512:" + "0" * 128},
        {"image": APP},
        {"image": "../../x:1"},
        {"size": 0},
        {"size": 10**9},
        {"media_type": "a\nb"},
        {"platforms": [{"os": "l x", "architecture": "a", "digest": "sha256:" + "0" * 64}]},
        {"more": 1},
    ],
)
def test_what_cannot_be_signed_is_refused_and_the_token_is_not_spent(
    served: ServedHome, members: dict[str, Any]
) -> None:
    given = token(served)
    answer = sign(served, **{"image": f"{APP}:x", "text": "one", "token": given, **members})
    assert answer.status == 400, answer
    assert sign(served, f"{APP}:after", "one", token=given).status == 200


def test_a_second_signer_sees_signs_and_publishes_what_waits(served: ServedHome) -> None:
    answer = sign(served, f"{THIRD}:1", "one", token=token(served, THIRD))
    assert (answer.status, answer.json()["published"]) == (200, False)
    signer, stranger = served.identity(f"signer:{THIRD}", name="second"), served.identity(f"signer:{APP}", name="else")
    assert served.ask("GET", "/api/v1/trust/changes", stranger).json() == []
    (listed,) = served.ask("GET", "/api/v1/trust/changes", signer).json()
    assert listed["id"] == answer.json()["change"]
    with served.opened() as (home, _):
        change = home.store.read(lambda transaction: transaction.trust.changes.get(listed["id"]))
    assert change is not None
    from swarmsec.services.trust.pending_changes import documents_of

    (document,) = documents_of(change)
    brought = {
        "format": "swarmsec-trust-signatures/1",
        "change": listed["id"],
        "signatures": [{"role": THIRD, "keyid": SECOND_SIGNER.key.keyid, "sig": SECOND_SIGNER.sign(document.signed)}],
    }
    body = json.dumps(brought).encode()
    refused = served.ask("POST", "/api/v1/trust/signatures", stranger, body)
    assert (refused.status, refused.message) == (403, "this change is of another repository")
    assert served.ask("POST", "/api/v1/trust/signatures", signer, body).json() == {"published": True}
    assert signed(served, THIRD) == {"1": Digest.of(b"one").hex}


@pytest.mark.parametrize("repositories", [(APP, OTHER), (APP, APP)], ids=["two repositories", "one repository"])
def test_ci_jobs_at_once_lose_nothing_and_readers_see_no_step_between(
    served: ServedHome, repositories: tuple[str, str]
) -> None:
    jobs, each = 6, 4
    problems: list[object] = []
    is_over = threading.Event()

    def job(number: int) -> None:
        repository = repositories[number % 2]
        tokens = [token(served, repository) for _ in range(each)]
        for turn, given in enumerate(tokens):
            answer = sign(served, f"{repository}:at-once-{number}-{turn}", f"{number} {turn}", token=given)
            if answer.status != 200:
                problems.append(answer)

    def reader() -> None:
        while not is_over.is_set():
            try:
                for repository in set(repositories):
                    signed(served, repository)
            except Exception as error:
                problems.append(error)
                return

    threads = [threading.Thread(target=job, args=(number,)) for number in range(jobs)]
    watch = threading.Thread(target=reader)
    watch.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    is_over.set()
    watch.join()
    assert problems == []
    found = {repository: signed(served, repository) for repository in set(repositories)}
    for number in range(jobs):
        for turn in range(each):
            tag = f"at-once-{number}-{turn}"
            assert found[repositories[number % 2]][tag] == Digest.of(f"{number} {turn}".encode()).hex


def test_one_token_used_by_many_at_once_counts_once(served: ServedHome) -> None:
    given, answers = token(served), []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(sign(served, f"{APP}:race-{n}", "one", token=given).status))
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [403] * 7
    assert sum(tag.startswith("race-") for tag in signed(served, APP)) == 1


def test_no_token_is_in_the_log(served: ServedHome) -> None:
    given = token(served)
    sign(served, f"{APP}:x", "one", token=given)
    served.run("audit", "verify").check_returncode()
    assert given.rpartition(".")[2] not in served.run("audit", "log", "--json").stdout
