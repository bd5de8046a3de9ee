"""``node``: what is refused before any server is asked."""

from __future__ import annotations

import pytest

from tests.unit.swarmsec.cli.program import Program

SERVER = ("--server", "https://127.0.0.1:1")


@pytest.mark.parametrize("arguments", [(), ("--if-due",), ("--json",)], ids=" ".join)
def test_a_directory_without_a_node_is_not_found(arguments: tuple[str, ...], homeless: Program) -> None:
    (homeless.directory / "node").mkdir()

    answer = homeless("node", "renew", *SERVER, "--dir", "node", *arguments)

    assert answer.code == 2
    assert "swarm-node.key" in answer.err
    assert "node join" in answer.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("renew", *SERVER, "--dir", "node", "--every", "0s"),
        ("renew", *SERVER, "--dir", "node", "--daemon", "--every", "soon"),
        ("renew", "--server", "http://127.0.0.1:1", "--dir", "node"),
        ("renew", "--server", "http://127.0.0.1:1", "--dir", "node", "--daemon"),
        ("renew", *SERVER),
        ("recover", *SERVER, "--dir", "node"),
        ("recover", *SERVER, "--dir", "node", "--token", "nothing"),
        ("recover", "--server", "ftp://a", "--dir", "node", "--token", "SWMTKN-1-" + "0" * 50 + "-" + "0" * 25),
    ],
    ids=lambda words: " ".join(words)[:60],
)
def test_what_cannot_be_meant_ends_with_2(arguments: tuple[str, ...], homeless: Program) -> None:
    answer = homeless("node", *arguments)

    assert answer.code == 2
    assert "0" * 25 not in answer.err
