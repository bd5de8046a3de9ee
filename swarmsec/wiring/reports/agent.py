"""A node's agent: look at the host, say what was found over mutual TLS, again and again until told to stop.

It holds nothing but its identity, changes nothing on the host, and gets nothing back but whether its facts were new.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from swarmsec.errors import Unavailable, describe
from swarmsec.reports.each_host import FRESH_SECONDS
from swarmsec.reports.host_report import encode_host_report
from swarmsec.server.agent_api import FACTS_PATH
from swarmsec.wiring.nodes.authorityclient import parse_server, send
from swarmsec.wiring.nodes.filekinds import IDENTITY_FILES
from swarmsec.wiring.nodes.nodefiles import open_node_files
from swarmsec.wiring.reports.hostfacts import collect_host_facts
from swarmsec.wiring.reports.hostreading import HostTree

EVERY: Final = timedelta(minutes=10)
LEAST: Final = timedelta(seconds=10)
MOST: Final = timedelta(seconds=FRESH_SECONDS // 2)
"""Facts older than ``FRESH_SECONDS`` count for nothing; two reports fall into that time at least."""
AGAIN: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """What an agent is told once.

    Args:
        server: ``https://HOST:PORT`` of the authority.
        identity: the directory of its identity, as ``access enrol`` wrote it.
        pid_file: where the host's Docker Engine keeps its process id.
        tree: the host's files.
    """

    server: str
    identity: Path
    pid_file: str
    tree: HostTree

    def verify_identity(self) -> None:
        """See that there is an identity at all, before anything is waited for.

        Raises:
            NotFound, UsageProblem: the identity's files.
            Unavailable: they cannot be read.
        """
        open_node_files(self.identity, IDENTITY_FILES)

    def report(self) -> bool:
        """Look, and say what was found; True if it is not what was said before.

        Raises:
            NotFound, UsageProblem: the identity's files.
            Denied: the authority refuses, or is not the expected one.
            Unavailable: it cannot be reached.
        """
        files = open_node_files(self.identity, IDENTITY_FILES)
        data = encode_host_report(collect_host_facts(self.tree, self.pid_file))
        answer = send("PUT", parse_server(self.server), FACTS_PATH, roots=files.roots, pair=files.pair, body=data)
        return _changed(answer)


def keep_reporting(
    report: Callable[[], bool], *, every: timedelta, stop: threading.Event, tell: Callable[[str], None]
) -> None:
    """Report until told to stop; what fails is tried again within a minute.

    Args:
        report: ``Agent.report``.
        every: how often.
        stop: ends the work after what is under way.
        tell: called with each line for the operator; a problem that stays is told once.
    """
    told = ""
    while not stop.is_set():
        line, pause = "", every
        try:
            if report():
                line = "reported: something is not as it was"
        except Exception as error:
            description = describe(error)
            if description.kind.word == "defect":
                raise
            line = f"not reported: {description.text}" + (f" ({description.hint})" if description.hint else "")
            pause = min(every, AGAIN)
        if line and line != told:
            tell(line)
        told = line
        stop.wait(pause.total_seconds())


def _changed(answer: bytes | None) -> bool:
    try:
        document = json.loads(answer or b"")
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not isinstance(document.get("changed"), bool):
        raise Unavailable("expected the authority to say whether the facts were new, got something else")
    return document["changed"] is True
