"""Two that rotate the same home's keys at once make one new term."""

from __future__ import annotations

import json
import os
from pathlib import Path

from swarmsec.services.homes.rotate_keys import list_terms
from tests.integration.commands import Commands
from tests.integration.storefixtures import make_home, opened, verify_whole


def test_two_at_once_make_one_term_or_one_after_the_other(tmp_path: Path) -> None:
    place = make_home(tmp_path / "place")
    arguments = ("--home", str(place.home), "--json", "keys", "rotate")
    with Commands(os.environ) as first, Commands(os.environ) as second:
        running = [each.start(*arguments, state=place.state) for each in (first, second)]
        ended = [json.loads(each().verify(0).stdout) for each in running]
    with opened(place) as home:
        terms = home.store.read(list_terms)
    # One that came when the other had ended is a rotation of its own; one that came meanwhile followed it.
    followed = sum(each["followed"] for each in ended)
    assert len(terms) == 3 - followed
    assert [term.state for term in terms] == ["destroyed"] * (2 - followed) + ["active"]
    assert {each["term"] for each in ended} == set(range(2, 4 - followed))
    verify_whole(place)
