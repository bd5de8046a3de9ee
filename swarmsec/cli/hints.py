"""Commands in what the program says: as they are printed, they can be run from where this one was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from swarmsec.errors import Description

_ON_A_HOME: Final = (
    r"(?<=: )swarmsec (?=[a-z])"
    r"(?!node (?:join|renew|recover)|access (?:enrol|renew)|image verify|trust (?:pin|sign)|agent"
    r"|audit (?:check|witness (?:init|serve|show|watch|cosign)))"
)
"""A command that works on a home; the others are for other machines, or ask no home."""
_SEE_HELP: Final = "see: {command} --help"
_NEXT_STEPS: Final = {
    "denied": "what it takes is told by: {command} --help",
    "unauthenticated": "renew the identity, or enrol anew; see: {command} --help",
    "not_found": "look at what there is, and name that; see: {command} --help",
    "already_exists": "look at what is there, or choose another name; see: {command} --help",
    "changed": "look at it again, then repeat the command",
    "unavailable": "mend that, then repeat the command",
    "too_many_attempts": "try again later",
    "integrity": "do not go on with it: keep a copy, then restore what was damaged from a backup",
}
"""What to do next about an error that does not say so itself, by its public word."""


def next_step(description: Description, command: str, arguments: Sequence[str]) -> str:
    """What to do about an error.

    Args:
        description: of the error; its own hint comes first.
        command: that ran, such as ``swarmsec ca show``.
        arguments: of this call.
    """
    if description.hint:
        return at_this_home(description.hint, arguments)
    return _NEXT_STEPS.get(description.kind.word, _SEE_HELP).format(command=command)


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
