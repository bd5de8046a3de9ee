"""Find certificates by what a person has at hand: a node, a named identity, a serial, or the beginning of one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from swarmsec.errors import NotFound, UsageProblem
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord

SHORTEST_PREFIX: Final = 8
_PREFIX: Final = re.compile(rf"[0-9a-f]{{{SHORTEST_PREFIX},39}}")


def find_certificates(transaction: Transaction, target: str) -> Sequence[CertificateRecord]:
    """Certificates of a subject, or of a serial.

    Args:
        target: matched as a subject first, then as a serial in hex, then as the first eight digits of one or more.

    Returns:
        at least one, oldest first.

    Raises:
        NotFound: nothing was ever issued under this name or serial.
        UsageProblem: several serials begin so.
    """
    serial = target.lower().replace(":", "").lstrip("0")
    found = transaction.certificates.by_subject(target) or transaction.certificates.by_serial(serial)
    if not found and _PREFIX.fullmatch(serial):
        found = [record for record in transaction.certificates.all() if record.serial.startswith(serial)]
        if len({record.serial for record in found}) > 1:
            raise UsageProblem(f"expected one serial that begins with {serial}, got several", hint="give more digits")
    if not found:
        raise NotFound(f"no certificate of a node or serial {target!r:.80}", hint="list them with: swarmsec ca list")
    return found
