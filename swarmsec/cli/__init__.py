"""The command line. Importing this package costs click and nothing else; each group's module loads when it is used."""

from __future__ import annotations

from swarmsec.cli.root import main

__all__ = ["main"]
