"""systemd itself reads the shipped units and account; nothing is installed or started."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.repository.tree import ROOT

PROGRAM = "/opt/swarmsec/bin/swarmsec"
UNITS = {"swarmsec": 1.5, "swarmsec-driver": 2.0}
"""The worst exposure of each, of 10. What is left is that the server has the network and the root file system,
read-only; the driver is root besides, for Docker's socket and its own are for root."""
both = pytest.mark.parametrize("name", UNITS)


AGENT_S_EXPOSURE = 2.5
"""The agent reads what root may, and sees other processes: that is its work."""


def unit_for_this_machine(directory: Path, name: str = "swarmsec", verb: str = "") -> Path:
    """Copy a unit, its program replaced by one that exists here, which `verify` insists on."""
    text = (ROOT / "systemd" / f"{name}.service").read_text()
    assert re.search(rf"^ExecStart={PROGRAM} .*{verb}$", text, re.MULTILINE)
    unit = directory / f"{name}.service"
    unit.write_text(text.replace(f"ExecStart={PROGRAM}", f"ExecStart={Path(sys.executable).resolve()}"))
    return unit


def analyze(*arguments: str | Path) -> str:
    """Run systemd-analyze without a pager; return both its outputs and expect success."""
    command = ["systemd-analyze", "--no-pager", *map(str, arguments)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


@both
def test_systemd_has_nothing_to_say_about_the_unit(name: str, tmp_path: Path) -> None:
    assert "swarmsec" not in analyze("verify", "--man=no", unit_for_this_machine(tmp_path, name))


def test_a_misspelt_directive_would_be_told(tmp_path: Path) -> None:
    unit = unit_for_this_machine(tmp_path, "swarmsec")
    unit.write_text(unit.read_text().replace("NoNewPrivileges=", "NoNewPrivilege="))
    assert "NoNewPrivilege" in analyze("verify", "--man=no", unit)


@both
def test_the_exposure_stays_low(name: str, tmp_path: Path) -> None:
    threshold = str(round(UNITS[name] * 10))
    analyze("security", "--offline=true", f"--threshold={threshold}", unit_for_this_machine(tmp_path, name))


@both
def test_every_protection_that_systemd_knows_is_on_or_accounted_for(name: str, tmp_path: Path) -> None:
    unit = unit_for_this_machine(tmp_path, name)
    table = json.loads(analyze("security", "--offline=true", "--json=short", unit))
    open_points = {row["json_field"] for row in table if row["set"] is False}
    of_root = {"UserOrDynamicUser", "PrivateUsers"} if name == "swarmsec-driver" else set()
    assert open_points <= of_root | {
        "RootDirectoryOrRootImage",
        "PrivateMounts",
        "PrivateNetwork",
        "IPAddressDeny",
        "DeviceAllow",
        "RestrictAddressFamilies_AF_NETLINK",
        "RestrictAddressFamilies_AF_UNIX",
        "RestrictAddressFamilies_AF_INET_INET6",
    }


def test_systemd_has_nothing_to_say_about_the_agent_s_unit(tmp_path: Path) -> None:
    assert "swarmsec" not in analyze("verify", "--man=no", unit_for_this_machine(tmp_path, "swarmsec-agent", "agent"))


def test_the_agent_has_one_privilege_and_little_exposure(tmp_path: Path) -> None:
    unit = unit_for_this_machine(tmp_path, "swarmsec-agent", "agent")
    analyze("security", "--offline=true", f"--threshold={round(AGENT_S_EXPOSURE * 10)}", unit)

    lines = [line for line in unit.read_text().splitlines() if not line.startswith("#")]
    assert [line for line in lines if "CAP_" in line] == [
        "CapabilityBoundingSet=CAP_DAC_READ_SEARCH",
        "AmbientCapabilities=CAP_DAC_READ_SEARCH",
    ]


def test_the_account_is_understood(tmp_path: Path) -> None:
    definition = ROOT / "systemd" / "swarmsec.sysusers"
    command = ["systemd-sysusers", "--dry-run", f"--root={tmp_path}", str(definition)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "Creating user 'swarmsec'" in ran.stdout + ran.stderr
