"""A root made elsewhere and its key, read from the files that ``ca init`` and ``ca rotate`` name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from swarmsec.cli.secretinput import read_bounded, read_private_file
from swarmsec.errors import UsageProblem

if TYPE_CHECKING:
    from swarmsec.services.ca.init_authority import ImportedRoot


def read_imported_root(certificate: Path | None, key: Path | None, *, has_type: bool) -> ImportedRoot | None:
    """Read the root to go on with, before anything is made; None where none was named.

    Args:
        has_type: whether a type of key was asked for as well.

    Raises:
        NotFound, Unavailable, UsageProblem: a file that cannot be read, one without the other, or no root and key.
        ca.errors.InvalidCertificate: the certificate is none that an authority may go on with.
    """
    from swarmsec.clock import SystemClock, now_utc
    from swarmsec.wiring.ca.importing import MAX_CERTIFICATE, MAX_KEY, parse_imported_root

    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UsageProblem("expected --import-cert and --import-key together")
    if has_type:
        raise UsageProblem("expected no --key-type with --import-key, which has a type of its own")
    return parse_imported_root(
        read_bounded(certificate, limit=MAX_CERTIFICATE),
        read_private_file(key, limit=MAX_KEY),
        now=now_utc(SystemClock()),
    )
