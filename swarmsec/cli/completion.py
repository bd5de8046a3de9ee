"""``swarmsec completion``: the script that makes a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from swarmsec.cli.frame import options_of, verify_local


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    Examples:
      swarmsec completion bash > swarmsec.bash
      swarmsec completion fish > swarmsec.fish

    Let the shell read it: source it in ~/.bashrc or, after compinit, in ~/.zshrc, or put it into
    ~/.config/fish/completions.
    """
    verify_local(options_of(context))
    kind = get_completion_class(shell)
    if kind is None:
        raise LookupError(f"click does not complete in {shell}")
    script = kind(context.find_root().command, {}, "swarmsec", "_SWARMSEC_COMPLETE")
    # The base class's, because the one for bash runs the bash it finds to ask for its version first.
    click.echo(ShellComplete.source(script))
