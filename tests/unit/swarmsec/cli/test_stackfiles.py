"""Stack files: images are pinned, everything else stays as it is."""

from __future__ import annotations

import pytest

from swarmsec.cli.stackfiles import parse_stack
from swarmsec.errors import UsageProblem

STACK = """\
# The shop.
version: "3.8"   # kept

x-base: &base
  image: registry.example/base:1   # shared by two

services:
  api:
    image: 'registry.example/api:1.4'   # quoted
    environment: {IMAGE: "registry.example/api:1.4"}
  web:
    image: "registry.example/web:2"
    deploy:
      replicas: 2
  job: {<<: *base, command: run}
  cron:
    <<: [*base]
  same: {image: &i registry.example/same:1}
  again: {image: *i}
networks: {}
"""


def test_only_images_change() -> None:
    stack = parse_stack(STACK.encode(), source="stack.yml")
    assert [image.text.rpartition("/")[2] for image in stack.images] == ["api:1.4", "web:2", "base:1", "same:1"]
    pinned = stack.pinned(lambda text: f"{text}@sha256:00")
    assert pinned == (
        STACK.replace("'registry.example/api:1.4'", "'registry.example/api:1.4@sha256:00'")
        .replace("registry.example/web:2", "registry.example/web:2@sha256:00")
        .replace("registry.example/base:1", "registry.example/base:1@sha256:00")
        .replace("registry.example/same:1", "registry.example/same:1@sha256:00")
    )


def test_nothing_changes_where_nothing_is_pinned() -> None:
    for text in (STACK, STACK.replace("\n", "\r\n"), "services: {a: {image: ü/ä}} # é\n"):
        assert parse_stack(text.encode(), source="s").pinned(lambda image: image) == text


def test_characters_beyond_ascii_do_not_shift_anything() -> None:
    text = "services:\n  é:\n    # 🐳\n    labels: {x: '🐳'}\n    image: r.example/a:1\n"
    assert "image: r.example/a:1@d\n" in parse_stack(text.encode(), source="s").pinned(lambda image: f"{image}@d")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected services"),
        ("[]", "expected services"),
        ("services: {}", "expected services"),
        ("services: [a]", "expected services"),
        ("services: {a: {build: .}}", "service 'a' has no image"),
        ("services: {a: null}", "service 'a' has no image"),
        ("services: {a: {image: [x]}}", "expected the image of 'a' on one line"),
        ("services:\n  a:\n    image: |\n      x\n", "expected the image of 'a' on one line"),
        ("services:\n  a:\n    image: 'x\n      y'\n", "without escapes"),
        ('services: {a: {image: "x\\x41"}}', "without escapes"),
        ("services: {a: {image: 'x''y'}}", "without escapes"),
        ("services: {a: {image: 'r/x:${TAG}'}}", "without variables"),
        ("services: {a: {image: x, image: y}}", "'image' stands twice"),
        ("services: {a: {image: x}, a: {image: y}}", "'a' stands twice"),
        ("services: {? [a] : {image: x}}", "expected a name"),
        ("services: {a: {image: x}}\n---\nb: 1", "one YAML document"),
        ("services: {a: {image: x}", "one YAML document"),
        ("services: {a: {image: *nowhere}}", "one YAML document"),
        ("\ufeffservices: {a: {image: x}}", "byte order mark"),
    ],
)
def test_what_cannot_be_pinned_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageProblem, match=words.replace("'", ".")):
        parse_stack(text.encode(), source="stack.yml")


def test_other_encodings_are_refused() -> None:
    with pytest.raises(UsageProblem, match="expected UTF-8"):
        parse_stack("services: {é: {image: x}}".encode("latin-1"), source="s")


def test_merges_without_end_are_refused() -> None:
    depth = 80
    anchors = "".join(f"x{n}: &a{n} {{<<: *a{n - 1}}}\n" for n in range(1, depth))
    with pytest.raises(UsageProblem, match="merges within each other"):
        parse_stack(f"x0: &a0 {{}}\n{anchors}services: {{a: {{<<: *a{depth - 1}}}}}\n".encode(), source="s")
