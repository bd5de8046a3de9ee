"""``swarmsec audit report``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from swarmsec.cli.frame import local_requester, opened_home, options_of, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from policies.waivers import WaiverSet
    from swarmsec.docker.engine import EngineApi
    from swarmsec.reports.difference import FormerReport, Move
    from swarmsec.reports.model import Report
    from swarmsec.wiring.homes.home import Home
    from swarmsec.wiring.reports.reporting import Wanted

FORMATS: Final = ("text", "json", "html", "markdown", "sarif", "junit", "prometheus")
SEVERITIES: Final = ("critical", "high", "medium", "low", "info")
DEFAULT_PROFILE: Final = "swarmsec-baseline"
MAX_PROFILE_BYTES: Final = 65_536
MAX_WAIVER_BYTES: Final = 524_288
WAIVER_EXPIRED: Final = 5
"""The exit code, under ``--strict-waivers``."""
_MODES: Final = {"prometheus": 0o644}
"""Metrics name nothing of the Swarm, and node_exporter reads them under an account of its own."""


@click.command()
@click.option("--docker", metavar="HOST", help="A manager's Docker Engine. Default: the home's own, or this machine's.")
@click.option("--no-swarm", is_flag=True, help="Report on this home alone.")
@click.option(
    "--profile",
    default=DEFAULT_PROFILE,
    show_default=True,
    metavar="P",
    help="swarmsec-baseline, swarmsec-strict, cis-docker-1.6, or a file.",
)
@click.option("--format", "chosen", type=click.Choice(FORMATS), help="Default: text; json with --json.")
@click.option("--fail-on", type=click.Choice(SEVERITIES), help="End with 1 if something so bad or worse failed.")
@click.option("--allow-incomplete", is_flag=True, help="Do not end with 3 where something could not be read.")
@click.option(
    "--waivers",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Failures that somebody answers for until a date, and attestations of what only a person can tell.",
)
@click.option("--strict-waivers", is_flag=True, help="End with 5 where a waiver of the file has expired.")
@click.option(
    "--since",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="An earlier report of this home and profile, in JSON, to say what moved since.",
)
@click.option("--diff", is_flag=True, help="With --since: print what moved instead of the report (text or json).")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write to FILE.")
@click.pass_context
def report(
    context: click.Context,
    docker: str | None,
    no_swarm: bool,
    profile: str,
    chosen: str | None,
    fail_on: str | None,
    allow_incomplete: bool,
    waivers: Path | None,
    strict_waivers: bool,
    since: Path | None,
    diff: bool,
    output: Path | None,
) -> None:
    """Hold this home and its Swarm against the controls of a profile.

    Nothing is changed, and nothing passes that was not looked at. The digests of the report and of the raw answers
    behind it go into the log. Ends with 0, with 1 where --fail-on says so, with 3 where something could not be read,
    with 4 where the log is not whole, with 5 where --strict-waivers says so.

    \b
    Examples:
      swarmsec audit report --no-swarm
      swarmsec audit report --no-swarm --profile swarmsec-strict --format html -o report.html
      swarmsec audit report --docker unix:///var/run/docker.sock --fail-on high
      swarmsec audit report --since yesterday.json --diff
      swarmsec audit report --no-swarm --format prometheus -o swarmsec.prom
    """
    from swarmsec.plaintext import plain
    from swarmsec.reports.difference import compare_reports
    from swarmsec.reports.waiving import apply_waivers

    wanted, chosen = _wanted(profile), chosen or ("json" if options_of(context).json else "text")
    former = _former(since, chosen, diff=diff)
    given, on_record = _given(waivers, strict=strict_waivers)
    with opened_home(context) as home:
        made = _made(home, wanted, None if no_swarm else _manager(home, docker))
        waived = apply_waivers(made, given, wanted.catalogue.controls, now=home.clock.unix_ms() // 1000)
        made = waived.report
        moves = compare_reports(former, made) if former else ()
        data = _moved(former, moves, chosen) if former and diff else _rendered(made, chosen)
        _record(home, made, data, on_record)
    _deliver(data, output, mode=_MODES.get(chosen, 0o600))
    if former and not diff:
        say(f"since {plain(former.created, 40)}: {len(moves)} results moved; see them with --diff")
    for notice in made.notices if output is not None else ():
        say(plain(notice))
    context.exit(_code(made, fail_on, waived.expired if strict_waivers else (), allow_incomplete=allow_incomplete))


def _wanted(profile: str) -> Wanted:
    from policies.bundled_files import bundled
    from policies.controls import load_catalogue, load_profile
    from swarmsec.cli.secretinput import read_bounded
    from swarmsec.errors import UsageProblem
    from swarmsec.wiring.reports.reporting import Wanted

    catalogue = load_catalogue(bundled("controls.yaml"))
    if profile in catalogue.profiles:
        return Wanted(catalogue=catalogue, profile=profile, control_ids=catalogue.profiles[profile])
    path = Path(profile)
    if not path.exists():
        known = ", ".join(catalogue.profiles)
        raise UsageProblem(f"expected a profile ({known}) or a file, got {profile!r:.80}")
    ids = load_profile(read_bounded(path, limit=MAX_PROFILE_BYTES), catalogue, source=str(path))
    return Wanted(catalogue=catalogue, profile=path.stem, control_ids=ids)


def _given(waivers: Path | None, *, strict: bool) -> tuple[WaiverSet, dict[str, str]]:
    """What the file of waivers holds, and what the log keeps of it: its digest."""
    import hashlib

    from policies.waivers import WaiverSet, load_waivers
    from swarmsec.cli.secretinput import read_bounded
    from swarmsec.errors import UsageProblem

    if waivers is None:
        if strict:
            raise UsageProblem("expected --waivers beside --strict-waivers", hint="name the file with --waivers FILE")
        return WaiverSet(), {}
    data = read_bounded(waivers, limit=MAX_WAIVER_BYTES)
    return load_waivers(data, source=str(waivers)), {"waivers": hashlib.sha256(data).hexdigest()}


def _former(since: Path | None, chosen: str, *, diff: bool) -> FormerReport | None:
    """The report to compare with, read before anything is asked."""
    from swarmsec.cli.secretinput import read_bounded
    from swarmsec.errors import UsageProblem
    from swarmsec.reports.difference import MAX_REPORT_BYTES, load_report

    if since is None:
        if diff:
            raise UsageProblem("expected --since FILE beside --diff", hint="an earlier report in JSON")
        return None
    if diff and chosen not in {"text", "json"}:
        raise UsageProblem(f"expected --format text or json with --diff, got {chosen}")
    return load_report(read_bounded(since, limit=MAX_REPORT_BYTES), source=str(since))


def _moved(former: FormerReport, moves: tuple[Move, ...], chosen: str) -> bytes:
    from swarmsec.reports.difference import render_moves_json, render_moves_text

    return (render_moves_json if chosen == "json" else render_moves_text)(former, moves)


def _manager(home: Home, docker: str | None) -> tuple[EngineApi, str]:
    from swarmsec.docker.engine import EngineApi
    from swarmsec.wiring.swarm.opening import find_home_endpoint

    endpoint = find_home_endpoint(home, docker)
    return EngineApi(endpoint), endpoint.url


def _made(home: Home, wanted: Wanted, manager: tuple[EngineApi, str] | None) -> Report:
    from swarmsec.cli.progress import progress
    from swarmsec.wiring.reports.reporting import PATHS, make_report

    api, where = manager or (None, "")
    with progress("reading", len(PATHS) + 1) as advance:
        return make_report(home, api, where, wanted, advance)


def _rendered(made: Report, chosen: str) -> bytes:
    match chosen:
        case "json":
            from swarmsec.reports.json_report import render_json as render
        case "html":
            from swarmsec.reports.html_report import render_html as render
        case "markdown":
            from swarmsec.reports.markdown_report import render_markdown as render
        case "sarif":
            from swarmsec.reports.sarif_report import render_sarif as render
        case "junit":
            from swarmsec.reports.junit_report import render_junit as render
        case "prometheus":
            from swarmsec.reports.prometheus_report import render_prometheus as render
        case _:
            from swarmsec.reports.text_report import render_text as render
    return render(made)


def _record(home: Home, made: Report, data: bytes, more: dict[str, str]) -> None:
    import hashlib

    from swarmsec.services.reports.report_facts import record_report
    from swarmsec.wiring.reports.reporting import evidence_of

    digest, evidence = hashlib.sha256(data).hexdigest(), {**evidence_of(made), **more}
    home.store.write(
        lambda transaction: record_report(
            transaction, local_requester(), profile=made.profile, sha256=digest, evidence=evidence
        )
    )


def _deliver(data: bytes, output: Path | None, *, mode: int) -> None:
    from swarmsec.atomicfile import write_atomically
    from swarmsec.errors import Unavailable

    if output is None:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    try:
        write_atomically(output, data, mode=mode)
    except OSError as error:
        raise Unavailable(f"{output} could not be written: {error.strerror}", hint="check its directory") from None
    say(f"wrote {output}")


def _code(made: Report, fail_on: str | None, expired: Sequence[str], *, allow_incomplete: bool) -> int:
    from policies.controls import Severity
    from swarmsec.reports.model import State
    from swarmsec.reports.waiving import LOG_CONTROL

    if any(result.control.id == LOG_CONTROL and result.state is State.FAIL for result in made.results):
        return 4
    if fail_on is not None and made.failures(Severity(fail_on)):
        return 1
    if expired:
        return WAIVER_EXPIRED
    return 3 if made.is_incomplete and not allow_incomplete else 0
