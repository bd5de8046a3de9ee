"""The report as JSON: everything that the model holds, keys in a fixed order."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from swarmsec.reports.model import SCHEMA_VERSION, Report, Result, State


def render_json(report: Report) -> bytes:
    """Write the report; the same report gives the same bytes."""
    return encode_document(document_of(report))


def encode_document(document: dict[str, Any]) -> bytes:
    """Write a JSON document for any reader: ASCII, and no half of a surrogate pair, which strict readers refuse."""
    text = json.dumps(document)
    if "\\ud" in text:
        text = json.dumps(_whole(document))
    # Python's own indenting goes without its fast encoder, which takes ten times as long.
    return msgspec.json.format(text.encode(), indent=2) + b"\n"


def document_of(report: Report) -> dict[str, Any]:
    """The report as a JSON document of schema version 1."""
    return {
        "schema_version": SCHEMA_VERSION,
        "created": report.created,
        "swarmsec_version": report.version,
        "profile": report.profile,
        "store_id": report.store_id,
        "cluster_id": report.cluster_id or None,
        "log": {"entries": report.log_size, "checkpoint": report.checkpoint or None},
        "summary": {state.value: count for state, count in report.counts.items()},
        "incomplete": report.is_incomplete,
        "notices": list(report.notices),
        "results": [result_of(result) for result in report.results],
    }


def result_of(result: Result) -> dict[str, Any]:
    """One result."""
    control = result.control
    return {
        "check_id": control.id,
        "title": control.title,
        "section": control.section,
        "control_refs": list(control.references),
        "status": result.state.value,
        "severity": control.severity.value,
        "resource": {
            "type": result.resource.type,
            "id": result.resource.id or None,
            "name": result.resource.name or None,
        },
        "observed": result.observed,
        "expected": result.expected,
        "reason": result.reason or None,
        "remediation": control.remedy if result.state in {State.FAIL, State.MANUAL} else None,
        "evidence": [{"source": item.source, "query": item.query, "sha256": item.sha256} for item in result.evidence],
        "waiver_id": result.waiver_id or None,
        "fingerprint": result.fingerprint,
    }


def _whole(value: Any) -> Any:
    match value:
        case str():
            return value if value.isascii() else value.encode("utf-8", "replace").decode()
        case dict():
            return {_whole(name): _whole(member) for name, member in value.items()}
        case list():
            return [_whole(member) for member in value]
        case _:
            return value
