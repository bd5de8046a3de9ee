"""What ``node renew`` and ``access renew`` have in common: once, or as a daemon until told to stop."""

from __future__ import annotations

import signal
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from swarmsec.cli.frame import options_of, print_json, say

if TYPE_CHECKING:
    from swarmsec.wiring.filekinds import FileKind
    from swarmsec.wiring.renewing import Renewal

MIN_EVERY: Final = timedelta(seconds=1)


def renew_or_keep_renewed(
    server: str, directory: Path, kind: FileKind, *, if_due: bool, daemon: bool, every: timedelta
) -> Renewal | None:
    """Renew once, or go on until TERM; None then.

    Raises:
        UsageProblem: ``every`` is less than a second, or the address is none.
        SwarmsecError: as ``wiring.renewing.renew``.
    """
    from swarmsec.errors import UsageProblem
    from swarmsec.wiring import renewing

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
