"""Examples in help texts and in pages: what they are, and how they are run.

In a page, a block marked ``console`` is a session: lines after ``$ `` are run, the lines below are what they print,
with ``…`` for anything, and ``$ echo $?`` shows the exit code where it is not 0. The blocks of a page are one session
from top to bottom. A block marked ``yaml NAME`` or ``toml NAME`` is a file of that session. Commands that need a
server, an Engine or another machine stand in blocks with another mark, or are named in ``PARSED_ONLY``; these are
read by the program's own parser and not run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

import click

PARSED_ONLY = {
    ("image", "inspect"): "needs a repository of signed metadata",
    ("image", "promote"): "needs a registry",
    ("image", "revoke"): "needs a signed image",
    ("image", "sign"): "needs a registry",
    ("image", "list"): "needs a repository of signed metadata",
    ("image", "verify"): "needs a registry",
    ("access", "enrol"): "needs a server",
    ("access", "renew"): "needs a server",
    ("node", "approve"): "needs a node that waits",
    ("node", "join"): "needs a server",
    ("node", "recover"): "needs a server",
    ("node", "renew"): "needs a server",
    ("audit", "report"): "asks a Docker Engine unless --no-swarm is given",
    ("agent",): "reports to a server until it is stopped",
    ("driver",): "runs until it is stopped",
    ("trust", "pin"): "needs a repository's root",
    ("secrets", "attach"): "needs a Docker Engine",
    ("secrets", "detach"): "needs a Docker Engine",
    ("secrets", "rotate"): "needs a Docker Engine",
    ("serve",): "runs until it is stopped",
    ("audit", "witness", "serve"): "runs until it is stopped",
    ("audit", "witness", "ask"): "needs a witness that is running",
    ("swarm", "adopt"): "needs a Swarm",
    ("swarm", "autolock", "on"): "needs a Swarm",
    ("swarm", "autolock", "unlock"): "needs a Swarm",
    ("swarm", "evict"): "needs a Swarm",
    ("swarm", "release"): "needs a Swarm",
    ("swarm", "status"): "needs a Swarm",
    ("unlock",): "needs a server that is locked",
    ("keys", "seal", "add"): "asks a person for a passphrase",
    ("keys", "seal", "remove"): "names a seal by an id that every home draws anew",
}
"""Commands whose examples are not run, and why."""

_FENCE = re.compile(r"^```(?P<mark>[^\n`]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_CONTINUED = re.compile(r"\\\n\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One command line: where it stands, its text, and what the page says that it prints and ends with."""

    where: str
    text: str
    output: str = ""
    code: int = 0

    @property
    def words(self) -> list[str]:
        """The arguments of the program: words before a redirection, a pipe or the end."""
        words = self._all_words()
        ends = [index for index, word in enumerate(words) if word in {"<", ">", "|", "&"}]
        return words[1 : min(ends, default=len(words))]

    @property
    def written_file(self) -> str | None:
        """The file that the output goes to."""
        return self._after(">")

    @property
    def read_file(self) -> str | None:
        """The file that is standard input."""
        return self._after("<")

    @property
    def needs_a_shell(self) -> bool:
        """Whether other programs give it its arguments."""
        return "$(" in self.text

    def _after(self, sign: str) -> str | None:
        words = self._all_words()
        return words[words.index(sign) + 1] if sign in words else None

    def _all_words(self) -> list[str]:
        lexer = shlex.shlex(self.text, posix=True, punctuation_chars="<>|&")
        lexer.whitespace_split = True
        return list(lexer)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFile:
    """A file that a page shows."""

    name: str
    content: str


def help_examples(path: tuple[str, ...], command: click.Command) -> list[Example]:
    """The lines of a help text that call the program."""
    where = f"{' '.join(('swarmsec', *path))} --help"
    return [Example(where=where, text=line) for line in _calls(command.help or "")]


def parsed_examples(name: str, text: str) -> list[Example]:
    """The calls in a page's blocks that are not sessions."""
    blocks = [match for match in _FENCE.finditer(text) if match["mark"].strip() != "console"]
    return [Example(where=name, text=line) for match in blocks for line in _calls(match["body"])]


def session(name: str, text: str) -> list[Example | PageFile]:
    """The files and commands of a page, in their order."""
    found: list[Example | PageFile] = []
    for match in _FENCE.finditer(text):
        mark, _, file = match["mark"].strip().partition(" ")
        if mark == "console":
            found += _commands(f"{name}:{text.count(chr(10), 0, match.start()) + 1}", match["body"])
        elif file and mark in {"yaml", "toml"}:
            found.append(PageFile(name=file, content=match["body"]))
    return found


def _calls(text: str) -> Iterator[str]:
    for line in _CONTINUED.sub(" ", text).splitlines():
        stripped = line.strip().removeprefix("$ ")
        if stripped.startswith("swarmsec "):
            yield stripped


def _commands(where: str, body: str) -> list[Example]:
    prompts = re.split(r"^\$ ", _CONTINUED.sub(" ", body), flags=re.MULTILINE)[1:]
    found: list[Example] = []
    for prompt in prompts:
        text, _, output = prompt.partition("\n")
        if text == "echo $?" and found:
            last = found.pop()
            found.append(Example(where=last.where, text=last.text, output=last.output, code=int(output)))
        elif text.startswith("swarmsec "):
            found.append(Example(where=where, text=text, output=output.strip()))
    return found


def matches(expected: str, got: str) -> bool:
    """Whether an output is what a page shows, with ``…`` for anything."""
    pattern = ".*".join(re.escape(part) for part in expected.split("…"))
    return re.fullmatch(pattern, got.strip(), re.DOTALL) is not None
