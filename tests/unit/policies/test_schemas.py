"""The shipped schemas and the parsers accept and refuse the same documents."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types

from policies.access import load_access_table
from policies.bundled_files import SCHEMA_KINDS, bundled, schema
from policies.errors import PolicyError
from policies.fixtures import load_cases
from policies.loading import load_documents
from policies.yamltext import parse_trees
from tests.unit.policies.builders import document

PARSERS: dict[str, Callable[[bytes], object]] = {
    "SecretAccessPolicy": lambda text: load_documents(text, source="x"),
    "RotationPolicy": lambda text: load_documents(text, source="x"),
    "TrustPolicy": lambda text: load_documents(text, source="x"),
    "PolicyTest": lambda text: load_cases(text, source="x"),
    "AccessTable": load_access_table,
}


def rule(**fields: object) -> dict[str, object]:
    return document("SecretAccessPolicy", {"rules": [{"effect": "allow", **fields}]})


def scope(**fields: object) -> dict[str, object]:
    return document("TrustPolicy", {"scopes": [{"level": "enforce", **fields}]})


def rotation(**fields: object) -> dict[str, object]:
    return document("RotationPolicy", {"rules": [fields]})


def case(request: object, expect: object = "deny", name: object = "c") -> dict[str, object]:
    return document("PolicyTest", {"cases": [{"name": name, "request": request, "expect": expect}]})


def table(**routes: object) -> dict[str, object]:
    return {"apiVersion": "swarmsec.dev/v1", "kind": "AccessTable", "routes": routes}


ACCEPTED = [
    rule(),
    rule(secrets=["a", "a/*", "a/**", "é b"], services=["x"], nodes=["*"], images=["nginx", "r.example/**"]),
    rule(labels={}, requireTrustedImage=True, requireAttached=False),
    rule(labels={"com.example/tier": "db*"}, effect="deny"),
    rule(secrets=["a" * 256]),
    rule(secrets=[f"s{n}" for n in range(64)]),
    scope(),
    scope(images=["**"], minSigners=1, maxAge="90d"),
    scope(minSigners=100, maxAge="9999w"),
    scope(level="skip", images=["docker.io/library/*", "a"]),
    scope(level="warn"),
    scope(images=["registry.example:5000/*/app", "127.0.0.1:5000/**"]),
    rotation(maxAge="90d"),
    rotation(every="30d", secrets=["a/**"]),
    rotation(every="60m", maxAge="1w", length=16, keep=100, window="23:30-01:00"),
    rotation(every="3600s", length=4096, keep=1, window="00:00-23:59"),
    case({"rotation": "a"}, "rotate"),
    case({"rotation": "a"}, "report"),
    case({"rotation": "a"}, "none"),
    case({"secret": "a"}),
    case({"secret": "a"}, "allow"),
    case({"secret": "a", "service": "s", "image": "r.example/x", "nodes": ["n"], "labels": {"k": ""}}),
    case({"secret": "a", "attached": True, "imageTrusted": False}),
    case({"image": "docker.io/library/nginx"}, "enforce"),
    case({"image": "localhost/x"}),
    table(healthz={"roles": ["anonymous"]}),
    table(metrics={"roles": ["admin"], "loopbackOnly": ["anonymous"]}),
]

REFUSED = [
    rule(effect="maybe"),
    rule(effect=None),
    rule(secrets=[]),
    rule(secrets="a"),
    rule(secrets=[1]),
    rule(secrets=[""]),
    rule(secrets=["a", "a"]),
    rule(secrets=["a" * 257]),
    rule(secrets=[f"s{n}" for n in range(65)]),
    rule(secrets=["a?"]),
    rule(secrets=["[a]"]),
    rule(secrets=["{a}"]),
    rule(secrets=["a\\"]),
    rule(secrets=["***"]),
    rule(secrets=[" a"]),
    rule(secrets=["a "]),
    rule(images=["nginx:1"]),
    rule(images=["a/b@sha256:x"]),
    rule(images=["r.example/"]),
    rule(images=["R.example/a"]),
    rule(labels=[]),
    rule(labels={"": "x"}),
    rule(labels={"k": 1}),
    rule(labels={f"k{n}": "v" for n in range(33)}),
    rule(requireAttached="true"),
    rule(requireTrustedImage=1),
    rule(unknown=True),
    document("SecretAccessPolicy", {"rules": [{}]}),
    document("SecretAccessPolicy", {"rules": []}),
    document("SecretAccessPolicy", {}),
    document("SecretAccessPolicy", {"rules": [{"effect": "allow"}], "mode": "warn"}),
    document("SecretAccessPolicy", {"rules": [{"effect": "allow"}]}, name="A"),
    scope(level="strict"),
    scope(minSigners=0),
    scope(minSigners=101),
    scope(minSigners=True),
    scope(minSigners="1"),
    scope(maxAge="90"),
    scope(maxAge="0d"),
    scope(maxAge="10000d"),
    scope(maxAge="1y"),
    scope(maxAge="1 d"),
    scope(maxAge=90),
    scope(level="skip"),
    scope(level="skip", images=["**"]),
    scope(level="skip", images=["*/*"]),
    scope(level="skip", images=["a", "*"]),
    scope(level="skip", images=["a"], minSigners=1),
    scope(level="skip", images=["a"], maxAge="1d"),
    rotation(),
    rotation(secrets=["a"]),
    rotation(maxAge="90"),
    rotation(maxAge="1d", secrets=[]),
    rotation(maxAge="1d", length=40),
    rotation(maxAge="1d", keep=2),
    rotation(maxAge="1d", window="02:00-03:00"),
    rotation(every="59m"),
    rotation(every="3599s"),
    rotation(every="1d", length=15),
    rotation(every="1d", length=4097),
    rotation(every="1d", keep=0),
    rotation(every="1d", keep=101),
    rotation(every="1d", window="2:00-3:00"),
    rotation(every="1d", window="24:00-03:00"),
    rotation(every="1d", window="02:00-02:00"),
    rotation(every="1d", window="02:00"),
    rotation(every="1d", validate="true"),
    document("RotationPolicy", {"rules": []}),
    case({"rotation": "a"}),
    case({"rotation": ""}, "none"),
    case({"rotation": "a", "secret": "a"}, "none"),
    case({"secret": "a"}, "rotate"),
    case({"image": "docker.io/library/nginx"}, "none"),
    case({}),
    case({"secret": ""}),
    case({"secret": "a", "image": "nginx"}),
    case({"secret": "a", "nodes": []}),
    case({"secret": "a", "labels": {"k": 1}}),
    case({"secret": "a", "who": "me"}),
    case({"secret": "a"}, "warn"),
    case({"image": "docker.io/library/nginx"}, "allow"),
    case({"image": "docker.io/library/nginx:1"}),
    case({"image": "docker.io/library/nginx", "service": "s"}),
    case({"secret": "a"}, "maybe"),
    case({"secret": "a"}, name=""),
    table(),
    table(healthz={"roles": []}),
    table(healthz={}),
    table(healthz={"roles": ["root"]}),
    table(healthz={"roles": ["admin", "admin"]}),
    table(healthz={"roles": ["admin"], "loopback": True}),
    table(healthz={"roles": "admin"}),
    table(Healthz={"roles": ["admin"]}),
    table(**{"a..b": {"roles": ["admin"]}}),
    {**table(healthz={"roles": ["admin"]}), "metadata": {"name": "a"}},
]


def is_parsed(value: dict[str, object]) -> bool:
    try:
        PARSERS[str(value["kind"])](json.dumps(value).encode())
    except PolicyError:
        return False
    return True


def is_valid(value: dict[str, object]) -> bool:
    return bool(Draft202012Validator(json.loads(schema(str(value["kind"])))).is_valid(value))


@pytest.mark.parametrize("value", ACCEPTED, ids=repr)
def test_both_accept(value: dict[str, object]) -> None:
    assert (is_parsed(value), is_valid(value)) == (True, True)


@pytest.mark.parametrize("value", REFUSED, ids=lambda value: repr(value)[:200])
def test_both_refuse(value: dict[str, object]) -> None:
    assert (is_parsed(value), is_valid(value)) == (False, False)


@pytest.mark.parametrize("kind", sorted(SCHEMA_KINDS))
def test_schemas_are_schemas_and_closed(kind: str) -> None:
    loaded = json.loads(schema(kind))
    Draft202012Validator.check_schema(loaded)
    assert open_objects(loaded) == []


def open_objects(node: Any) -> list[Any]:
    """Return every object schema that does not say what further fields are."""
    if isinstance(node, list):
        return [found for item in node for found in open_objects(item)]
    if not isinstance(node, dict):
        return []
    own = [node] if node.get("type") == "object" and "additionalProperties" not in node else []
    return own + [found for item in node.values() for found in open_objects(item)]


@pytest.mark.parametrize("name", ["access.yaml", "trust-default.yaml"])
def test_bundled_documents_fit_their_schema(name: str) -> None:
    (tree,) = parse_trees(bundled(name), source=name)
    plain = tree.plain()
    assert isinstance(plain, dict)
    assert is_valid(dict(plain))
