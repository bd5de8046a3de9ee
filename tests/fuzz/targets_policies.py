"""Targets of policy texts and image references."""

from __future__ import annotations

import json

from notary.errors import InvalidDigest, InvalidReference
from notary.reference import Digest, ImageReference, parse_layout_reference, parse_tag
from policies.access import load_access_table
from policies.bundled_files import bundled
from policies.controls import load_catalogue, load_profile
from policies.errors import AmbiguousPolicy, InvalidDocument
from policies.fixtures import load_cases
from policies.globs import Glob
from policies.images import parse_image_pattern
from policies.loading import load_documents
from policies.waivers import MAX_DAYS, Attestation, Waiver, load_waivers
from policies.yamltext import parse_trees
from swarmsec.errors import UsageProblem
from swarmsec.reports.difference import load_report, render_moves_text
from tests.fuzz.engine import CheckFailed, Target
from tests.fuzz.material import text_of

_SOURCE = "fuzz.yaml"


def _documents(data: bytes) -> None:
    documents = load_documents(data, source=_SOURCE)
    again = load_documents(b"\n---\n".join(document.canonical for document in documents), source=_SOURCE)
    if [document.digest for document in again] != [document.digest for document in documents]:
        raise CheckFailed("expected the canonical form to read as the same documents")


def _trees(data: bytes) -> None:
    for tree in parse_trees(data, source=_SOURCE):
        plain = tree.plain()
        (again,) = parse_trees(json.dumps(plain, ensure_ascii=False).encode(), source=_SOURCE)
        if again.plain() != plain:
            raise CheckFailed("expected the values to read alike as JSON")


def _access(data: bytes) -> None:
    if not load_access_table(data).routes:
        raise CheckFailed("expected a table with routes")


def _cases(data: bytes) -> None:
    if not load_cases(data, source=_SOURCE):
        raise CheckFailed("expected cases")


def _glob(data: bytes) -> None:
    pattern, _, name = text_of(data).partition("\n")
    glob = Glob.parse(pattern)
    glob.matches(name)
    if not glob.overlaps(glob) or not Glob.parse(glob.text).overlaps(Glob.parse("**")):
        raise CheckFailed("expected a pattern to overlap itself and **")
    if glob.specificity.exact and not glob.matches(pattern):
        raise CheckFailed("expected a pattern without wildcards to match itself")


def _image_pattern(data: bytes) -> None:
    pattern = parse_image_pattern(text_of(data))
    if parse_image_pattern(pattern.text).text != pattern.text:
        raise CheckFailed("expected the full pattern to stay as it is")


def _reference(data: bytes) -> None:
    reference = ImageReference.parse(text_of(data))
    if ImageReference.parse(str(reference)) != reference:
        raise CheckFailed("expected the full form to read as the same reference")


def _digest(data: bytes) -> None:
    text = text_of(data)
    if str(Digest.parse(text)) != text:
        raise CheckFailed("expected one text for one digest")


def _layout(data: bytes) -> None:
    text = text_of(data)
    if str(parse_layout_reference(text)) != text:
        raise CheckFailed("expected one text for one layout")


def _tag(data: bytes) -> None:
    text = text_of(data)
    if parse_tag(text) != text or len(text) > 128:
        raise CheckFailed("expected a bounded tag as it is")


_SECRET_POLICY = b"""\
apiVersion: swarmsec.dev/v1
kind: SecretAccessPolicy
metadata:
  name: shop
spec:
  rules:
    - effect: allow
      secrets: ["shop/*"]
      services: [web]
      images: [registry.example/shop/api]
      requireTrustedImage: true
    - effect: deny
      secrets: ["shop/root"]
"""
_ROTATION_POLICY = b"""\
apiVersion: swarmsec.dev/v1
kind: RotationPolicy
metadata: {name: shop}
spec:
  rules:
    - {secrets: ["shop/*"], every: 30d, maxAge: 45d, window: "23:00-01:30", length: 64, keep: 1}
    - {maxAge: 90d}
"""
_ACCESS = b"""\
apiVersion: swarmsec.dev/v1
kind: AccessTable
routes:
  ca.bundle: {roles: [anonymous]}
  metrics: {roles: [admin], loopbackOnly: [anonymous]}
"""
_CASES = b"""\
apiVersion: swarmsec.dev/v1
kind: PolicyTest
metadata: {name: shop}
spec:
  cases:
    - name: web may
      request: {secret: shop/db, service: web, image: registry.example/shop/api, attached: true, imageTrusted: true}
      expect: allow
    - name: unsigned
      request: {image: docker.io/library/nginx}
      expect: warn
"""
_YAML_WORDS = (
    b"---\n",
    b"...\n",
    b"%YAML 1.1\n",
    b"&a ",
    b"*a",
    b"!!python/object:os.system ",
    b"!!binary ",
    b"<<: ",
    b"? ",
    b"- ",
    b": ",
    b"|\n",
    b">-\n",
    b"'",
    b'"\\x00"',
    b'"\\U00110000"',
    b'"\\ud800"',
    b"\t",
    b"#",
    b"2026-01-01",
    b"1:30",
    b".inf",
    b"~",
    b"null",
    b"yes",
    b"*",
    b"**",
    b"effect: deny",
    b"{",
    b"[",
    b"\xe2\x80\xa8",
)
_HEX = b"0123456789abcdef" * 4
_REFERENCE_WORDS = (b"@sha256:" + _HEX, b":5000/", b"[::1]:443/", b"index.docker.io/", b"/", b":", b"@", b"__", b"..")
_INVALID = (InvalidDocument,)


_CATALOGUE = b"""\
apiVersion: swarmsec.dev/v1
kind: ControlCatalogue
controls:
  - {id: OWN-1, title: "t", section: "s", severity: high, means: home, why: "w", remedy: "r"}
profiles: {all: [OWN-1]}
"""
_CONTROLS = load_catalogue(_CATALOGUE)


_REPORT = (
    b'{"schema_version":1,"created":"2026-01-01T00:00:00Z","profile":"p","store_id":"s","results":[{"check_id":"OWN-1",'
    b'"status":"pass","resource":{"type":"home","id":"s","name":null},"fingerprint":"00"}]}'
)


def _earlier_report(data: bytes) -> None:
    former = load_report(data)
    render_moves_text(former, ())
    if any(not isinstance(fingerprint, str) for fingerprint in former.results):
        raise CheckFailed("expected fingerprints as texts")


def _controls(data: bytes) -> None:
    catalogue = load_catalogue(data)
    if any(control not in catalogue.controls for ids in catalogue.profiles.values() for control in ids):
        raise CheckFailed("expected profiles of known controls")


def _report_profile(data: bytes) -> None:
    ids = load_profile(data, _CONTROLS)
    if len(set(ids)) != len(ids) or not set(ids) <= set(_CONTROLS.controls):
        raise CheckFailed("expected known controls, each once")


_WAIVERS = b"""\
apiVersion: swarmsec.dev/v1
kind: WaiverSet
waivers:
  - {id: w1, control: SWS-12, scope: {type: home}, owner: o, reason: r, created: "2027-01-01", expires: "2027-02-01"}
attestations:
  - {id: a1, control: SWS-17, scope: {type: swarm, cluster: c}, owner: o, statement: s,
     created: "2027-01-01", expires: "2027-02-01", evidence: "%s"}
""" % (b"a" * 64)


def _waivers(data: bytes) -> None:
    given = load_waivers(data)
    items: tuple[Waiver | Attestation, ...] = (*given.waivers, *given.attestations)
    if len({item.id for item in items}) != len(items):
        raise CheckFailed("expected each id once")
    if not all(0 < item.expires - item.created <= MAX_DAYS * 86_400 for item in items):
        raise CheckFailed("expected an expiry within a year")
    if not all(item.scope.name or item.scope.id or item.scope.type in {"home", "swarm"} for item in items):
        raise CheckFailed("expected one thing")


TARGETS = (
    Target(
        name="policy-documents",
        run=_documents,
        seeds=(
            _SECRET_POLICY,
            _ROTATION_POLICY,
            bundled("trust-default.yaml"),
            _SECRET_POLICY + b"---\n" + bundled("trust-default.yaml"),
        ),
        allowed=(InvalidDocument, AmbiguousPolicy),
        covers=(
            "policies.loading.load_documents",
            "policies.loading.read_name",
            "policies.parsing.parse_rotation",
            "policies.parsing.parse_secret_access",
            "policies.parsing.parse_trust",
        ),
        words=_YAML_WORDS,
        is_slow=True,
    ),
    Target(
        name="yaml",
        run=_trees,
        seeds=(b"{a: [1, true, null, 'x']}", b"- a\n- b: |-\n    c\n", b'"\\u00e9"', b"a: >-\n  b\n  c\n"),
        allowed=_INVALID,
        covers=("policies.yamltext.parse_trees",),
        words=_YAML_WORDS,
    ),
    Target(
        name="access-table",
        run=_access,
        seeds=(_ACCESS,),
        allowed=_INVALID,
        covers=("policies.access.load_access_table", "swarmsec.server.access.PolicyAccess.load"),
        words=_YAML_WORDS,
        is_slow=True,
    ),
    Target(
        name="policy-cases",
        run=_cases,
        seeds=(_CASES,),
        allowed=_INVALID,
        covers=("policies.fixtures.load_cases",),
        words=_YAML_WORDS,
        is_slow=True,
    ),
    Target(
        name="glob",
        run=_glob,
        seeds=(b"shop/*/api\nshop/a/api", b"**\nx", b"*a*b*c*\n" + b"ab" * 40),
        allowed=(ValueError,),
        covers=("policies.globs.Glob.parse",),
        words=(b"*", b"**", b"/", b"?", b"\n"),
    ),
    Target(
        name="image-pattern",
        run=_image_pattern,
        seeds=(b"nginx", b"team/*", b"index.docker.io/nginx", b"*/shop/**", b"registry.example:5000/shop/api"),
        allowed=(ValueError,),
        covers=("policies.images.parse_image_pattern",),
        words=(*_REFERENCE_WORDS, b"*", b"**", b"docker.io/"),
    ),
    Target(
        name="image-reference",
        run=_reference,
        seeds=(
            b"nginx",
            b"registry.example:5000/shop/api:1.2@sha256:" + _HEX,
            b"[2001:db8::1]:443/a/b",
            b"localhost/a",
        ),
        allowed=(InvalidReference,),
        covers=("notary.reference.ImageReference.parse",),
        words=_REFERENCE_WORDS,
    ),
    Target(
        name="digest",
        run=_digest,
        seeds=(b"sha256:" + _HEX, b"sha512:" + _HEX * 2),
        allowed=(InvalidDigest,),
        covers=("notary.reference.Digest.parse",),
        words=(b"sha256:", b"sha512:", b"md5:", _HEX),
    ),
    Target(
        name="layout-reference",
        run=_layout,
        seeds=(b"oci:layout:1.2", b"oci:./a b"),
        allowed=(InvalidReference,),
        covers=("notary.reference.parse_layout_reference",),
        words=(b"oci:", b":"),
    ),
    Target(
        name="tag",
        run=_tag,
        seeds=(b"1.2-rc_3",),
        allowed=(InvalidReference,),
        covers=("notary.reference.parse_tag",),
    ),
    Target(
        name="controls",
        run=_controls,
        seeds=(_CATALOGUE,),
        allowed=(InvalidDocument,),
        covers=("policies.controls.load_catalogue",),
        words=(b"OWN-1", b"[]", b"references: [", b"severity: ", b"&a ", b"*a"),
    ),
    Target(
        name="report-profile",
        run=_report_profile,
        seeds=(b"apiVersion: swarmsec.dev/v1\nkind: ReportProfile\ncontrols: [OWN-1]\n",),
        allowed=(InvalidDocument,),
        covers=("policies.controls.load_profile",),
        words=(b"OWN-1", b"SWS-12", b"[]", b", ", b"&a ", b"*a"),
    ),
    Target(
        name="waivers",
        run=_waivers,
        seeds=(_WAIVERS,),
        allowed=(InvalidDocument,),
        covers=("policies.waivers.load_waivers",),
        words=(b"type: home", b"2027-02-30", b"0000-00-00", b"9999-12-31", b"*", b"scope: {", b"[]", b"&a ", b"*a"),
    ),
    Target(
        name="earlier-report",
        run=_earlier_report,
        seeds=(_REPORT,),
        allowed=(UsageProblem,),
        covers=("swarmsec.reports.difference.load_report",),
        words=(b'"status":"fail"', b"null", b"{}", b"[]", b'"\\ud800"', b"1e999"),
    ),
)
