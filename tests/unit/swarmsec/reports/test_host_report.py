"""What an agent says has one form, is closed and bounded."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest
from msgspec.structs import replace

from swarmsec.errors import UsageProblem
from swarmsec.reports.host_report import (
    MAX_FILES,
    MAX_REPORT_BYTES,
    Part,
    digest_of,
    encode_host_report,
    parse_host_report,
)
from tests.unit.swarmsec.reports.facts import HOST

DATA = encode_host_report(HOST)


def test_a_report_is_read_as_it_was_written_and_has_one_form() -> None:
    assert parse_host_report(DATA) == HOST
    assert encode_host_report(parse_host_report(DATA)) == DATA
    assert len(digest_of(DATA)) == 64


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data + b" ",
        lambda data: data.replace(b'"swaps":[]', b'"swaps":[],"swaps":[]'),
        lambda data: data.replace(b'"swaps":[]', b'"more":1,"swaps":[]'),
        lambda data: data.replace(b'"version":1', b'"version":2'),
        lambda data: data.replace(b'"mode":420', b'"mode":420.0'),
        lambda data: data.replace(b'"mode":420', b'"mode":4096000'),
        lambda data: data.replace(b'"uid":0', b'"uid":-1'),
        lambda data: data.replace(b'"port":2377', b'"port":0'),
        lambda data: data.replace(b'"/etc/docker"', b'"etc/docker"'),
        lambda data: data.replace(b'"/etc/docker"', b'"/etc/docker\\u0000"'),
        lambda data: data.replace(b'"owner":"root"', b'"owner":"ro ot"'),
        lambda data: data.replace(b'"owner":"root"', b'"owner":"root\\n"'),
        lambda data: data.replace(b'"10.0.0.1:2377"', b'"\\u001b[2J"'),
        lambda data: data.replace(b'"10.0.0.1:2377"', b'"\\ud800"'),
        lambda data: data.replace(b'"problems":{}', b'"problems":{"moon":"away"}'),
        lambda data: b"\xff" + data,
        lambda data: b"[" * 100_000,
        lambda data: b"",
        lambda data: json.dumps(json.loads(data)).encode(),
    ],
)
def test_everything_else_is_refused(spoil: Callable[[bytes], bytes]) -> None:
    spoiled = spoil(DATA)
    assert spoiled != DATA

    with pytest.raises(UsageProblem, match="expected"):
        parse_host_report(spoiled)


def test_its_size_is_bounded() -> None:
    with pytest.raises(UsageProblem, match=f"at most {MAX_REPORT_BYTES} bytes"):
        parse_host_report(b" " * (MAX_REPORT_BYTES + 1))
    with pytest.raises(UsageProblem):
        encode_host_report(replace(HOST, files=(HOST.files or []) * MAX_FILES))


def test_a_part_may_be_missing_with_a_reason() -> None:
    blind = replace(HOST, daemon=None, problems={Part.DAEMON: "no engine runs"})

    assert parse_host_report(encode_host_report(blind)).problems == {Part.DAEMON: "no engine runs"}


def test_no_member_can_hold_a_time_or_anything_unbounded() -> None:
    schema = json.dumps(msgspec.json.schema(type(HOST)))

    assert '"additionalProperties": false' in schema
    assert "date-time" not in schema
