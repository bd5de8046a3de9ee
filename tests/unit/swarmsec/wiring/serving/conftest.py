"""Fixtures of the tests of the server's own parts."""

from tests.unit.swarmsec.services.conftest import desk

__all__ = ["desk"]
