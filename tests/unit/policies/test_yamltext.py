"""What policy text may be: everything that readers could take differently is refused, with place and line."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policies.errors import InvalidDocument
from policies.yamltext import MAX_DEPTH, MAX_DOCUMENTS, MAX_NODES, MAX_TEXT_BYTES, parse_trees


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "empty text"),
        (b"# nothing\n", "empty text"),
        (b"a: &x 1", "anchors"),
        (b"a: *x", "anchors"),
        (b"- &x {}\n- *x", "anchors"),
        (b"a: !!str 1", "tags"),
        (b"a: !!python/object/apply:os.system [x]", "tags"),
        (b"! a: 1", "tags"),
        (b"%YAML 1.1\n---\na: 1", "directives"),
        (b"%TAG ! tag:example,2000:\n---\na: 1", "directives"),
        (b"a: 1\na: 2", "each key once"),
        (b'a: 1\n"a": 2', "each key once"),
        (b"{a: {b: 1, b: 2}}", "each key once"),
        (b"1: a", "string as key"),
        (b"null: a", "string as key"),
        (b"[a]: b", "string as key"),
        (b"<<: {a: 1}", "reads alike"),
        (b"a: \xff", "UTF-8"),
        (b"\xfe\xff\x00a", "UTF-8"),
        (b"a: \x00", "visible"),
        (b"a: \x1b[0m", "visible"),
        ("a: \u202eb".encode(), "visible"),
        ("\ufeffa: b".encode(), "visible"),
        ("a: b\u2028c: d".encode(), "visible"),
        ("a: b\u0085".encode(), "visible"),
        (b'a: "\\0"', "visible"),
        (b'a: "\\ud800"', "visible"),
        (b'a: "b\\nc"', "visible"),
        (b"a: |\n  b\n  c\n", "visible"),
        (b'a: "\\UFFFFFFFF"', "expected YAML"),
        (b'a: "\\U00110000"', "expected YAML"),
        (b"{a: 1", "expected YAML"),
        (b"a: b: c", "expected YAML"),
        (b"\ta: b", "expected YAML"),
        (b"a: 1\n...\nb: 2", "expected YAML"),
        (b" " * (MAX_TEXT_BYTES + 1), "at most 262144 bytes"),
    ],
)
def test_refusals(text: bytes, message: str) -> None:
    with pytest.raises(InvalidDocument, match=message):
        parse_trees(text, source="f.yaml")


@pytest.mark.parametrize(
    "scalar",
    [
        *("no", "Yes", "on", "off", "TRUE", "True", "~", "Null", "1.5", "1e3", ".5", "012", "0o17", "0x1f", "1_000"),
        *("+1", "12:30", "2026-01-01", ".inf", "-.INF", ".nan", "=", "-0x1", "1.", "0b11", "9999999999999999999"),
    ],
)
def test_scalars_that_readers_take_differently_need_quotes(scalar: str) -> None:
    with pytest.raises(InvalidDocument, match="reads alike"):
        parse_trees(f"a: {scalar}".encode(), source="f.yaml")
    assert parse_trees(f"a: '{scalar}'".encode(), source="f.yaml")[0].plain() == {"a": scalar}


def test_the_accepted_types() -> None:
    (tree,) = parse_trees(b"a: [true, false, null, 0, -7, x, 'no', \"1\", {}, []]\nb:\n", source="f.yaml")
    assert tree.plain() == {"a": [True, False, None, 0, -7, "x", "no", "1", {}, []], "b": None}


def test_a_refusal_names_the_place() -> None:
    text = b"a: 1\n---\nspec:\n  rules:\n    - x\n    - images: [ok, no]\n"
    with pytest.raises(InvalidDocument) as caught:
        parse_trees(text, source="f.yaml")
    error = caught.value
    assert (error.source, error.document, error.path, error.line) == ("f.yaml", 2, "spec.rules[1].images[1]", 6)
    assert str(error).startswith("f.yaml, line 6, document 2, spec.rules[1].images[1]: expected ")
    assert error.hint == "put it in quotes"


def test_odd_keys_are_quoted_in_paths() -> None:
    with pytest.raises(InvalidDocument, match=r"labels\['com\.example/x'\]: "):
        parse_trees(b"labels: {com.example/x: no}", source="f.yaml")


def test_limits_hold_exactly() -> None:
    parse_trees(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, source="x")
    with pytest.raises(InvalidDocument, match="levels"):
        parse_trees(b"[" * (MAX_DEPTH + 1), source="x")
    with pytest.raises(InvalidDocument, match="levels"):
        parse_trees(b"- " * (MAX_DEPTH + 1), source="x")
    parse_trees(b"--- a\n" * MAX_DOCUMENTS, source="x")
    with pytest.raises(InvalidDocument, match="documents, got more"):
        parse_trees(b"--- a\n" * (MAX_DOCUMENTS + 1), source="x")


def test_the_number_of_values_is_bounded() -> None:
    with pytest.raises(InvalidDocument, match="values, got more"):
        parse_trees(b"[" + b"a," * MAX_NODES + b"]", source="x")


def test_deep_nesting_is_refused_before_the_rest_is_read() -> None:
    with pytest.raises(InvalidDocument, match="levels"):
        parse_trees(b"[" * MAX_TEXT_BYTES, source="x")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_arbitrary_bytes_end_in_a_tree_or_a_refusal(text: bytes) -> None:
    refusal = ""
    try:
        parse_trees(text, source="fuzz")
    except InvalidDocument as error:
        refusal = str(error)
    assert refusal.isprintable()


@settings(max_examples=300)
@given(st.text("ab:-[]{},&*!|>'\"%@`#?~ \n\t\\0x.U1", max_size=60).map(str.encode))
def test_almost_yaml_ends_in_a_tree_or_a_refusal(text: bytes) -> None:
    try:
        trees = parse_trees(text, source="fuzz")
    except InvalidDocument:
        return
    assert all(json.loads(json.dumps(tree.plain())) == tree.plain() for tree in trees)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18) + 1, 10**18 - 1) | st.text("ab no1.:~é", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab1 ", max_size=3), inner, max_size=3),
    max_leaves=12,
)


@given(JSON)
def test_json_is_read_as_json(value: object) -> None:
    (tree,) = parse_trees(json.dumps(value, ensure_ascii=False).encode(), source="fuzz")
    assert tree.plain() == value


def test_importing_the_package_does_not_import_yaml() -> None:
    code = "import sys, policies.loading, policies.access; sys.exit('yaml' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
