"""What the commands of ``swarmsec trust`` share: public keys from files, and how an outcome is shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from swarmsec.cli.frame import options_of, print_json, say

if TYPE_CHECKING:
    from securesystemslib.signer import Key

    from swarmsec.services.trust.publish_trust import Published
    from swarmsec.services.trust.trust_records import PendingChange

FILE: Final = click.Path(path_type=Path, dir_okay=False)


def root_keys_of(files: Sequence[Path]) -> list[Key]:
    """Read public keys.

    Raises:
        InvalidKey: a file holds none that counts.
        Unavailable: it cannot be read.
    """
    from notary.trustkeys import MAX_KEY_BYTES, parse_public_key
    from swarmsec.cli.secretinput import read_bounded

    return [parse_public_key(read_bounded(file, limit=MAX_KEY_BYTES)) for file in files]


def report_outcome(context: click.Context, outcome: Published | PendingChange, *, done: str) -> None:
    """Show what was published, or what waits."""
    from swarmsec.services.trust.trust_records import PendingChange

    if options_of(context).json:
        print_json(outcome_members(outcome))
    elif isinstance(outcome, PendingChange):
        click.echo(f"pending {outcome.change_id}")
        say(f"{outcome.summary}: waits for signatures; next: swarmsec trust pending -o FILE")
    else:
        click.echo(done)


def outcome_members(outcome: Published | PendingChange) -> dict[str, object]:
    """An outcome as ``--json`` shows it."""
    from swarmsec.services.trust.trust_records import PendingChange

    if isinstance(outcome, PendingChange):
        return {"published": False, "change": outcome.change_id, "summary": outcome.summary}
    return {
        "published": True,
        "roles": dict(outcome.versions),
        "snapshot": outcome.snapshot,
        "timestamp": outcome.timestamp,
    }


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        Unavailable: it cannot be written.
    """
    from swarmsec.atomicfile import write_atomically
    from swarmsec.errors import Unavailable

    try:
        write_atomically(path, data, mode=0o644)
    except OSError as error:
        raise Unavailable(
            f"{path} could not be written: {error.strerror}", hint="check its directory and free space"
        ) from None
