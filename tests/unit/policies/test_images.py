"""Image patterns mean what Docker means by the same name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notary.errors import InvalidReference
from notary.reference import ImageReference
from policies.images import is_repository, parse_image_pattern


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("nginx", "docker.io/library/nginx"),
        ("nginx*", "docker.io/library/nginx*"),
        ("team/app", "docker.io/team/app"),
        ("team/**", "docker.io/team/**"),
        ("docker.io/nginx", "docker.io/library/nginx"),
        ("docker.io/**", "docker.io/**"),
        ("index.docker.io/team/app", "docker.io/team/app"),
        ("registry.example/shop/*", "registry.example/shop/*"),
        ("localhost/app", "localhost/app"),
        ("registry:5000/app", "registry:5000/app"),
        ("*/app", "*/app"),
        ("*.example/**", "*.example/**"),
        ("**", "**"),
    ],
)
def test_patterns_are_read_as_docker_reads_names(written: str, meant: str) -> None:
    assert parse_image_pattern(written).text == meant


@pytest.mark.parametrize(
    "text",
    ["nginx:1.25", "registry.example/app:1", "a/b@sha256:aa", "a/b@*", "registry.example/", "Registry.example/a", ""],
)
def test_tags_digests_and_capitals_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse_image_pattern(text)


@given(st.from_regex(r"([a-z]{1,4}[.:/]?){1,4}[a-z]", fullmatch=True))
def test_exact_patterns_agree_with_the_reference_parser(text: str) -> None:
    try:
        reference = ImageReference.parse(text)
    except InvalidReference:
        return
    if reference.tag is not None:
        with pytest.raises(ValueError, match="without tag"):
            parse_image_pattern(text)
        return
    assert parse_image_pattern(text).text == reference.repository
    assert is_repository(reference.repository)


@pytest.mark.parametrize(
    "name",
    ["nginx", "team/app", "", "/", "registry.example", "registry.example/a:1", "registry.example/a@sha256:aa", "R.x/a"],
)
def test_other_forms_are_no_repository(name: str) -> None:
    assert not is_repository(name)
