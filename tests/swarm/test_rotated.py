"""An adopted Swarm gets another root while what it needs goes away: nothing is lost, and no node is left outside."""

from __future__ import annotations

import json
import signal
import time

import pytest

from tests.integration.commands import SOAK
from tests.peers.engines import Engine, StartEngines
from tests.peers.processes import wait_for
from tests.peers.swarmsec_host import SwarmsecHost
from tests.swarm.adopting import (
    SETTLED_SECONDS,
    adopt,
    begin,
    down,
    form_swarm,
    frozen,
    is_rotating,
    root_of,
    start_authority,
    tasks,
    verify_all_ours,
    wait_moving,
)

AWAY_SECONDS = 60 if SOAK else 11
"""How long our endpoint is away; SwarmKit asks again every ten seconds."""
END_SECONDS = 150.0
REFUSALS = ("certificate signed by unknown authority", "was removed from swarm")
"""What an engine says whose node was left out: it trusts the old root, or it is told that it was removed."""


@pytest.mark.timeout(900)
def test_a_rotation_outlives_its_leader_its_endpoint_and_a_node(engines: StartEngines, authority: SwarmsecHost) -> None:
    m1, m2, w1 = every = engines("m1", "m2", "w1")
    form_swarm(m1, (m2, "manager"), (w1, "worker"))
    start_authority(authority)
    adopt(authority, m1.url)
    before = tasks(every)

    _go_step_by_step_and_back(every, authority)
    _take_the_endpoint_away(every, authority)
    assert tasks(every) == before, "no task was started anew"
    _kill_the_leader(every, authority)
    # Docker's own again, so that nobody waits long for a node that is dead.
    m1.docker("swarm", "update", "--dispatcher-heartbeat", "5s")
    _leave_a_dead_node_out(every, authority)
    authority.run("audit", "verify")


def _go_step_by_step_and_back(every: list[Engine], authority: SwarmsecHost) -> None:
    """Called off in its first move it ends under the root that it came from."""
    m1, before = every[0], root_of(authority).read_text()
    with frozen(every[-1]):
        begun = json.loads(authority.typed("swarmsec ca rotate --detach", {}, "--json").stdout)
        assert (begun["finished"], begun["part"], begun["nodes"]) == (False, "out", [])
        work = begin(authority, *_words_of("swarmsec ca rotate --abort"))
        goes_back = lambda: authority.json("swarm", "status")["root_rotation"]["goes_back"]  # noqa: E731
        wait_for(goes_back, timeout=SETTLED_SECONDS, what="the way to be turned")
    assert work.wait(END_SECONDS) == 0
    assert root_of(authority).read_text() == before == m1.swarm()["TLSInfo"]["TrustRoot"]
    verify_all_ours(every, authority)
    for option in ("--abort", "--follow"):
        again = authority.run("ca", "rotate", option, check=False)
        assert (again.returncode, "no rotation of the Swarm" in again.stderr) == (2, True)


def _take_the_endpoint_away(every: list[Engine], authority: SwarmsecHost) -> None:
    """In the first move nobody needs it; in the second every node waits for it, and it goes on by itself."""
    m1, _, w1 = every
    before = root_of(authority).read_text()
    with frozen(w1):
        work = begin(authority, "ca", "rotate")
        wait_moving(m1, work, authority, "the first move")
        authority.kill()
    assert work.wait(END_SECONDS) == 3, "the second move needs the server"
    assert not is_rotating(m1)

    with frozen(w1):
        authority.serve()
        wait_for(lambda: is_rotating(m1), timeout=SETTLED_SECONDS, what="the second move")
        authority.kill()
    time.sleep(AWAY_SECONDS)
    assert is_rotating(m1)
    authority.serve()
    is_over = lambda: authority.json("swarm", "status")["root_rotation"] is None  # noqa: E731
    wait_for(is_over, timeout=END_SECONDS, what="the server to end it")
    assert root_of(authority).read_text() != before
    verify_all_ours(every, authority)


def _kill_the_leader(every: list[Engine], authority: SwarmsecHost) -> None:
    """The other manager has no quorum until it is back; the command waits, and goes on with whoever leads."""
    m1, _, w1 = every
    before = root_of(authority).read_text()
    leader = _leader(every)
    with frozen(w1):
        work = begin(authority, *_words_of("swarmsec ca rotate"))
        wait_moving(m1, work, authority, "the first move")
        leader.kill()
    leader.start()
    leader.wait_ready()
    assert work.wait(END_SECONDS) == 0
    assert root_of(authority).read_text() != before
    m1.wait_for_nodes("m1", "m2", "w1")
    verify_all_ours(every, authority)


def _words_of(line: str, **places: str) -> list[str]:
    """A line of a page without the program."""
    return [places.get(word, word) for word in line.split()[1:]]


def _leader(every: list[Engine]) -> Engine:
    listed = every[0].docker("node", "ls", "--format", "{{.Hostname}} {{.ManagerStatus}}").stdout.splitlines()
    (name,) = [line.split()[0] for line in listed if line.endswith("Leader")]
    return next(engine for engine in every if engine.host.name == name)


def _leave_a_dead_node_out(every: list[Engine], authority: SwarmsecHost) -> None:
    """The node is named, the rotation ends without it, killed in the middle or not, and it does not come back."""
    m1, w1 = every[0], every[-1]
    before = root_of(authority).read_text()
    w1.kill()
    wait_for(lambda: down("w1", m1), timeout=END_SECONDS, what="the node to be given up")
    refused = authority.run("ca", "rotate", check=False)
    assert (refused.returncode, "w1 is not ready" in refused.stderr, "--finish-without" in refused.stderr) == (
        1,
        True,
        True,
    )
    work = begin(authority, *_words_of("swarmsec ca rotate --timeout 5m --finish-without w3", w3="w1"))
    wait_moving(m1, work, authority, "the first move")
    work.send_signal(signal.SIGKILL)
    work.wait()
    authority.typed("swarmsec ca rotate --follow")

    assert root_of(authority).read_text() != before
    verify_all_ours(every[:-1], authority)
    w1.start()
    w1.wait_ready()
    wait_for(lambda: w1.has_said(*REFUSALS), timeout=SETTLED_SECONDS, what="the refusal")
    assert "w1" not in m1.node_states()
