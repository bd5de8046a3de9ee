"""The sample report of the documentation: a Swarm set up badly, judged by the baseline profile.

``python -m tests.unit.docs.sample_report`` writes docs/sample-report.md anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from msgspec.structs import replace

from policies.waivers import Scope, Waiver, WaiverSet
from swarmsec.reports.assembling import assemble_report
from swarmsec.reports.facts import ImageFact
from swarmsec.reports.host_report import Purpose
from swarmsec.reports.markdown_report import render_markdown
from swarmsec.reports.waiving import apply_waivers
from tests.unit.swarmsec.reports.facts import DAY, HOST, IMAGE, NOW, catalogue, container, facts, hosts, swarm

PAGE: Final = Path(__file__).resolve().parents[3] / "docs" / "sample-report.md"
PROFILE: Final = "swarmsec-baseline"
TAGGED: Final = "registry.example/shop/api:1"


def sample_report() -> bytes:
    """The page."""
    answers = swarm()
    container(answers).update(Env=["DB_PASSWORD=hunter2"], Image=TAGGED, User="")
    container(answers).update(Mounts=[{"Source": "/var/run/docker.sock"}])
    answers["/networks"][0].update(Options={})
    answers["/swarm"]["Spec"].update(EncryptionConfig={})
    answers["/nodes"].pop()
    opened = [replace(file, mode=0o666) if file.purpose is Purpose.SOCKET else file for file in HOST.files or ()]
    trusted = ImageFact(standing="trusted", reason="", is_asked=True)
    images = {IMAGE: trusted, TAGGED: ImageFact(standing="unpinned", reason="it names no digest", is_asked=True)}
    known = facts(answers, hosts=hosts(replace(HOST, files=opened)), images=images, last_backup=NOW - 30 * 3600)
    controls = catalogue()
    made = assemble_report(
        known, controls, controls.profiles[PROFILE], profile=PROFILE, created="2027-01-15T08:00:00Z", version="0.1.0"
    )
    waiver = Waiver(
        id="user-of-the-vendor",
        control="CIS-4.1",
        scope=Scope(type="service", name="shop_api"),
        owner="ops@example.com",
        reason="the vendor's image needs root until its next release",
        ticket="OPS-17",
        created=NOW - DAY,
        expires=NOW + 40 * DAY,
    )
    return render_markdown(apply_waivers(made, WaiverSet(waivers=(waiver,)), controls.controls, now=NOW).report)


if __name__ == "__main__":
    PAGE.write_bytes(sample_report())
