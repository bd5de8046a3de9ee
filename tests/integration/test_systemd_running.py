"""The shipped units under systemd itself: what they forbid, the services do without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.processes import wait_for
from tests.peers.systemd import PROGRAM, Systemd
from tests.unit.repository.tree import ROOT

HOME, STATE, ROOT_FILE = "/var/lib/swarmsec", "/var/lib/swarmsec-state", "/var/lib/root.pem"
SERVER = "https://localhost:8443"
DAC_READ_SEARCH = 1 << 2
"""CAP_DAC_READ_SEARCH of capabilities(7)."""
PATIENCE = 90.0


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Systemd]:
    with Systemd(tmp_path / "manager", ROOT) as running:
        yield running


def as_authority(manager: Systemd, *words: str) -> str:
    """As docs/operations.md has operators run commands."""
    account = ("runuser", "-u", "swarmsec", "--", "env", f"SWARMSEC_STATE={STATE}")
    return manager.check(*account, PROGRAM, "--home", HOME, *words)


def status_of(manager: Systemd, unit: str) -> dict[str, str]:
    """What the kernel says of a unit's main process."""
    text = manager.check("cat", f"/proc/{manager.property_of(unit, 'MainPID')}/status")
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def serve(manager: Systemd) -> None:
    manager.check("install", "-d", "-m", "0700", "-o", "swarmsec", "-g", "swarmsec", HOME, STATE)
    as_authority(manager, "ca", "init")
    manager.check("sh", "-c", f"umask 022; {PROGRAM} --home {HOME} ca export > {ROOT_FILE}")
    manager.check("systemctl", "start", "swarmsec.service")
    wait_answering(manager)


def wait_answering(manager: Systemd) -> None:
    request = ("curl", "--silent", "--fail", "--cacert", ROOT_FILE, f"{SERVER}/readyz")
    wait_for(lambda: manager.run(*request).returncode == 0, timeout=PATIENCE, what="the server to answer", interval=0.5)


def wait_property(manager: Systemd, unit: str, name: str, value: str) -> None:
    wait_for(
        lambda: manager.property_of(unit, name) == value,
        timeout=PATIENCE,
        what=f"{unit} to have {name}={value}",
        interval=0.5,
    )


def verify_confined(status: dict[str, str], *, capabilities: int = 0) -> None:
    """The kernel holds the process to what the units say."""
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    assert {int(status[name], 16) for name in ("CapBnd", "CapPrm", "CapEff")} == {capabilities}


def test_serve_answers_under_its_unit_is_back_after_a_crash_and_ends_in_order(manager: Systemd) -> None:
    serve(manager)
    status = status_of(manager, "swarmsec.service")
    verify_confined(status)
    assert "0" not in status["Uid"].split()
    manager.check("kill", "-9", status["Pid"])
    wait_property(manager, "swarmsec.service", "NRestarts", "1")
    wait_answering(manager)
    manager.check("systemctl", "stop", "swarmsec.service")
    assert manager.property_of("swarmsec.service", "Result") == "success"
    assert manager.property_of("swarmsec.service", "ExecMainStatus") == "0"


def test_the_agent_reports_under_its_unit(manager: Systemd) -> None:
    unit, directory = "swarmsec-agent.service", "/var/lib/private/swarmsec-agent"
    serve(manager)
    token = as_authority(manager, "ca", "token", "create", "--role", "agent", "--node-name", "worker-1").strip()
    manager.check("install", "-d", "-m", "0700", "/var/lib/private", directory)
    enrol = ("access", "enrol", "--server", SERVER, "--token", token, "--dir", f"{directory}/identity")
    manager.check(PROGRAM, *enrol)
    manager.add_drop_in(unit, f"Environment=SWARMSEC_AGENT_SERVER={SERVER}")
    manager.check("systemctl", "start", unit)
    wait_for(
        lambda: "worker-1" in as_authority(manager, "audit", "log", "--action", "agent.report"),
        timeout=PATIENCE,
        what="the authority to have a report of the node",
        interval=1,
    )
    status = status_of(manager, unit)
    verify_confined(status, capabilities=DAC_READ_SEARCH)
    assert "0" not in status["Uid"].split()


def test_a_hung_driver_is_killed_by_the_watchdog_and_started_again(manager: Systemd) -> None:
    unit, directory = "swarmsec-driver.service", "/var/lib/swarmsec-driver"
    manager.check("install", "-d", "-m", "0700", directory, "/run/docker/plugins")
    manager.check("env", f"SWARMSEC_STATE={directory}/state", PROGRAM, "--home", f"{directory}/home", "ca", "init")
    # Beside a home, as the unit says; and a while to see why it ended.
    manager.add_drop_in(
        unit,
        f"Environment=SWARMSEC_STATE={directory}/state",
        "ExecStart=",
        f"ExecStart={PROGRAM} --home {directory}/home driver",
        "RestartSec=5",
    )
    # With Type=notify this ends when the driver says that it is ready.
    manager.check("systemctl", "start", unit)
    status = status_of(manager, unit)
    verify_confined(status)
    manager.check("kill", "-STOP", status["Pid"])
    wait_property(manager, unit, "Result", "watchdog")
    wait_property(manager, unit, "NRestarts", "1")
    wait_property(manager, unit, "ActiveState", "active")
    assert status_of(manager, unit)["Pid"] != status["Pid"]
