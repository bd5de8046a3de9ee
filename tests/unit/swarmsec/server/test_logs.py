"""The server's log lines carry named fields and nothing else."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from swarmsec.server.logs import LOGGER, log_defect, log_event, write_logs_to


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    handler = write_logs_to(stream)
    yield stream
    LOGGER.removeHandler(handler)
    LOGGER.propagate = True
    LOGGER.setLevel(logging.NOTSET)


def test_only_named_fields_are_written(stream: io.StringIO) -> None:
    log_event(logging.INFO, "request", status=200, body="hunter2", headers={"a": "hunter2"})
    line = json.loads(stream.getvalue())
    assert set(line) == {"time", "level", "event", "status"}
    assert line["time"].endswith("+00:00")


def test_control_characters_never_reach_the_terminal(stream: io.StringIO) -> None:
    name = "".join(map(chr, [*range(0x20), 0x7F, *range(0x80, 0xA0), 0x2028, 0x202E]))
    log_event(logging.INFO, "request", name=name)
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert all(0x20 <= ord(character) < 0x7F for character in text[:-1])
    assert json.loads(text)["name"] == name


def test_a_defect_shows_types_and_frames_and_no_text(stream: io.StringIO) -> None:
    try:
        try:
            raise KeyError("hunter2")
        except KeyError as error:
            raise RuntimeError("hunter2") from error
    except RuntimeError as error:
        log_defect("defect", error, request_id="id")
    line = json.loads(stream.getvalue())
    assert (line["error"], line["request_id"], line["level"]) == ("RuntimeError from KeyError", "id", "error")
    assert len(line["frames"]) == 2
    assert "hunter2" not in stream.getvalue()
