"""The pages of the controls are what the catalogue and the checks say."""

from __future__ import annotations

import re
import subprocess
import sys

from policies.bundled_files import bundled
from policies.controls import load_catalogue
from tests.unit.docs.sample_report import PAGE, sample_report
from tests.unit.repository.tree import ROOT

PAGES = ROOT / "docs" / "controls"


def test_the_pages_are_what_the_catalogue_says() -> None:
    script = ROOT / "scripts" / "write-control-pages"
    done = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_every_control_has_a_place_and_every_group_a_page_that_reports_name() -> None:
    catalogue = load_catalogue(bundled("controls.yaml"))
    placed = [name for page in PAGES.glob("*.md") for name in re.findall(r"^## (\S+)", page.read_text(), re.MULTILINE)]
    named = re.findall(r"\(controls/([a-z-]+\.md)\)", (ROOT / "docs" / "reports.md").read_text())

    assert sorted(placed) == sorted(catalogue.controls)
    assert sorted(named) == sorted(page.name for page in PAGES.glob("*.md"))


def test_the_sample_report_is_what_the_program_writes() -> None:
    assert PAGE.read_bytes() == sample_report(), "write it with: python -m tests.unit.docs.sample_report"
