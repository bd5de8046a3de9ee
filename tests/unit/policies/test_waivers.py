"""Waivers are read strictly: an owner, a reason, one thing, and an end."""

from __future__ import annotations

import pytest

from policies.errors import InvalidDocument
from policies.waivers import Scope, load_waivers

DAY = 86_400
TEXT = f"""
apiVersion: swarmsec.dev/v1
kind: WaiverSet
waivers:
  - {{id: w1, control: SWS-12, scope: {{type: home}}, owner: ops, reason: soon, created: "2027-01-01",
      expires: "2028-01-01"}}
attestations:
  - {{id: a1, control: SWS-17, scope: {{type: node, name: m1, cluster: c1}}, owner: ops, statement: seen,
      evidence: {"a" * 64}, created: "2027-01-01", expires: "2027-01-02"}}
"""


def test_what_a_file_holds() -> None:
    given = load_waivers(TEXT.encode())
    (waiver,), (attestation,) = given.waivers, given.attestations

    assert (waiver.scope, waiver.owner, waiver.reason, waiver.ticket) == (Scope(type="home"), "ops", "soon", "")
    assert (waiver.created, waiver.expires - waiver.created) == (1_798_761_600, 365 * DAY)
    assert attestation.scope == Scope(type="node", name="m1", cluster="c1")
    assert (attestation.evidence, attestation.expires - attestation.created) == ("a" * 64, DAY)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('\n      expires: "2028-01-01"', "", "expires"),
        ("owner: ops, ", "", "owner"),
        ("reason: soon, ", "", "reason"),
        ("reason: soon", 'reason: ""', "sentence"),
        ("scope: {type: home}, ", "", "scope"),
        ("2028-01-01", "2028-01-02", "within 365 days"),
        ("2028-01-01", "2027-01-01", "within 365 days"),
        ("2028-01-01", "2026-12-31", "within 365 days"),
        ("2028-01-01", "2027-02-30", "expected a date"),
        ("2028-01-01", "never", "expected a date"),
        ("type: home", "type: service", "name or the id of one service"),
        ("type: home", "type: service, cluster: c1", "name or the id of one service"),
        ("name: m1", 'name: "*"', "without"),
        ("name: m1", 'name: "m?"', "without"),
        ("name: m1", 'name: ""', "without"),
        ("type: home", "type: home, stack: x", "stack"),
        ("id: a1", "id: w1", "w1 twice"),
        ("control: SWS-12", "control: all", "id of a control"),
        ("a" * 64, "a" * 63, "SHA-256"),
        ("kind: WaiverSet", "kind: ReportProfile", "WaiverSet"),
        ("kind: WaiverSet", "kind: WaiverSet\nmore: 1", "more"),
    ],
)
def test_what_is_none(old: str, new: str, said: str) -> None:
    assert old in TEXT
    with pytest.raises(InvalidDocument, match=said):
        load_waivers(TEXT.replace(old, new, 1).encode())
