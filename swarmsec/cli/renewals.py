"""What commands of a node and of an identity have in common: whose authority and files, and how they renew.

``node join`` and ``access enrol`` get the first certificate, ``node renew`` and ``access renew`` the following ones,
once or as a daemon until told to stop.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from swarmsec.cli.durations import DURATION
from swarmsec.cli.frame import options_of, print_json, say

if TYPE_CHECKING:
    from swarmsec.wiring.nodes.filekinds import FileKind
    from swarmsec.wiring.nodes.renewing import Renewal

Command = TypeVar("Command", bound=Callable[..., Any])
MIN_EVERY: Final = timedelta(seconds=1)


def authority_options(directory: str) -> Callable[[Command], Command]:
    """Add ``--server`` and ``--dir``.

    Args:
        directory: what is in it, or goes there.
    """

    def add(command: Command) -> Command:
        path = click.Path(path_type=Path, file_okay=False)
        files = click.option("--dir", "directory", required=True, type=path, metavar="DIR", help=directory)
        server = click.option("--server", required=True, metavar="URL", help="The authority: https://HOST:PORT.")
        return server(files(command))

    return add


def renewal_options(command: Command) -> Command:
    """Add ``--if-due``, ``--daemon`` and ``--every``."""
    every = click.option("--every", type=DURATION, default="60s", show_default=True, help="How often --daemon looks.")
    daemon = click.option("--daemon", is_flag=True, help="Go on renewing until TERM, each time when it is due.")
    if_due = click.option("--if-due", is_flag=True, help="Only in the second half of the certificate's life.")
    return if_due(daemon(every(command)))


def renew_or_keep_renewed(
    server: str, directory: Path, kind: FileKind, *, if_due: bool, daemon: bool, every: timedelta
) -> Renewal | None:
    """Renew once, or go on until TERM; None then.

    Raises:
        UsageProblem: ``every`` is less than a second, or the address is none.
        SwarmsecError: as ``wiring.nodes.renewing.renew``.
    """
    from swarmsec.errors import UsageProblem
    from swarmsec.wiring.nodes import renewing

    if every < MIN_EVERY:
        raise UsageProblem(f"expected --every of at least 1s, got {int(every.total_seconds())}s")
    if not daemon:
        return renewing.renew(server, directory, if_due=if_due, kind=kind)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    say(f"renewing in {directory}")
    renewing.keep_renewed(
        server, directory, every=every, stop=stop, tell=lambda line: click.echo(line, err=True), kind=kind
    )
    return None


def report_renewal(context: click.Context, renewal: Renewal, whose: dict[str, Any]) -> None:
    """Print what there is now.

    Args:
        whose: the members of the JSON document that say whose certificate it is.
    """
    from swarmsec.clock import rfc3339_seconds

    not_after = rfc3339_seconds(int(renewal.certificate.not_valid_after_utc.timestamp()))
    due = rfc3339_seconds(int(renewal.due.timestamp()))
    serial = f"{renewal.certificate.serial_number:x}"
    if options_of(context).json:
        print_json({**whose, "serial": serial, "renewed": renewal.is_new, "not_after": not_after, "due": due})
        return
    click.echo(serial)
    say(f"{'renewed, due again' if renewal.is_new else 'not due before'} {due}")
