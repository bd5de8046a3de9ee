"""Request targets are split before they are decoded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsec.errors import UsageProblem
from swarmsec.server.targets import MAX_QUERY_FIELDS, parse_target


def test_segments_are_decoded_after_they_are_split() -> None:
    target = parse_target("/a/b%2Fc/%C3%A4/?x=1&y=%20+")
    assert target.segments == ("a", "b/c", "ä", "")
    assert target.query == {"x": "1", "y": "  "}
    assert target.path == "/a/b%2Fc/%C3%A4/"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "*",
        "https://host/a",
        "/a b",
        "/%",
        "/%g0",
        "/%ff",
        "/%00",
        "/%0a",
        "/%7f",
        "/%c2%85",
        "/a#b",
        "/a\\b",
        "/..",
        "/a/%2e%2e/b",
        "/.",
        "/ä",
        "/a?b",
        "/a?=b",
        "/a?b=1&b=2",
        "/a?b=%ff",
        "/a?b=%0d",
        "/a?b=%",
        "/a?b=\x01",
        "/a?" + "&".join(f"f{n}=1" for n in range(MAX_QUERY_FIELDS + 1)),
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(UsageProblem):
        parse_target(text)


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        target = parse_target("/" + text)
    except UsageProblem:
        return
    assert all(segment not in {".", ".."} for segment in target.segments)
