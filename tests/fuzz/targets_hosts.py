"""Targets of what hosts say: an agent's facts as they come to the server, and the files that an agent reads."""

from __future__ import annotations

import json

from swarmsec.docker.host_files import (
    daemon_of,
    parse_arguments,
    parse_daemon_config,
    parse_listeners,
    parse_swaps,
    parse_swarm_addresses,
    places_of,
)
from swarmsec.errors import UsageProblem
from swarmsec.reports.host_report import MAX_REPORT_BYTES, encode_host_report, parse_host_report
from tests.fuzz.engine import CheckFailed, Target
from tests.unit.swarmsec.docker.test_host_files import TCP, TCP6, arguments
from tests.unit.swarmsec.reports.facts import HOST

_WORDS = (b'"files":[', b'"mode":', b'"problems":{', b"null", b'"version":1', b"4294967296", b"\\u0000", b"\\ud800")


def _report(data: bytes) -> None:
    report = parse_host_report(data)
    if encode_host_report(report) != data or len(data) > MAX_REPORT_BYTES:
        raise CheckFailed("expected one form, bounded")
    texts = [item.owner + item.group for item in report.files or ()] + list(report.problems.values())
    if any(character < " " for text in texts for character in text):
        raise CheckFailed("expected no control characters")


def _arguments(data: bytes) -> None:
    settings = parse_daemon_config(b"")
    flags = parse_arguments(data)
    daemon, places = daemon_of(flags, settings), places_of(flags, settings)
    if len(daemon.tcp_hosts) > 16 or not all(host.isprintable() for host in daemon.tcp_hosts):
        raise CheckFailed("expected few printable addresses")
    if not places.data_root or not places.config_file:
        raise CheckFailed("expected places")


def _config(data: bytes) -> None:
    settings = parse_daemon_config(data)
    daemon_of({}, settings)
    places_of({}, settings)


def _listeners(data: bytes) -> None:
    for listener in parse_listeners(data):
        if not 0 < listener.port < 65_536:
            raise CheckFailed("expected a port")


TARGETS = (
    Target(
        name="host-report",
        run=_report,
        seeds=(encode_host_report(HOST),),
        allowed=(UsageProblem,),
        covers=("swarmsec.reports.host_report.parse_host_report",),
        words=_WORDS,
    ),
    Target(
        name="daemon-arguments",
        run=_arguments,
        seeds=(arguments("-H", "tcp://0.0.0.0:2375", "--tlsverify=false", "-Htcp://x", "--data-root=/srv", "-D"),),
        allowed=(),
        covers=("swarmsec.docker.host_files.parse_arguments",),
        words=(b"\0", b"--host", b"-H", b"=", b"--tlsverify", b"\x1b"),
    ),
    Target(
        name="daemon-config",
        run=_config,
        seeds=(json.dumps({"hosts": ["tcp://x"], "tlsverify": True, "log-level": "info"}).encode(), b""),
        allowed=(UsageProblem,),
        covers=("swarmsec.docker.host_files.parse_daemon_config",),
        words=_WORDS,
    ),
    Target(
        name="host-listeners",
        run=_listeners,
        seeds=(TCP, TCP6),
        allowed=(),
        covers=("swarmsec.docker.host_files.parse_listeners",),
        words=(b" 0A ", b":0949 "),
    ),
    Target(
        name="host-swaps",
        run=parse_swaps,
        seeds=(b"Filename Type\n/dev/dm-1 partition 1 0 -2\n",),
        allowed=(),
        covers=("swarmsec.docker.host_files.parse_swaps",),
    ),
    Target(
        name="swarm-addresses",
        run=parse_swarm_addresses,
        seeds=(b'{"ListenAddr":"0.0.0.0:2377","AdvertiseAddr":"10.0.0.1:2377","DataPathAddr":""}',),
        allowed=(UsageProblem,),
        covers=("swarmsec.docker.host_files.parse_swarm_addresses",),
        words=_WORDS,
    ),
)
