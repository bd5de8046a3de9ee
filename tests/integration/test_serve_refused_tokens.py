"""Tokens that no longer count, at a real server: each for its own reason, with an entry, and nothing is issued."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ca.identity import NodeRole
from ca.tokens import JoinToken
from tests.integration.serve_world import ServedHome


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    directory = tmp_path_factory.mktemp("refused-tokens")
    with pytest.MonkeyPatch.context() as patch, ServedHome(directory) as home:
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        yield home.create(settings="\n[serve]\nfailed_attempts_per_minute = 100000\n").serve()


def create(served: ServedHome, *further: str) -> dict[str, Any]:
    done = served.run("--json", "ca", "token", "create", "--role", "worker", *further)
    assert done.returncode == 0, done
    made: dict[str, Any] = json.loads(done.stdout)
    return made


def used_up(served: ServedHome) -> str:
    token: str = create(served)["token"]
    assert served.join(token)[0].status == 200
    return token


def expired(served: ServedHome) -> str:
    token: str = create(served, "--ttl", "1s")["token"]
    time.sleep(1.1)
    return token


def revoked(served: ServedHome) -> str:
    made = create(served)
    assert served.run("ca", "token", "revoke", str(made["id"])).returncode == 0
    return str(made["token"])


def of_another_root(served: ServedHome) -> str:
    return JoinToken.build(b"another bundle", bytes(16)).format()


def unknown(served: ServedHome) -> str:
    return JoinToken.build(served.roots, bytes(16)).format()


def malformed(served: ServedHome) -> str:
    return served.token(NodeRole.WORKER)[:-1]


def named_for_another(served: ServedHome) -> str:
    return str(create(served, "--node-name", "somebody")["token"])


def for_a_driver(served: ServedHome) -> str:
    return str(json.loads(served.run("--json", "ca", "token", "create", "--role", "driver").stdout)["token"])


CASES: list[tuple[Callable[[ServedHome], str], str]] = [
    (used_up, "the token is used up"),
    (expired, "the token has expired"),
    (revoked, "the token was revoked"),
    (of_another_root, "the token was made for another root"),
    (unknown, "a valid join token is necessary"),
    (malformed, "expected digest and secret in base 36"),
    (named_for_another, "the token is for a node of another name"),
    (for_a_driver, "this token is for the secret driver"),
]


@pytest.mark.parametrize(("make", "why"), CASES, ids=[make.__name__ for make, _ in CASES])
def test_a_token_that_does_not_count_changes_nothing(
    make: Callable[[ServedHome], str], why: str, served: ServedHome
) -> None:
    token = make(served)
    before = state_of(served)

    answer, _ = served.join(token, "newcomer")

    assert answer.status == 403, answer
    assert why in answer.message
    assert token not in str(answer)
    certificates, tokens, size = state_of(served)
    assert (certificates, tokens) == before[:2]
    entry = last_entry(served)
    assert (size, entry["action"], entry["outcome"]) == (before[2] + 1, "ca.token-redeem", "denied")
    assert why in entry["reason"]


def test_the_refusals_have_reasons_of_their_own() -> None:
    reasons = [why for _, why in CASES]
    assert len(set(reasons)) == len(reasons)


def state_of(served: ServedHome) -> tuple[str, str, int]:
    """The certificates, the tokens, and the length of the log."""
    with served.opened() as (home, _):
        return (
            home.store.read(lambda transaction: str(list(transaction.certificates.all()))),
            home.store.read(lambda transaction: str(list(transaction.limited_tokens.all()))),
            home.store.head().size,
        )


def last_entry(served: ServedHome) -> dict[str, Any]:
    with served.opened() as (home, _):
        stored = home.store.read(lambda transaction: next(iter(transaction.log_entries.newest_first())))
    entry: dict[str, Any] = json.loads(stored.data)
    return entry
