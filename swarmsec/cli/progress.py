"""Progress of long work: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from swarmsec.cli.frame import options_of, say

Advance = Callable[[int], None]
"""Told how many more are done."""


@contextmanager
def progress(label: str, total: int) -> Iterator[Advance]:
    """Show how far work is, on stderr, while the block runs.

    Args:
        label: what is being done.
        total: how many there are to do.
    """
    context = click.get_current_context(silent=True)
    quiet = context is not None and options_of(context).verbosity < 0
    if quiet or not sys.stderr.isatty():
        yield lambda count: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=max(total, 1))
        yield lambda count: bar.advance(task, count)


def report_tasks() -> Callable[[int, int], None]:
    """Say how many tasks run with a secret, whenever that changes."""
    last: tuple[int, int] | None = None

    def report(running: int, total: int) -> None:
        nonlocal last
        if (running, total) != last:
            last = (running, total)
            say(f"{running} of {total} tasks run with it")

    return report
