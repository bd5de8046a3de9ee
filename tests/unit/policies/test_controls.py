"""The catalogue of controls is read strictly, and what ships is whole."""

from __future__ import annotations

import pytest

from policies.bundled_files import bundled
from policies.controls import Severity, load_catalogue, load_profile
from policies.errors import InvalidDocument

CONTROL = '  - {id: OWN-1, title: "t", section: "s", severity: high, means: home, why: "w", remedy: "r"}'
TEXT = f"""
apiVersion: swarmsec.dev/v1
kind: ControlCatalogue
controls:
{CONTROL}
profiles:
  all: [OWN-1]
"""
PROFILE = "apiVersion: swarmsec.dev/v1\nkind: ReportProfile\ncontrols: [OWN-1]\n"


def test_what_ships_is_whole() -> None:
    catalogue = load_catalogue(bundled("controls.yaml"))

    assert set(catalogue.profiles) == {"cis-docker-1.6", "swarmsec-baseline", "swarmsec-strict"}
    assert set(catalogue.profiles["swarmsec-strict"]) == set(catalogue.controls)
    assert {f"SWS-{number:02}" for number in range(1, 19)} <= set(catalogue.controls)
    assert {f"CIS-7.{number}" for number in range(1, 10)} <= set(catalogue.profiles["cis-docker-1.6"])


def test_severities_are_ordered() -> None:
    assert [severity.rank for severity in Severity] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("OWN-1, title", "own-1, title"),
        ("severity: high", "severity: bad"),
        ("means: home", "means: nowhere"),
        ('why: "w", ', ""),
        ('why: "w"', 'why: ""'),
        ("all: [OWN-1]", "all: [OWN-2]"),
        ("all: [OWN-1]", "all: [OWN-1, OWN-1]"),
        ("all: [OWN-1]", "All: [OWN-1]"),
        ("kind: ControlCatalogue", "kind: TrustPolicy"),
        ("kind: ControlCatalogue", "kind: ControlCatalogue\nmore: 1"),
        ("profiles:", f"{CONTROL}\nprofiles:"),
    ],
)
def test_what_is_no_catalogue(old: str, new: str) -> None:
    assert old in TEXT
    load_catalogue(TEXT.encode())
    with pytest.raises(InvalidDocument):
        load_catalogue(TEXT.replace(old, new, 1).encode())


def test_a_profile_of_one_s_own() -> None:
    catalogue = load_catalogue(TEXT.encode())

    assert load_profile(PROFILE.encode(), catalogue) == ("OWN-1",)
    with pytest.raises(InvalidDocument):
        load_profile(PROFILE.replace("OWN-1", "OWN-9").encode(), catalogue)
