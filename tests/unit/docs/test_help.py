"""Every command says what it does, in a width that fits, and its examples do what they say."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import click
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from swarmsec.cli.root import root
from tests.unit.docs.auditworld import WORLDS as AUDIT_WORLDS
from tests.unit.docs.commands import commands, resolve
from tests.unit.docs.examples import PARSED_ONLY, Example, help_examples
from tests.unit.docs.trustworld import WORLDS as TRUST_WORLDS
from tests.unit.docs.world import CASES, POLICIES, new_request, new_root
from tests.unit.swarmsec.cli.program import Program
from tests.unit.swarmsec.wiring.ca.foreignroots import build_root, key_pem

WIDTH = 100
EXAMPLES = [example for path, command in commands().items() for example in help_examples(path, command)]


def names(value: object) -> str:
    """The id of a test case."""
    return " ".join(value) or "swarmsec" if isinstance(value, tuple) else str(getattr(value, "text", value))


@pytest.mark.parametrize("path", commands(), ids=names)
def test_help_is_there_and_fits(homeless: Program, path: tuple[str, ...]) -> None:
    answer = homeless.good(*path, "--help")
    assert answer.out.startswith("Usage: swarmsec")
    assert [line for line in answer.out.splitlines() if len(line) > WIDTH] == []


@pytest.mark.parametrize("path", commands(), ids=names)
def test_every_command_and_option_is_explained(path: tuple[str, ...]) -> None:
    command = commands()[path]
    assert (command.help or "").strip()
    assert (command.help or "").splitlines()[0].endswith((".", ":"))
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    unexplained = [option.name for option in options if not option.help and not isinstance(option.type, click.Choice)]
    assert unexplained == []


def test_the_overview_names_each_group_as_it_calls_itself() -> None:
    context = click.Context(root)
    assert root.list_commands(context) == sorted(path[0] for path in commands() if len(path) == 1)


@pytest.mark.parametrize("example", EXAMPLES, ids=names)
def test_every_example_is_read_by_the_program(example: Example) -> None:
    assert resolve(example.words) in commands()


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["nothing"],
        ["ca", "nothing"],
        ["ca"],
        ["ca", "init", "--nothing"],
        ["ca", "init", "--key-type", "p1"],
        ["policy", "show", "TrustPolicy"],
        ["audit", "verify", "more"],
    ],
    ids=" ".join,
)
def test_a_wrong_example_would_be_found(words: list[str]) -> None:
    with pytest.raises(click.ClickException):
        resolve(words)


@pytest.mark.parametrize("path", PARSED_ONLY, ids=names)
def test_what_is_not_run_is_a_command(path: tuple[str, ...]) -> None:
    assert path in commands()


RUN = [example for example in EXAMPLES if not example.needs_a_shell and resolve(example.words) not in PARSED_ONLY]


@pytest.mark.parametrize("example", RUN, ids=names)
def test_every_example_does_what_it_says(program: Program, example: Example) -> None:
    prepare(program, example)
    words = (word.replace("/mnt/offsite", "offsite") for word in example.words)
    answer = program(*words, stdin=b"a value" if example.read_file else b"")
    assert answer.code == 0, answer.err


def prepare(program: Program, example: Example) -> None:
    """Bring about what an example takes for granted."""
    (program.directory / "offsite").mkdir()
    program.write("swarm-root.pem", new_root())
    program.write("web.csr", new_request())
    program.write("policies.yaml", POLICIES)
    program.write("cases.yaml", CASES)
    program.good("policy", "apply", "policies.yaml")
    extra = WORLDS.get(resolve(example.words))
    if extra is not None:
        extra(program, example)


def a_secret(program: Program, example: Example) -> None:
    """A secret with two versions, and its name on the command line."""
    program.good("secrets", "create", "team/app/db", stdin=b"one")
    if "--cas" not in example.words:
        program.good("secrets", "put", "team/app/db", stdin=b"two")


def a_certificate(program: Program, example: Example) -> None:
    """One under the name that the example has."""
    if len(example.words) > len(("ca", "show")):
        program.good("ca", "issue", "--profile", "server", "--san", example.words[2], "--out", "issued")


def another_root(program: Program, example: Example) -> None:
    """A root made elsewhere, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    program.write("root.pem", build_root(key))
    (program.directory / program.write("root.key", key_pem(key))).chmod(0o600)


def no_secret(program: Program, example: Example) -> None:
    """Where ``secrets create`` begins."""
    (program.directory / program.write("key.pem", b"a key")).chmod(0o600)


def no_home(program: Program, example: Example) -> None:
    """Where ``ca init`` begins."""
    shutil.rmtree(program.home)
    (program.directory / "recovery.key").unlink()
    another_root(program, example)


def a_backup(program: Program, example: Example) -> None:
    """Where ``restore`` begins: the home is lost, its backup and its recovery key are not."""
    program.good("backup", "authority.age")
    shutil.rmtree(program.home)
    if "--accept" in example.words:
        program.good("restore", "authority.age", "--recovery-key", "recovery.key")


def no_recovery_file(program: Program, example: Example) -> None:
    """Where a new recovery key is written."""
    (program.directory / "recovery.key").unlink()


def an_identity(program: Program, example: Example) -> None:
    """Where an identity is revoked."""
    program.good("access", "add", "alice", "--role", "operator", "--out", "alice")


WORLDS: dict[tuple[str, ...], Callable[[Program, Example], None]] = {
    ("ca", "init"): no_home,
    ("ca", "revoke"): a_certificate,
    ("ca", "rotate"): another_root,
    ("ca", "show"): a_certificate,
    ("restore",): a_backup,
    ("access", "revoke"): an_identity,
    ("keys", "recovery"): no_recovery_file,
    ("secrets", "create"): no_secret,
    **AUDIT_WORLDS,
    **TRUST_WORLDS,
    **{("secrets", verb): a_secret for verb in ("put", "versions", "delete", "destroy", "events")},
}
