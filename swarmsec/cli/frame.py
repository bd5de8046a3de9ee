"""What every command shares: lazy groups, the options of the whole program, and how an error ends a process."""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

from swarmsec.cli.hints import at_this_home, next_step
from swarmsec.cli.streams import READER_GONE, OutputLost, forget_output, in_colour
from swarmsec.plaintext import plain_text

if TYPE_CHECKING:
    from swarmsec.errors import Description
    from swarmsec.secretbytes import SecretBytes
    from swarmsec.services.requester import Requester
    from swarmsec.wiring.homes.home import Home

_LOST_HINT: Final = "send it where it can be written; before a change is run again, look whether it was made"
_command_path: Final = ContextVar("command_path", default="swarmsec")
"""What runs, for errors that are worded where click has left it already."""


class LazyGroup(click.Group):
    """A group whose commands live in modules that are imported when a command is named.

    Args:
        lazy: command name to ``module:attribute`` and its one-line help, which the overview shows without importing.
    """

    def __init__(self, *args: Any, lazy: dict[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command's name, sorted."""
        return sorted({*self._lazy, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module and return the command."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self._lazy[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        _take_json(command)
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete from what is known without importing every command."""
        if not self._lazy:
            return super().shell_complete(ctx, incomplete)
        known = [
            CompletionItem(name, help=text)
            for name, (_, text) in sorted(self._lazy.items())
            if name.startswith(incomplete)
        ]
        return [*known, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from what is known without importing them."""
        if not self._lazy:
            super().format_commands(ctx, formatter)
            return
        rows = [(name, self._lazy[name][1]) for name in sorted(self._lazy)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _take_json(command: click.Command) -> None:
    """Let a command, or every command of a group, take ``--json`` at its end as well as before the group."""
    if isinstance(command, click.Group):
        for member in command.commands.values():
            _take_json(member)
    elif all("--json" not in parameter.opts for parameter in command.params):
        option = click.Option(
            ["--json"], is_flag=True, expose_value=False, callback=_note_json, help="Print the result as JSON."
        )
        command.params.append(option)


def _note_json(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    _command_path.set(context.command_path)
    root = context.find_root()
    if value and isinstance(root.obj, Options):
        root.obj = replace(root.obj, json=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the whole program."""

    home: Path | None
    server: str | None
    identity: Path | None
    json: bool
    verbosity: int
    accept_rollback: str | None
    passphrase_file: Path | None


def options_of(context: click.Context) -> Options:
    """The program's options, from any command."""
    options = context.find_root().obj
    if not isinstance(options, Options):
        raise TypeError("the root command set no options")
    return options


def home_path(options: Options) -> Path:
    """The home this call is about.

    Raises:
        UsageProblem: ``--server`` was given to a command that works on a home.
    """
    from swarmsec.wiring.homes.places import default_home

    verify_local(options)
    return options.home or default_home()


def verify_local(options: Options) -> None:
    """For commands that are not served, whether or not they need a home.

    Raises:
        UsageProblem: ``--server`` was given.
    """
    from swarmsec.errors import UsageProblem

    if options.server is not None:
        raise UsageProblem(
            "expected a local home: this command is not served over --server", hint="run it where the home is"
        )


@contextmanager
def opened_home(
    context: click.Context, *, allow_restored: bool = False, path: Path | None = None, ends_when_hung: bool = True
) -> Iterator[Home]:
    """Open the home of this call, or the one at a path, say what was found about it, and close it.

    Args:
        allow_restored: whether a restored home may be opened before it is accepted.
        path: of another home than this call's.
        ends_when_hung: whether the process ends when its disk does not answer; a server goes on and says so.
    """
    from swarmsec.storage.watchdog import Watchdog
    from swarmsec.wiring.homes.home import open_home

    options = options_of(context)
    home = open_home(
        path or home_path(options),
        requester=local_requester(),
        accept_rollback=options.accept_rollback,
        allow_restored=allow_restored,
    )
    for finding in home.findings:
        warn(finding)
    watchdog = Watchdog(home.store, home.config.storage.disk_timeout_seconds, end_hung)
    if ends_when_hung:
        watchdog.start()
    try:
        yield home
    finally:
        watchdog.start()
        close_home(home)
        watchdog.stop()


def end_hung(error: Exception) -> None:
    """Say that the disk does not answer, and end: the call that hangs cannot be interrupted, only left."""
    code = report_error(error)
    with suppress(OutputLost):
        sys.stdout.flush()
    os._exit(code)


def close_home(home: Home) -> None:
    """Close a home; a failing anchor is said, because the next write will be refused for it."""
    from swarmsec.errors import SwarmsecError

    try:
        home.close()
    except SwarmsecError as error:
        warn(f"{error}; nothing more will be written until it can be")


def local_requester() -> Requester:
    """Whoever runs this process, as the log names them."""
    from swarmsec.audit.entry import Actor, Source
    from swarmsec.services.requester import Requester

    return Requester(actor=Actor(type="local", id=f"uid:{os.getuid()}", auth="home"), source=Source(pid=os.getpid()))


def ask_passphrase(context: click.Context, prompt: str) -> SecretBytes:
    """Get a passphrase from ``--passphrase-file`` or from a person at a terminal.

    Raises:
        KeysLocked: neither is there.
    """
    from swarmsec.cli.secretinput import read_private_file
    from swarmsec.keys.errors import KeysLocked
    from swarmsec.secretbytes import SecretBytes

    options = options_of(context)
    if options.passphrase_file is not None:
        return SecretBytes(read_private_file(options.passphrase_file, limit=4096).rstrip(b"\r\n"))
    if not sys.stdin.isatty():
        raise KeysLocked(
            f"expected the {prompt}, but there is no terminal to ask on", hint="give --passphrase-file FILE (mode 0600)"
        )
    text: str = click.prompt(prompt, hide_input=True, confirmation_prompt=prompt.startswith("new"), err=True)
    return SecretBytes(text.encode())


def say(text: str) -> None:
    """Talk on stderr; ``-q`` silences it."""
    context = click.get_current_context(silent=True)
    if context is None or options_of(context).verbosity >= 0:
        click.echo(at_this_home(text, sys.argv[1:]), err=True)


def warn(text: str) -> None:
    """Warn on stderr, never silenced."""
    click.echo(f"{in_colour('warning:', 'yellow')} {at_this_home(text, sys.argv[1:])}", err=True)


def print_json(value: object) -> None:
    """Print a document on stdout."""
    import msgspec

    # Python's encoder is ten times slower with an indent than without.
    click.echo(msgspec.json.format(json.dumps(value, ensure_ascii=False), indent=2))


def print_json_items(items: Iterable[object]) -> None:
    """Print a document that is a list, item by item, as ``print_json`` prints it whole."""
    import msgspec

    opening = "["
    for item in items:
        text = msgspec.json.format(json.dumps(item, ensure_ascii=False), indent=2)
        click.echo(f"{opening}\n  {text.replace(chr(10), chr(10) + '  ')}", nl=False)
        opening = ","
    click.echo("[]" if opening == "[" else "\n]")


def run(command: click.Command) -> int:
    """Run the program and turn whatever happens into an exit code and a sentence."""
    os.umask(0o077)
    try:
        code = _run(command)
        sys.stdout.flush()
    except OutputLost as lost:
        forget_output()
        if lost.reason is None:
            return READER_GONE
        say_error(f"stdout could not be written: {lost.reason}", _LOST_HINT)
        return 3
    return code


def _run(command: click.Command) -> int:
    try:
        # NOTE: outside its standalone mode click gives the code of ``context.exit`` back instead of raising it.
        code = command.main(standalone_mode=False, prog_name="swarmsec")
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        if "--json" in sys.argv[1:]:
            context = error.ctx if isinstance(error, click.UsageError) else None
            command_path = context.command_path if context else "swarmsec"
            _print_error("invalid", error.format_message(), f"see: {command_path} --help")
        return 2
    except Exception as error:  # noqa: BLE001  # the last stop: every error becomes an exit code
        return report_error(error)
    return code if isinstance(code, int) else 0


def report_error(error: Exception) -> int:
    """Say what went wrong on stderr, and as JSON on stdout where that was asked for; returns the exit code."""
    from swarmsec.errors import Kind, describe

    description = describe(error)
    hint = hint_of(description)
    say_error(description.text, hint)
    if "--json" in sys.argv[1:]:
        _print_error(description.kind.word, description.text, hint)
    if description.kind is Kind.DEFECT and "-v" in sys.argv[1:]:
        import traceback

        traceback.print_exception(error)
    return description.kind.exit_code


def hint_of(description: Description) -> str:
    """What to do next about an error of the command that runs."""
    return next_step(description, _command_path.get(), sys.argv[1:])


def say_error(text: str, hint: str) -> None:
    """Print an error and what to do next on stderr."""
    click.echo(f"{in_colour('error:', 'red')} {plain_text(text)}", err=True)
    click.echo(f"{in_colour('hint:', 'cyan')}  {plain_text(hint)}", err=True)


def _print_error(code: str, message: str, hint: str) -> None:
    print_json({"error": {"code": code, "message": message, "hint": hint}})
