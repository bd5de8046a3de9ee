"""Commands in what the program says: as they are printed, they can be run from where this one was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_ON_A_HOME: Final = (
    r"(?<=: )swarmsec (?=[a-z])"
    r"(?!node (?:join|renew|recover)|access (?:enrol|renew)|image verify|trust (?:pin|sign)|agent"
    r"|audit (?:check|witness (?:init|serve|show|watch|cosign)))"
)
"""A command that works on a home; the others are for other machines, or ask no home."""


def at_this_home(text: str, arguments: Sequence[str]) -> str:
    """Name the home of this call in the commands of a text, if it was named as an option.

    Args:
        text: with commands after a colon, as in ``list them with: swarmsec ca list``.
        arguments: of this call.
    """
    home = _named_home(arguments)
    if home is None:
        return text
    # Few calls have a hint to give, and the pattern takes longer to compile than many a command to run.
    import re
    import shlex

    return re.sub(_ON_A_HOME, lambda _: f"swarmsec --home {shlex.quote(home)} ", text)


def _named_home(arguments: Sequence[str]) -> str | None:
    for argument, following in zip(arguments, [*arguments[1:], None], strict=True):
        if argument == "--home":
            return following
        if argument.startswith("--home="):
            return argument.removeprefix("--home=")
    return None
