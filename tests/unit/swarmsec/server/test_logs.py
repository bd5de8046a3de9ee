"""The server's log lines carry named fields and nothing else."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from swarmsec.server.logs import log_defect, log_event, log_request, write_logs_to


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    lines = write_logs_to(stream)
    yield stream
    lines.close()


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


@pytest.mark.parametrize("name", ["n1", "", 'quoted "\\', "\x1b[31m\x7f\u00e9", "\ud800"])
def test_a_request_s_line_is_worded_as_any_other(stream: io.StringIO, name: str) -> None:
    who = {"role": "node:n1", "name": name, "address": "192.0.2.1"}
    log_request("0190-7", 0.0012345, method="POST", route="cfssl.sign", status=200, **who)
    asked = {"request_id": "0190-7", "route": "cfssl.sign", "method": "POST", "status": 200, "duration_ms": 1.234}
    log_event(logging.INFO, "request", **asked, **who)
    quick, other = stream.getvalue().splitlines()
    assert len(json.loads(quick)["time"]) == len(json.loads(other)["time"])
    assert quick.partition(",")[2] == other.partition(",")[2]


class CountedStream(io.StringIO):
    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)


def test_lines_of_one_round_of_the_loop_are_written_together_and_errors_at_once() -> None:
    stream = CountedStream()
    lines = write_logs_to(stream)

    async def log() -> None:
        log_event(logging.INFO, "request", status=200)
        log_event(logging.INFO, "request", status=201)
        assert stream.writes == 0
        await asyncio.sleep(0)
        assert stream.writes == 1
        log_event(logging.INFO, "request", status=202)
        log_event(logging.ERROR, "defect", status=500)
        assert stream.writes == 2

    try:
        asyncio.run(log())
    finally:
        lines.close()
    written = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["status"] for line in written] == [200, 201, 202, 500]


def test_what_a_loop_left_unwritten_is_written_at_the_end() -> None:
    stream = CountedStream()
    lines = write_logs_to(stream)

    def log_and_stop() -> None:
        log_event(logging.INFO, "request")
        loop.stop()

    loop = asyncio.new_event_loop()
    try:
        loop.call_soon(log_and_stop)
        loop.run_forever()
        assert stream.writes == 0
        # As when the process ends.
        lines.flush()
    finally:
        loop.close()
        lines.close()
    assert stream.getvalue().count("\n") == 1


def test_a_log_that_cannot_be_written_stops_nobody_and_one_that_is_closed_takes_no_more() -> None:
    stream = CountedStream()
    lines = write_logs_to(stream)
    log_event(logging.INFO, "request")
    lines.close()
    log_event(logging.INFO, "request")
    assert stream.writes == 1
    lines = write_logs_to(stream)
    stream.close()
    log_event(logging.ERROR, "defect")
    lines.close()


def test_texts_that_are_no_unicode_are_escaped(stream: io.StringIO) -> None:
    log_event(logging.INFO, "request", name="\ud800\u00e9", status=200)
    line = json.loads(stream.getvalue())
    assert (line["name"], line["status"]) == ("\ud800\u00e9", 200)
    assert stream.getvalue().isascii()


def test_no_line_of_several_threads_is_lost(stream: io.StringIO) -> None:
    def say(thread: int) -> None:
        for number in range(500):
            log_event(logging.INFO, "request", status=1000 * thread + number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(say, range(4)))
    said = [json.loads(line)["status"] for line in stream.getvalue().splitlines()]
    assert sorted(said) == [1000 * thread + number for thread in range(4) for number in range(500)]
