"""A file that is not what a command reads is no decision: the command says what it expected, and ends with 2."""

from __future__ import annotations

import pytest

from tests.unit.swarmsec.cli.program import Program

FILES = {
    "empty": b"",
    "binary": bytes(range(256)),
    "json": b'{"a": 1}',
    "list": b"[1, 2]",
    "deep": b"[" * 5000,
    "text": b"not what it should be\n",
    "pem": b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
}
COMMANDS = (
    ["audit", "check", "FILE"],
    ["audit", "consistency", "FILE", "FILE"],
    ["audit", "report", "--no-swarm", "--profile", "FILE"],
    ["audit", "report", "--no-swarm", "--waivers", "FILE"],
    ["ca", "rotate", "--import-cert", "FILE", "--import-key", "FILE"],
    ["ca", "trust-swarm", "FILE"],
    ["image", "verify", "oci:directory:1", "--root", "FILE"],
    ["image", "verify", "--stack", "FILE"],
    ["policy", "apply", "FILE"],
    ["policy", "check", "FILE"],
    ["trust", "pin", "FILE"],
    ["trust", "sign", "FILE"],
)


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command))
def test_a_file_that_is_something_else_is_named_and_ends_with_2(
    command: list[str], content: bytes, program: Program
) -> None:
    name = program.write("FILE", content)
    (program.directory / name).chmod(0o600)

    answer = program("--json", *command)

    assert answer.code == 2, answer.err
    assert answer.document["error"]["message"]
    assert answer.document["error"]["hint"]
