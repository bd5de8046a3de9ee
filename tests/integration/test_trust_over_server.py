"""The commands that work over ``--server``: ``image sign`` and ``list``, ``trust pending`` and ``sign``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.serve_world import ServedHome
from tests.peers.oci_layouts import LayoutWriter
from tests.unit.swarmsec.cli.program import Answer, Program

APP, PAY = "registry.example/team/app", "registry.example/team/pay"
Client = Callable[..., Answer]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    """A server, an identity for each of two repositories, and a key outside that one of them needs as well."""
    directory = tmp_path_factory.mktemp("served")
    with pytest.MonkeyPatch.context() as patch, ServedHome(directory) as home:
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        home.create()
        key, root = directory / "carol.key", directory / "root.json"
        for arguments in (
            ["trust", "init", "--yes"],
            ["trust", "root", "export", "-o", str(root)],
            ["trust", "key", "create", str(key), "--plain"],
            ["trust", "delegate", "add", APP],
            ["trust", "delegate", "add", PAY, "--key", f"{key}.pub"],
            ["access", "add", "app", "--role", f"signer:{APP}", "--out", str(directory / "app")],
            ["access", "add", "pay", "--role", f"signer:{PAY}", "--out", str(directory / "pay")],
        ):
            home.run(*arguments).check_returncode()
        yield home.serve()


@pytest.fixture
def client(served: ServedHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    """Another machine, which trusts the root and has no home: runs a command as ``app`` or ``pay``."""
    program = Program(tmp_path, monkeypatch)
    program.good("trust", "pin", str(served.directory / "root.json"))

    def ask(name: str, *arguments: str) -> Answer:
        return program("--server", f"https://localhost:{served.port}", "--identity", identity(served, name), *arguments)

    return ask


def identity(served: ServedHome, name: str) -> str:
    return str(served.directory / name)


@pytest.fixture
def image(tmp_path: Path) -> tuple[str, str]:
    """An image as reference and digest."""
    layout = LayoutWriter(tmp_path / "image")
    return f"oci:{layout.directory}:1", layout.add("1", tmp_path.name)


def good(answer: Answer) -> Answer:
    assert answer.code == 0, answer
    return answer


def test_a_signer_signs_and_everybody_lists(client: Client, image: tuple[str, str]) -> None:
    reference, digest = image
    signed = good(client("app", "image", "sign", reference, "--as", f"{APP}:1"))
    assert signed.out == f"{APP}:1 {digest}\n"
    for name in ("app", "pay"):
        listed = good(client(name, "--json", "image", "list", APP)).document
        assert [(each["tag"], each["digest"]) for each in listed] == [("1", digest)]
    refused = client("pay", "image", "sign", reference, "--as", f"{APP}:1")
    assert (refused.code, f"role signer:{PAY} may not sign for {APP}" in refused.err) == (1, True), refused


def test_a_token_of_the_environment_signs(
    served: ServedHome, image: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = served.run("trust", "token", "create", "--repo", APP, "--ttl", "15m").stdout
    roots = served.roots
    program = Program(tmp_path, monkeypatch)
    program.write("root-ca.crt", roots)
    arguments = ["--server", f"https://localhost:{served.port}", "image", "sign", "--ca", "root-ca.crt"]
    without = program(*arguments, image[0], "--as", f"{APP}:2")
    assert (without.code, "expected a token or a client certificate" in without.err) == (1, True), without
    monkeypatch.setenv("SWARMSEC_TOKEN", made)
    assert good(program(*arguments, image[0], "--as", f"{APP}:2")).out == f"{APP}:2 {image[1]}\n"
    again = program(*arguments, image[0], "--as", f"{APP}:2")
    assert (again.code, "was used already" in again.err) == (1, True), again


@pytest.mark.parametrize("way", ["at once", "by file", "what waits"])
def test_a_second_signer_completes_what_waits(
    served: ServedHome, client: Client, image: tuple[str, str], tmp_path: Path, way: str
) -> None:
    reference, digest = image
    key, tag = str(served.directory / "carol.key"), way.replace(" ", "-")
    waits = good(client("pay", "image", "sign", reference, "--as", f"{PAY}:{tag}"))
    assert "waits for signatures: change" in waits.err
    assert tag not in good(client("pay", "image", "list", PAY)).out
    (listed,) = good(client("pay", "--json", "trust", "pending")).document
    assert (f"{PAY}:{tag} is {digest}" in listed["summary"], list(listed["missing"])) == (True, [PAY])
    assert good(client("app", "--json", "trust", "pending")).document == []
    change, signatures = str(tmp_path / "change.json"), str(tmp_path / "carol.sig")
    if way == "what waits":
        done = good(client("pay", "trust", "sign", "--key", key, "--yes"))
    else:
        good(client("pay", "trust", "pending", "-o", change))
        if way == "at once":
            done = good(client("pay", "trust", "sign", change, "--key", key, "--yes"))
        else:
            good(client("pay", "trust", "sign", change, "--key", key, "--yes", "-o", signatures))
            stranger = client("app", "trust", "sign", signatures)
            assert (stranger.code, "of another repository" in stranger.err) == (1, True), stranger
            done = good(client("pay", "trust", "sign", signatures))
    assert done.out == f"published {listed['id']}\n"
    assert digest in good(client("pay", "image", "list", PAY)).out
    assert good(client("pay", "--json", "trust", "pending")).document == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("image", "revoke", f"{APP}:1"),
        ("image", "promote", f"{APP}:1", f"{APP}:2"),
        ("trust", "init", "--yes"),
        ("trust", "status"),
        ("trust", "export", "-o", "bundle.json"),
        ("trust", "root", "export", "-o", "root.json"),
        ("trust", "root", "rotate"),
        ("trust", "key", "rotate", APP),
        ("trust", "delegate", "add", f"{APP}2"),
        ("trust", "delegate", "remove", APP),
        ("trust", "token", "create", "--repo", APP),
        ("trust", "pending", "--drop", "a1"),
    ],
)
def test_everything_else_says_that_it_does_not(client: Client, arguments: tuple[str, ...]) -> None:
    answer = client("app", *arguments)
    assert (answer.code, "--server" in answer.err, answer.out) == (2, True, ""), answer
