"""The home of commands on image trust: what is due in its repository is signed again before anything else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from swarmsec.cli.frame import local_requester, opened_home, warn
from swarmsec.cli.unlock import keys_of

if TYPE_CHECKING:
    from swarmsec.wiring.homes.home import Home


@contextmanager
def opened_trust(context: click.Context) -> Iterator[Home]:
    """Open the home as ``opened_home`` does, its repository as fresh as its keys can make it."""
    from swarmsec.wiring.trust.hometrust import refresh_home

    with opened_home(context) as home:
        refresh_home(home, unlock=lambda: keys_of(context, home), requester=local_requester(), warn=warn)
        yield home
