"""The shipped unit keeps the promises that docs/threat-model.md builds on.

Whether systemd accepts it, and how it scores it, is asked of systemd itself in tests/integration/test_systemd.py.
"""

from __future__ import annotations

from collections import defaultdict

import pytest

from tests.unit.repository.tree import ROOT

UNIT = ROOT / "systemd" / "swarmsec.service"

REQUIRED = {
    "User": "swarmsec",
    "UMask": "0077",
    "StateDirectoryMode": "0700",
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "ProtectProc": "invisible",
    "ProcSubset": "pid",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "MemorySwapMax": "0",
    "LimitCORE": "0",
    "MemoryDenyWriteExecute": "yes",
    "RestrictNamespaces": "yes",
    "SystemCallArchitectures": "native",
    "Restart": "on-failure",
}


def parse_unit(text: str) -> dict[str, dict[str, list[str]]]:
    """Section to directive to its values in order, as systemd.syntax(7) reads a unit without continuation lines."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        if line.startswith("["):
            section = sections[line.strip("[]")] = defaultdict(list)
            continue
        name, equals, value = line.partition("=")
        assert equals, f"expected a directive, got {line!r}"
        section[name].append(value)
    return sections


def service() -> dict[str, list[str]]:
    """The [Service] section."""
    return parse_unit(UNIT.read_text())["Service"]


@pytest.mark.parametrize(("directive", "value"), REQUIRED.items())
def test_a_protection_is_on(directive: str, value: str) -> None:
    assert service()[directive] == [value]


def test_system_calls_are_allowed_by_list_and_refused_softly() -> None:
    assert service()["SystemCallFilter"] == ["@system-service", "~@privileged @resources"]
    assert service()["SystemCallErrorNumber"] == ["EPERM"]


def test_only_the_needed_address_families_are_open() -> None:
    assert service()["RestrictAddressFamilies"] == ["AF_INET AF_INET6 AF_UNIX AF_NETLINK"]


def test_the_anchor_lives_beside_the_home_and_not_in_it() -> None:
    assert service()["StateDirectory"] == ["swarmsec swarmsec-state"]
    environment = " ".join(service()["Environment"]).split()
    assert {"SWARMSEC_HOME=/var/lib/swarmsec", "SWARMSEC_STATE=/var/lib/swarmsec-state"} <= set(environment)


def test_a_refusal_of_our_own_is_not_tried_again() -> None:
    # The exit codes of swarmsec.errors.Kind: USAGE and INTEGRITY.
    assert service()["RestartPreventExitStatus"] == ["2 4"]


def test_no_group_and_no_secret_comes_with_the_unit() -> None:
    assert service().keys().isdisjoint({"SupplementaryGroups", "EnvironmentFile", "PassEnvironment"})
    assert parse_unit(UNIT.read_text())["Install"]["WantedBy"] == ["multi-user.target"]


def test_the_driver_is_hardened_like_the_server_and_watched() -> None:
    driver = parse_unit((ROOT / "systemd" / "swarmsec-driver.service").read_text())["Service"]
    # It is root, whose socket and Docker's it shares, and comes back after every end.
    own = {"User", "StateDirectory", "Restart"}
    assert {name: driver[name] for name in REQUIRED.keys() - own} == {
        name: [value] for name, value in REQUIRED.items() if name not in own
    }
    assert (driver["Type"], driver["WatchdogSec"], driver["Restart"]) == (["notify"], ["10"], ["always"])
    assert driver["SystemCallFilter"] == service()["SystemCallFilter"]
    assert driver.keys().isdisjoint({"SupplementaryGroups", "EnvironmentFile", "PassEnvironment"})


def test_the_page_and_the_unit_of_the_agent_enrol_into_the_directory_that_systemd_gives_it() -> None:
    text = (ROOT / "systemd" / "swarmsec-agent.service").read_text()
    page = (ROOT / "docs" / "agent.md").read_text()
    (name,) = parse_unit(text)["Service"]["StateDirectory"]
    # With DynamicUser= the files of a StateDirectory= lie below /var/lib/private (systemd.exec(5)).
    assert parse_unit(text)["Service"]["DynamicUser"] == ["yes"]
    wanted = [f"install -d -m 0700 /var/lib/private/{name}", f"cd /var/lib/private/{name}", "--dir identity"]
    assert [part for part in wanted if part not in text] == []
    assert [part for part in wanted if part not in page] == []
