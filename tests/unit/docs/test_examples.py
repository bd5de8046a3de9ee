"""The reading of examples itself: what is run, with which words, against which output."""

from __future__ import annotations

import pytest

from tests.unit.docs.examples import Example, PageFile, matches, parsed_examples, session

PAGE = """\
# A page

```yaml p.yaml
a: 1
```

```console
$ swarmsec policy check p.yaml
good … here
$ make test
$ swarmsec audit \\
    verify > out.json
$ swarmsec policy explain image "a b" < in.txt | less
$ echo $?
1
```

```text
$ swarmsec serve --listen 0.0.0.0:8443
anything
```
"""


def test_a_session_is_its_files_and_commands_in_order() -> None:
    file, first, second, third = session("x.md", PAGE)
    assert file == PageFile(name="p.yaml", content="a: 1\n")
    assert isinstance(first, Example)
    assert (first.words, first.output, first.code) == (["policy", "check", "p.yaml"], "good … here", 0)
    assert first.where == "x.md:7"
    assert isinstance(second, Example)
    assert (second.words, second.written_file) == (["audit", "verify"], "out.json")
    assert isinstance(third, Example)
    assert (third.words, third.read_file, third.code) == (["policy", "explain", "image", "a b"], "in.txt", 1)


def test_other_blocks_are_parsed_only() -> None:
    assert [example.words for example in parsed_examples("x.md", PAGE)] == [["serve", "--listen", "0.0.0.0:8443"]]


def test_arguments_from_other_programs_need_a_shell() -> None:
    assert Example(where="x", text='swarmsec ca init --cluster-id "$(docker info)"').needs_a_shell


@pytest.mark.parametrize(
    ("expected", "got", "same"),
    [
        ("good", "good\n", True),
        ("good", "goods", False),
        ("a … c", "a b\nb c", True),
        ("a.c", "abc", False),
        ("…", "", True),
    ],
)
def test_outputs_are_compared_with_gaps(expected: str, got: str, same: bool) -> None:
    assert matches(expected, got) is same
