"""The HTML report in a real Chromium: wide and narrow, light and dark, by keyboard, without scripts, and on paper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from policies.waivers import Scope, Waiver, WaiverSet
from swarmsec.reports.facts import Answer, Facts
from swarmsec.reports.html_report import render_html
from swarmsec.reports.model import State
from swarmsec.reports.waiving import apply_waivers
from tests.peers.chromium import Chromium
from tests.unit.swarmsec.reports.facts import DAY, HOST, NOW, catalogue, container, facts, hosts, report_of, swarm

WIDE: Final = 1280
NARROW: Final = 360
LEAST_CONTRAST: Final = 4.5
"""WCAG 2.2, 1.4.3 (AA) for text of any size."""
HOSTILE: Final = '"><img src=https://evil.example/x.png onerror=alert(1)><script>document.title="owned"</script>'

# Every element that shows text of its own: its colour, and the first background behind it that is not transparent.
COLOURS: Final = """
[...document.querySelectorAll("body *")].filter((element) => element.checkVisibility() &&
  [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())).map((element) => {
  let behind = element;
  const clear = "rgba(0, 0, 0, 0)";
  while (behind && getComputedStyle(behind).backgroundColor === clear) behind = behind.parentElement;
  const style = getComputedStyle(element);
  return [element.className || element.tagName, style.color, behind ? getComputedStyle(behind).backgroundColor : ""];
})"""
TOO_WIDE: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
FOCUSABLE: Final = (
    "[...document.querySelectorAll('a, input, button, summary')].filter((one) => one.checkVisibility())"
    ".map((one) => [one.tagName, one.textContent.trim().slice(0, 60)])"
)
FOCUSED: Final = (
    "[document.activeElement.tagName, document.activeElement.textContent.trim().slice(0, 60),"
    " getComputedStyle(document.activeElement).outlineStyle]"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    with Chromium() as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report with every state in it, over a Swarm with a hostile service."""
    answers = swarm()
    answers["/services"][0]["Spec"]["Name"] = HOSTILE
    container(answers).update(Env=["DB_PASSWORD=hunter2"], User="", Mounts=[{"Source": "/run/docker.sock"}])
    known = facts(answers, witnesses=0, hosts=hosts(HOST, HOST), checkpoint="swarmsec.dev/log/x/1\n42\nroot\n\n— x y\n")
    answered = {**(known.answers or {}), "/configs": Answer(problem="not for you")}
    scope = Scope(type="service", name=HOSTILE, id="svc1")
    who: dict[str, Any] = {"owner": "ops", "reason": HOSTILE, "ticket": "", "created": NOW - DAY, "expires": NOW + DAY}
    waivers = WaiverSet(waivers=(Waiver(id="w", control="CIS-4.1", scope=scope, **who),))
    made = report_of(Facts(home=known.home, answers=answered))
    made = apply_waivers(made, waivers, catalogue().controls, now=NOW).report
    assert {result.state for result in made.results} == set(State)
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_bytes(render_html(made))
    return path


def luminance(colour: str) -> float:
    """Relative luminance of ``rgb(r, g, b)`` (WCAG 2.2)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast of two colours, 1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_computed_as_the_standard_says() -> None:
    assert contrast("rgb(255, 255, 255)", "rgb(0, 0, 0)") == pytest.approx(21)
    assert contrast("rgb(119, 119, 119)", "rgb(255, 255, 255)") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("dark", [False, True])
def test_it_is_readable_wide_and_narrow_light_and_dark(browser: Chromium, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width=width, dark=dark)
    browser.ask("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")

    assert browser.ask(TOO_WIDE) == 0
    found = browser.ask(COLOURS)
    assert len(found) > 300
    weak = {(name, ink, ground) for name, ink, ground in found if contrast(ink, ground) < LEAST_CONTRAST}
    assert weak == set()
    ground = luminance(browser.ask("getComputedStyle(document.body).backgroundColor"))
    assert ground < 0.1 if dark else ground > 0.9
    assert browser.screenshot(whole=True).startswith(b"\x89PNG")


def test_it_asks_for_nothing_and_runs_nothing_of_a_strangers(browser: Chromium, page: Path) -> None:
    browser.requested.clear()
    browser.open(page)

    assert browser.requested == [page.as_uri()]
    assert browser.ask("document.title") == "Security report: swarmsec-strict"
    assert browser.ask("document.images.length + document.scripts.length") == 1
    assert HOSTILE[:40] in browser.ask("document.body.textContent")


def test_the_keyboard_goes_through_it_in_the_order_that_is_read(browser: Chromium, page: Path) -> None:
    browser.open(page)
    written = browser.ask(FOCUSABLE)
    order = []
    for _ in written:
        browser.press("Tab")
        order.append(tuple(browser.ask(FOCUSED)))

    assert [[tag, text] for tag, text, _ in order] == written
    assert {tag for tag, _, _ in order} == {"A", "INPUT", "BUTTON", "SUMMARY"}
    assert all(outline != "none" for _, _, outline in order)


def test_a_key_sorts_a_table_and_opens_what_is_folded(browser: Chromium, page: Path) -> None:
    browser.open(page)
    table = "document.querySelector('#group-2 ~ table')"
    rows = f"[...{table}.tBodies[0].rows].map((row) => row.cells[1].dataset.sort)"
    browser.ask(f"{table}.querySelectorAll('th button')[1].focus()")
    browser.press("Enter")
    upwards = browser.ask(rows)
    browser.press("Enter")

    assert upwards == sorted(upwards)
    assert browser.ask(rows) == upwards[::-1]
    assert len(set(upwards)) > 1
    assert browser.ask(f"{table}.querySelectorAll('th')[1].ariaSort") == "descending"

    browser.ask("document.querySelector('.results td summary').focus()")
    browser.press("Enter")
    assert browser.ask("document.querySelector('.results td details').open") is True


def test_only_what_is_looked_for_is_shown(browser: Chromium, page: Path) -> None:
    browser.open(page)
    field = "document.getElementById('find')"
    type_in = field + ".value = {}; " + field + ".dispatchEvent(new Event('input'))"
    shown = "[...document.querySelectorAll('.results tbody tr')].filter((row) => row.checkVisibility()).length"
    before = browser.ask(shown)
    browser.ask(type_in.format("'CIS-7.5'"))
    assert browser.ask(shown) == 1

    browser.ask(type_in.format("''"))
    assert browser.ask(shown) >= before


def test_without_scripts_everything_is_there(browser: Chromium, page: Path) -> None:
    browser.open(page)
    results = browser.ask("document.querySelectorAll('.results tbody tr').length")
    browser.switch_scripts(on=False)
    try:
        browser.open(page)
        # The protocol still asks; the page itself ran nothing.
        assert browser.ask("document.querySelectorAll('button, input').length") == 0
        assert browser.ask("document.querySelectorAll('.results tbody tr').length") == results
        assert browser.ask("document.querySelectorAll('th')[0].textContent") == "Group"
    finally:
        browser.switch_scripts(on=True)


def test_on_paper_nothing_stays_folded(browser: Chromium, page: Path) -> None:
    browser.open(page, printing=True)

    hidden = "[...document.querySelectorAll('.results dd')].filter((one) => !one.getBoundingClientRect().height).length"
    assert browser.ask("document.querySelectorAll('details[open]').length") == 0
    assert browser.ask(hidden) == 0
    assert not browser.ask("document.querySelector('.find').checkVisibility()")
    assert browser.pdf().startswith(b"%PDF")


def test_it_says_first_how_it_stands_and_last_how_to_check_it(browser: Chromium, page: Path) -> None:
    browser.open(page)
    first = browser.ask("document.querySelector('main p').textContent")

    assert re.fullmatch(r"\d+ of \d+ checks failed, .*high among them\.", first)
    assert "this report is incomplete" in browser.ask("document.querySelector('.verdict').textContent")
    assert "swarmsec audit verify" in browser.ask("document.querySelector('footer').textContent")
    assert "swarmsec.dev/log/x/1" in browser.ask("document.querySelector('footer').textContent")
