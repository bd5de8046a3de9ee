"""Every format: the same bytes for the same report, hostile text made harmless, and readable by its own kind."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from swarmsec.reports.html_report import Group, render_html
from swarmsec.reports.json_report import render_json
from swarmsec.reports.junit_report import render_junit
from swarmsec.reports.markdown_report import MAX_CHARACTERS, render_markdown
from swarmsec.reports.model import Report, State
from swarmsec.reports.prometheus_report import render_prometheus
from swarmsec.reports.sarif_report import render_sarif
from swarmsec.reports.text_report import WIDTH, render_text
from tests.unit.swarmsec.reports.facts import container, report, swarm

RENDERERS: dict[str, Callable[[Report], bytes]] = {
    "text": render_text,
    "json": render_json,
    "html": render_html,
    "markdown": render_markdown,
    "sarif": render_sarif,
    "junit": render_junit,
    "prometheus": render_prometheus,
}
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "\x1b[2J\x1b]0;owned\x07",
    "]]> <!-- & ' \"",
    "| a | b |\n| - | - |",
    "[click](javascript:alert(1))",
    "\u202egnp.exe",
    "\ud800",
    "\x00\x01\x0b\ufffe",
    "{{ 7 * 7 }} {% raw %}",
    "x" * 100_000,
]


def hostile_report(text: str) -> Report:
    """A Swarm whose service, network and image are called so."""
    answers = swarm()
    answers["/services"][0]["Spec"]["Name"] = text
    container(answers).update(Image=text, User=f"0{text}")
    answers["/networks"][0].update(Name=text, Options={})
    return report(answers)


class Reader(HTMLParser):
    """Counts tags, and says which elements came from us."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("name", RENDERERS)
def test_the_same_report_gives_the_same_bytes(name: str) -> None:
    assert RENDERERS[name](report(swarm())) == RENDERERS[name](report(swarm()))


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:24])
@pytest.mark.parametrize("name", RENDERERS)
def test_hostile_names_reach_no_reader(name: str, text: str) -> None:
    data = RENDERERS[name](hostile_report(text)).decode()

    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", data)
    assert "<script>alert" not in data or name in {"json", "sarif", "text"}
    match name:
        case "json" | "sarif":
            json.loads(data)
        case "junit":
            ElementTree.fromstring(data)
        case "html":
            reader = Reader()
            reader.feed(data)
            assert "img" not in reader.tags
            assert reader.tags.count("script") == 1
            assert not any(attribute.startswith("on") for attribute in reader.attributes)
            assert "49" not in re.findall(r"service [^<]*", data)
        case "markdown":
            assert "](javascript" not in data
        case "prometheus":
            assert data == render_prometheus(hostile_report("shop_api")).decode()
        case _:
            assert max(map(len, data.splitlines())) <= WIDTH


def test_json_holds_every_result() -> None:
    made = report(swarm())
    document = json.loads(render_json(made))

    assert len(document["results"]) == len(made.results)
    assert document["summary"] == {state.value: count for state, count in made.counts.items()}
    assert {item["status"] for item in document["results"]} <= {state.value for state in State}
    assert len({item["fingerprint"] for item in document["results"]}) == len(document["results"])


def test_sarif_has_a_rule_for_each_result() -> None:
    (run,) = json.loads(render_sarif(report(swarm())))["runs"]
    rules = run["tool"]["driver"]["rules"]

    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert (result["kind"] == "fail") == (result["level"] != "none")


def test_junit_counts_what_it_holds() -> None:
    answers = swarm()
    container(answers).update(User="root")
    root = ElementTree.fromstring(render_junit(report(answers)))

    assert int(root.attrib["tests"]) == len(root.findall(".//testcase"))
    assert int(root.attrib["failures"]) == len(root.findall(".//failure")) == 1
    assert int(root.attrib["skipped"]) == len(root.findall(".//skipped"))


def test_markdown_fits_a_pull_request_however_much_there_is() -> None:
    answers = swarm()
    answers["/services"] = [
        {"ID": f"s{n}", "Spec": {"Name": f"service-{n}", "TaskTemplate": {"ContainerSpec": {"Image": "x"}}}}
        for n in range(2000)
    ]
    text = render_markdown(report(answers)).decode()

    assert len(text) <= MAX_CHARACTERS
    assert "more results do not fit here" in text


def test_html_calls_nothing_good_that_nobody_looked_at() -> None:
    page = render_html(report(None)).decode()
    services = page.partition('">Services</h2>')[2].partition("</section>")[0]

    assert "Nothing could be told from here." in services


@pytest.mark.parametrize(
    ("open_ones", "passed", "words"),
    [(0, 3, "needs anybody"), (0, 0, "needs anybody"), (2, 3, "is as it should be"), (2, 0, "could be told from here")],
)
def test_html_says_of_a_group_what_is_known(open_ones: int, passed: int, words: str) -> None:
    assert words in Group(name="x", failed=0, open=open_ones, passed=passed, shown=(), folds=()).instead


def test_html_needs_nothing_from_elsewhere() -> None:
    data = render_html(report(swarm())).decode()

    assert not re.search(r"(?:src|href|url\()\s*=?\s*[\"']?(?:https?:)?//", data)
    assert "default-src 'none'" in data
    assert "swarmsec audit verify" in data
