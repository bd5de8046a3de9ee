"""Where the value of a secret comes from: standard input, a private file, or chance; never an argument."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from swarmsec.secretbytes import SecretBytes


def read_value(file: Path | None, *, generate: bool, length: int | None) -> SecretBytes:
    """Get a value, byte for byte.

    Args:
        file: a file of mode 0600, or None for standard input.
        generate: make one by chance instead.
        length: characters of a generated value.

    Raises:
        UsageProblem: the sources contradict each other, nothing was piped in, or the file is readable by others.
        SecretInvalid: no bytes or too many.
    """
    from swarmsec.cli.secretinput import read_private_file
    from swarmsec.clock import SystemClock
    from swarmsec.errors import UsageProblem
    from swarmsec.secretbytes import SecretBytes
    from swarmsec.secretstore.generating import DEFAULT_LENGTH, generate_value
    from swarmsec.secretstore.versions import MAX_VALUE, verify_value

    if generate and file is not None:
        raise UsageProblem("expected --generate or --file, got both")
    if length is not None and not generate:
        raise UsageProblem("expected --length with --generate")
    if generate:
        return generate_value(DEFAULT_LENGTH if length is None else length, SystemClock().random)
    if file is None and sys.stdin.isatty():
        raise UsageProblem(
            "expected the value on standard input, got a terminal, which would show it",
            hint="pipe it in, or give --file FILE (mode 0600) or --generate",
        )
    data = sys.stdin.buffer.read(MAX_VALUE + 1) if file is None else read_private_file(file, limit=MAX_VALUE)
    verify_value(len(data))
    return SecretBytes(data)
