"""The options that commands of a Swarm share, and how they tell people what they found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from swarmsec.cli.frame import say
from swarmsec.cli.streams import in_colour

if TYPE_CHECKING:
    from swarmsec.services.swarm.preflight import Finding
    from swarmsec.services.swarm.swarm_records import SwarmNode
    from swarmsec.wiring.swarm.watching import RotationWatcher

Command = TypeVar("Command", bound=Callable[..., Any])
_MARKS: Final = {"good": ("ok", "green"), "warning": ("warn", "yellow"), "blocker": ("stop", "red")}
_UNSEEN: Final = ("?", "cyan")


def docker_options(command: Command) -> Command:
    """``--docker`` and ``--docker-tls``."""
    tls = click.option(
        "--docker-tls",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="ca.pem, cert.pem and key.pem for a Docker Engine on TCP.",
    )
    docker = click.option(
        "--docker",
        metavar="HOST",
        help="The engine of a manager, as Docker's --host; without it this home's own, then DOCKER_HOST.",
    )
    return docker(tls(command))


def yes_options(command: Command) -> Command:
    """``--yes`` and ``--dry-run``."""
    dry = click.option("--dry-run", is_flag=True, help="Look and show the plan; change nothing.")
    yes = click.option("--yes", is_flag=True, help="Do it without asking.")
    return yes(dry(command))


def confirm(question: str, *, yes: bool) -> None:
    """Ask before anything changes.

    Raises:
        UsageProblem: there is no terminal to ask on, and no ``--yes``.
        click.Abort: the answer is no.
    """
    from swarmsec.errors import UsageProblem

    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageProblem("expected --yes, because there is no terminal to ask on", hint="see it with --dry-run first")
    click.confirm(question, abort=True, err=True)


def show_findings(findings: Sequence[Finding]) -> None:
    """Tell what was found before a change, on stderr."""
    from swarmsec.plaintext import plain_text

    for finding in findings:
        mark, colour = _MARKS.get(finding.result.value, _UNSEEN)
        say(f"  {in_colour(f'{mark:>4}', colour)}  {plain_text(finding.text)}")
        if finding.hint:
            say(f"        {plain_text(finding.hint)}")


def talking_watcher() -> RotationWatcher:
    """Tells each node's new certificate on stderr."""
    from swarmsec.plaintext import plain_text
    from swarmsec.wiring.swarm.watching import RotationWatcher

    total, done = 0, 0

    def begins(count: int) -> None:
        nonlocal total, done
        total, done = count, 0

    def renewed(node: SwarmNode) -> None:
        nonlocal done
        done += 1
        say(f"  {done}/{total}  {plain_text(node.label)} has its new certificate")

    return RotationWatcher(begins=begins, renewed=renewed, says=lambda text: say(plain_text(text)))
