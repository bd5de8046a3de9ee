"""Lengths of time as people type them: ``90s``, ``15m``, ``2h``, ``7d``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final

import click

_FORM: Final = re.compile(r"([0-9]{1,9})([smhd])", re.ASCII)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Duration(click.ParamType[timedelta]):
    """A click type for options such as ``--ttl``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Read the text of an option; a default may be a length of time already."""
        if isinstance(value, timedelta):
            return value
        found = _FORM.fullmatch(str(value))
        if found is None:
            self.fail(f"expected a length of time such as 90s, 15m, 2h or 7d, got {str(value)!r:.40}", param, ctx)
        # Nine digits of days are within what a timedelta holds.
        return timedelta(**{_UNITS[found[2]]: int(found[1])})


DURATION: Final = Duration()
