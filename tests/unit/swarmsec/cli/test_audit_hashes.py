"""What the log says of a value that it does not hold: asked with the value, by terms, until a term is erased."""

from __future__ import annotations

import json
from typing import Any

from swarmsec.audit.keyedhash import keyed_hash
from tests.unit.swarmsec.cli.program import Program

VALUE = b"correct horse battery staple"


def matching(program: Program, value: bytes, *words: str) -> list[dict[str, Any]]:
    answer = program.good("audit", "log", "--match-stdin", *words, "--json", stdin=value)
    return [json.loads(line) for line in answer.out.splitlines()]


def logged(program: Program, action: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in program.good("audit", "log", "--action", action, "--json").out.splitlines()]


def seen(program: Program, value: bytes) -> list[tuple[str, str, int]]:
    """Which secrets' entries speak of a value."""
    entries = matching(program, value, "--action", "secret")
    return [(entry["action"], entry["object"]["name"], entry["object"]["version"]) for entry in entries]


def test_whoever_has_the_value_finds_the_entries_about_it(program: Program) -> None:
    program.good("secrets", "create", "app/db", stdin=VALUE)
    program.good("secrets", "create", "app/other", stdin=b"another")
    program.good("secrets", "put", "app/other", stdin=VALUE)
    assert seen(program, VALUE) == [("secret.create", "app/db", 1), ("secret.put", "app/other", 2)]
    # As an editor or echo leaves it.
    assert seen(program, VALUE + b"\n") == seen(program, VALUE)
    assert seen(program, b"another") == [("secret.create", "app/other", 1)]
    assert seen(program, b"correct horse") == []
    table = program.good("audit", "log", "--match-stdin", "--action", "secret.put", stdin=VALUE).out
    assert "app/other v2" in table


def test_the_value_itself_is_in_no_entry(program: Program) -> None:
    program.good("secrets", "create", "app/db", stdin=VALUE)
    program.good("audit", "log", "--match-stdin", stdin=VALUE)
    everything = program.good("audit", "log", "--json").out
    assert VALUE.decode() not in everything
    assert everything.count('"value":"hmac:1:') == 1


def test_who_has_only_the_log_cannot_try_values(program: Program) -> None:
    program.good("secrets", "create", "app/db", stdin=VALUE)
    (entry,) = matching(program, VALUE, "--action", "secret.create")
    for guessed in (b"", bytes(32), VALUE):
        assert entry["fields"]["value"] != keyed_hash(guessed, 1, VALUE)


def test_that_somebody_asked_is_on_record(program: Program) -> None:
    program.good("secrets", "create", "app/db", stdin=VALUE)
    hashed = matching(program, VALUE, "--action", "secret.create")[0]["fields"]["value"]
    (asked,) = logged(program, "audit.match")
    assert (asked["object"], asked["actor"]["type"]) == ({"id": hashed, "type": "keyed-hash"}, "local")


def test_a_former_term_is_found_until_it_is_erased(program: Program) -> None:
    program.good("secrets", "create", "app/db", stdin=VALUE)
    assert program.good("audit", "hash-keys", "--json").document == [{"term": 1, "writing": True}]
    program.good("audit", "hash-keys", "--rotate")
    program.good("secrets", "put", "app/db", stdin=VALUE)
    assert program.good("audit", "hash-keys", "--json").document == [
        {"term": 1, "writing": False},
        {"term": 2, "writing": True},
    ]
    assert [version for *_, version in seen(program, VALUE)] == [1, 2]
    program.good("keys", "rotate")
    assert [version for *_, version in seen(program, VALUE)] == [1, 2]

    program.good("audit", "hash-keys", "--erase", "1")
    assert [version for *_, version in seen(program, VALUE)] == [2]
    assert program("audit", "hash-keys", "--erase", "1").code == 2
    program.good("audit", "hash-keys", "--erase", "2")
    assert seen(program, VALUE) == []
    program.good("secrets", "put", "app/db", stdin=VALUE)
    assert [version for *_, version in seen(program, VALUE)] == [3]
    program.good("audit", "verify")
    keys = (entry for entry in logged(program, "audit") if entry["action"].startswith("audit.hash-key"))
    made = [(entry["action"], entry["object"]["version"]) for entry in keys]
    assert made == [
        ("audit.hash-key-create", 1),
        ("audit.hash-key-create", 2),
        ("audit.hash-key-erase", 1),
        ("audit.hash-key-erase", 2),
        ("audit.hash-key-create", 3),
    ]


def test_a_log_in_which_nothing_was_hashed_says_so(program: Program) -> None:
    answer = program.good("audit", "log", "--match-stdin", stdin=b"x")
    assert (answer.out, "nothing was ever hashed" in answer.err) == ("", True)


def test_values_that_are_none(program: Program) -> None:
    assert program("audit", "log", "--match-stdin", stdin=b"").code == 2
    assert program("audit", "log", "--match-stdin", stdin=b"x" * 600_000).code == 2


def test_a_rotation_says_which_value_it_brings(program: Program) -> None:
    from swarmsec.secretbytes import SecretBytes
    from swarmsec.secretstore.names import SecretName
    from swarmsec.services.secrets.rotate_secret import begin_rotation
    from swarmsec.wiring.homes.home import open_home
    from tests.unit.swarmsec.homes import OPERATOR

    program.good("secrets", "create", "app/db", "--generate")
    home = open_home(program.home, requester=OPERATOR)
    keys = home.keys()
    home.store.write(
        lambda transaction: begin_rotation(
            transaction, keys, SecretName.parse("app/db"), SecretBytes(VALUE), OPERATOR, validates=False, keep=2
        )
    )
    home.close()
    assert seen(program, VALUE) == [("secret.rotate", "app/db", 2)]
