"""Limits that cannot be meant are refused."""

from __future__ import annotations

from dataclasses import fields

import pytest

from swarmsec.server.settings import ServerSettings


@pytest.mark.parametrize(
    "name", [item.name for item in fields(ServerSettings) if item.name not in {"host", "port", "reuse_port"}]
)
@pytest.mark.parametrize("value", [0, -1])
def test_every_limit_must_be_above_zero(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=name):
        ServerSettings(**{name: value})  # type: ignore[arg-type]  # the name comes from the parameters


@pytest.mark.parametrize("port", [-1, 65_536])
def test_port_must_be_one(port: int) -> None:
    with pytest.raises(ValueError, match="port"):
        ServerSettings(port=port)
