"""Every command of the program, found by walking the groups; and the reading of a command line without running it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import click

from swarmsec.cli.root import root

Path = tuple[str, ...]
"""The words that name a command, such as ``("ca", "token", "worker")``; empty for the program itself."""


@cache
def commands() -> dict[Path, click.Command]:
    """Every group and command by its words."""
    return dict(_walk((), root, click.Context(root, info_name="swarmsec")))


def _walk(path: Path, command: click.Command, context: click.Context) -> Iterator[tuple[Path, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            member = command.get_command(context, name)
            assert member is not None, f"{' '.join((*path, name))} is listed, but is not there"
            yield from _walk((*path, name), member, click.Context(member, info_name=name, parent=context))


def resolve(words: Sequence[str]) -> Path:
    """Read a command line as the program does, down to the last option, and run nothing.

    Returns:
        the words that name the command.

    Raises:
        click.UsageError: there is no such command, option or value, or one is missing.
    """
    command: click.Command = root
    context = root.make_context("swarmsec", list(words))
    path: Path = ()
    while isinstance(command, click.Group):
        # NOTE: click keeps the rest of a group's arguments in a private attribute and offers no other way to them.
        rest = [*context._protected_args, *context.args]
        if not rest:
            raise click.UsageError("expected a command")
        name, member, arguments = command.resolve_command(context, rest)
        assert name is not None
        assert member is not None
        context = member.make_context(name, arguments, parent=context)
        command, path = member, (*path, name)
    return path
