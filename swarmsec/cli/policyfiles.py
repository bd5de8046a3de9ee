"""Policy text from files and standard input, and documents as text again."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

if TYPE_CHECKING:
    from policies.documents import Document
    from policies.fixtures import Case

T = TypeVar("T")

STANDARD_INPUT: Final = Path("-")
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]{0,120}", re.ASCII)

FILES = click.Path(path_type=Path, dir_okay=False, allow_dash=True)
"""The parameter type of files with policy text; ``-`` is standard input."""


def read_documents(files: Sequence[Path]) -> list[Document]:
    """Read the documents of several files, which must go together.

    Raises:
        InvalidDocument: names file, line, document and path.
        AmbiguousPolicy: names the files whose documents contradict each other.
        NotFound, UsageProblem, Unavailable: a file is missing, too large or cannot be read.
    """
    from policies.checking import check_set
    from policies.loading import load_documents

    found: list[Document] = []
    for file in files:
        text = _read(file)
        found += _named([file], partial(load_documents, text, source=source_of(file)))
    _named(files, lambda: check_set(found))
    return found


def read_cases(files: Sequence[Path]) -> list[Case]:
    """Read the test tables of several files; errors as ``read_documents``."""
    from policies.fixtures import load_cases

    return [case for file in files for case in load_cases(_read(file), source=source_of(file))]


def source_of(file: Path) -> str:
    """How messages name a file."""
    return "standard input" if file == STANDARD_INPUT else str(file)


def yaml_of(document: Document) -> str:
    """A document as YAML that the strict reader takes back to the same digest."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes whatever another reader could take for something else than text."""

    def text(dumper: Dumper, value: str) -> yaml.ScalarNode:
        style = None if _PLAIN.fullmatch(value) else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, text)
    members = json.loads(document.canonical)
    ordered = {name: members[name] for name in ("apiVersion", "kind", "metadata", "spec")}
    dumped: str = yaml.dump(ordered, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100_000)
    return dumped


def _read(file: Path) -> bytes:
    from policies.yamltext import MAX_TEXT_BYTES
    from swarmsec.cli.secretinput import read_bounded
    from swarmsec.errors import UsageProblem

    if file != STANDARD_INPUT:
        return read_bounded(file, limit=MAX_TEXT_BYTES)
    data = sys.stdin.buffer.read(MAX_TEXT_BYTES + 1)
    if len(data) > MAX_TEXT_BYTES:
        raise UsageProblem(f"expected at most {MAX_TEXT_BYTES} bytes on standard input")
    return data


def _named(files: Sequence[Path], load: Callable[[], T]) -> T:
    """Add the files to an error that knows only documents."""
    from policies.errors import AmbiguousPolicy

    try:
        return load()
    except AmbiguousPolicy as error:
        sources = ", ".join(dict.fromkeys(source_of(file) for file in files))
        raise AmbiguousPolicy(f"{sources}: {error}", hint=error.hint) from None
