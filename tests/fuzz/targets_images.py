"""Targets of what comes from registries, layouts, repositories and machines that verify images."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

from notary.bundles import parse_bundle, write_bundle
from notary.errors import InvalidManifest, InvalidMetadata, InvalidReference, MetadataMissing, NotTrusted
from notary.following import FreshMetadata
from notary.manifest import parse_manifest, parse_media_type, parse_platform
from notary.strictjson import parse_strict
from notary.verifying import tags_of
from notary.vouching import parse_target
from swarmsec.cli.image import parse_references
from swarmsec.cli.stackfiles import parse_stack
from swarmsec.errors import Denied, Unavailable, UsageProblem
from swarmsec.registry.challenges import parse_challenge, parse_token
from swarmsec.registry.credentials import parse_docker_config, parse_helper_answer
from swarmsec.registry.hosts import parse_url
from swarmsec.registry.layout import parse_layout_index
from swarmsec.services.trust.judge_image import Forgetful
from swarmsec.wiring.trust.trustpins import parse_pin
from tests.fuzz.engine import CheckFailed, Target
from tests.fuzz.material import PASSWORD, text_of
from tests.peers.trust_workshop import Workshop

_HEX = b"6c3c624b58dbbcd3c0dd82b4c53f04194d1247c6eebdaab7c610cf7d66709b3b"
_CONFIG = b'{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:' + _HEX + b'","size":3}'
_MANIFEST = (
    b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":'
    + _CONFIG
    + b',"layers":[]}'
)
_INDEX = (
    b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"mediaType":'
    b'"application/vnd.oci.image.manifest.v1+json","digest":"sha256:' + _HEX + b'","size":7,"platform":'
    b'{"os":"linux","architecture":"arm64","variant":"v8"}}]}'
)
_TARGET = (
    b'{"length":7,"hashes":{"sha256":"' + _HEX + b'"},"custom":{"mediaType":"application/vnd.oci.image.index.v1+json",'
    b'"platforms":[{"os":"linux","architecture":"amd64","digest":"sha256:' + _HEX + b'"}],'
    b'"signed":"2026-05-04T10:20:30Z"}}'
)
_JSON_WORDS = (b'"', b"{", b"}", b"[", b"]", b":", b",", b"\\u", b"NaN", b"1e9", b"null", b"sha512:", b'"manifests":[')
_AUTH = base64.b64encode(f"robot:{PASSWORD}".encode())
_NOW = datetime(2026, 5, 4, 10, 20, 30, tzinfo=UTC)


def _workshop() -> Workshop:
    workshop = Workshop(now=_NOW)
    workshop.delegate("registry.example/team/app")
    workshop.sign_image("registry.example/team/app", "1.4", _MANIFEST)
    workshop.publish()
    return workshop


_REPOSITORY = _workshop()
_NAMES = ("1.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json", "1.registry.example%2Fteam%2Fapp.json")


class _Changed:
    """The repository with one file changed."""

    def __init__(self, name: str, data: bytes) -> None:
        self._files = {**_REPOSITORY.files, name: data}

    def fetch(self, name: str, limit: int) -> bytes | None:
        return self._files.get(name)


def _metadata(data: bytes) -> None:
    """The first byte chooses the file that the others stand for."""
    name = _NAMES[data[0] % len(_NAMES)] if data else _NAMES[0]
    root = data[1:] if name == _NAMES[0] else _REPOSITORY.pin
    metadata = FreshMetadata(root, source=_Changed(name, data[1:]), cache=Forgetful(), now=_NOW)
    if [vouched.tag for vouched in tags_of(metadata, "registry.example/team/app")] != ["1.4"]:
        raise CheckFailed("expected nothing but what was signed")


def _manifest(data: bytes) -> None:
    parsed = parse_manifest(data, content_type=None)
    if parse_manifest(data, content_type=parsed.media_type.value) != parsed:
        raise CheckFailed("expected the same document where its type is told")


def _media_type(data: bytes) -> None:
    if parse_media_type(parse_media_type(text_of(data)).value).value not in text_of(data).lower():
        raise CheckFailed("expected a media type that stands there")


def _platform(data: bytes) -> None:
    if not str(parse_platform(parse_strict(data, limit=4096))).isprintable():
        raise CheckFailed("expected printable words")


def _target(data: bytes) -> None:
    members = parse_strict(data, limit=100_000)
    vouched = parse_target(members, repository="registry.example/team/app", tag="1.4", signers=frozenset({"a"}))
    if vouched.digest not in vouched.digests:
        raise CheckFailed("expected the digest itself among all")


def _bundle(data: bytes) -> None:
    bundle = parse_bundle(data)
    files = {name: value for name, value in bundle.files.items() if name != "timestamp.json"}
    if parse_bundle(write_bundle(files, bundle.files["timestamp.json"])) != bundle:
        raise CheckFailed("expected the bundle to read alike once it is written")


def _layout(data: bytes) -> None:
    for entry in parse_layout_index(data):
        if "/" in entry.digest.hex or "." in entry.digest.hex:
            raise CheckFailed("expected digests that are no paths")


def _url(data: bytes) -> None:
    address = parse_url(text_of(data), insecure=("insecure.example",))
    if parse_url(str(address), insecure=("insecure.example",)) != address:
        raise CheckFailed("expected a URL to read alike once it is written")


def _challenge(data: bytes) -> None:
    if parse_challenge(text_of(data)).scheme not in {"basic", "bearer"}:
        raise CheckFailed("expected a scheme that can be answered")


def _stack(data: bytes) -> None:
    stack = parse_stack(data, source="stack.yml")
    again = parse_stack(stack.pinned(lambda text: text).encode(), source="stack.yml")
    if again != stack:
        raise CheckFailed("expected nothing to change but images")


def _references(data: bytes) -> None:
    for reference in parse_references([text_of(data)]):
        if parse_references([str(reference)]) != [reference]:
            raise CheckFailed("expected a reference to read alike once it is written")


_PIN = json.dumps(
    {"format": "swarmsec-trust-pin/1", "root": "e30=", "root_sha256": "", "url": "https://trust.example", "ca": None}
).encode()

TARGETS: tuple[Target, ...] = (
    Target(
        name="image-metadata",
        run=_metadata,
        seeds=tuple(bytes([number]) + _REPOSITORY.files[name] for number, name in enumerate(_NAMES)),
        allowed=(NotTrusted, MetadataMissing),
        covers=(),
        words=_JSON_WORDS,
        is_slow=True,
    ),
    Target(
        name="image-manifest",
        run=_manifest,
        seeds=(_MANIFEST, _INDEX),
        allowed=(InvalidManifest,),
        covers=("notary.manifest.parse_manifest",),
        words=_JSON_WORDS,
    ),
    Target(
        name="image-media-type",
        run=_media_type,
        seeds=(b"application/vnd.oci.image.index.v1+json; charset=utf-8",),
        allowed=(InvalidManifest,),
        covers=("notary.manifest.parse_media_type",),
    ),
    Target(
        name="image-platform",
        run=_platform,
        seeds=(b'{"os":"linux","architecture":"arm64","variant":"v8"}',),
        allowed=(InvalidManifest, InvalidMetadata),
        covers=("notary.manifest.parse_platform",),
        words=_JSON_WORDS,
    ),
    Target(
        name="image-target",
        run=_target,
        seeds=(_TARGET,),
        allowed=(InvalidMetadata,),
        covers=("notary.vouching.parse_target",),
        words=_JSON_WORDS,
    ),
    Target(
        name="trust-bundle",
        run=_bundle,
        seeds=(write_bundle({"1.root.json": b"{}", "policy/trust.yaml": b"a: 1"}, b"{}"),),
        allowed=(InvalidMetadata,),
        covers=("notary.bundles.parse_bundle",),
        words=_JSON_WORDS,
    ),
    Target(
        name="image-layout",
        run=_layout,
        seeds=(_INDEX.replace(b'"platform"', b'"annotations":{"org.opencontainers.image.ref.name":"1.4"},"platform"'),),
        allowed=(InvalidManifest,),
        covers=("swarmsec.registry.layout.parse_layout_index",),
        words=_JSON_WORDS,
    ),
    Target(
        name="registry-url",
        run=_url,
        seeds=(b"https://registry.example:5000/v2/a/manifests/1?x=y", b"http://[::1]:5000/v2/"),
        allowed=(UsageProblem, Denied),
        covers=("swarmsec.registry.hosts.parse_url",),
        words=(b"http://", b"@", b"[", b"]", b"%00", b"//", b"..", b"localhost"),
    ),
    Target(
        name="registry-challenge",
        run=_challenge,
        seeds=(b'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a:pull"',),
        allowed=(Unavailable,),
        covers=("swarmsec.registry.challenges.parse_challenge",),
        words=(b'"', b"\\", b",", b"=", b"Basic ", b"realm="),
    ),
    Target(
        name="registry-token",
        run=parse_token,
        seeds=(b'{"token":"' + PASSWORD.encode() + b'","expires_in":300}', b'{"access_token":"a.b.c"}'),
        allowed=(Unavailable,),
        covers=("swarmsec.registry.challenges.parse_token",),
        words=_JSON_WORDS,
        secrets=(PASSWORD,),
    ),
    Target(
        name="docker-config",
        run=parse_docker_config,
        seeds=(b'{"auths":{"registry.example":{"auth":"' + _AUTH + b'"}},"credHelpers":{"a.example":"pass"}}',),
        allowed=(UsageProblem,),
        covers=("swarmsec.registry.credentials.parse_docker_config",),
        words=_JSON_WORDS,
        secrets=(PASSWORD, _AUTH.decode()),
    ),
    Target(
        name="docker-helper",
        run=parse_helper_answer,
        seeds=(b'{"ServerURL":"registry.example","Username":"robot","Secret":"' + PASSWORD.encode() + b'"}',),
        allowed=(Unavailable,),
        covers=("swarmsec.registry.credentials.parse_helper_answer",),
        words=_JSON_WORDS,
        secrets=(PASSWORD,),
    ),
    Target(
        name="trust-pin",
        run=parse_pin,
        seeds=(_PIN,),
        allowed=(UsageProblem,),
        covers=("swarmsec.wiring.trust.trustpins.parse_pin",),
        words=_JSON_WORDS,
    ),
    Target(
        name="stack-file",
        run=_stack,
        seeds=(
            b"services:\n  web:\n    image: &i 'shop/api:1.4'  # the shop\n  job:\n    <<: {image: *i}\n",
            b'x-a: &a\n  image: "b:1"\nservices: {w: {<<: [*a]}}\n',
        ),
        allowed=(UsageProblem,),
        covers=("swarmsec.cli.stackfiles.parse_stack",),
        words=(b"&a ", b"*a", b"<<: ", b"!!str ", b"| ", b"image:", b"\n", b"  ", b"\xef\xbb\xbf", b"\\x"),
    ),
    Target(
        name="image-references",
        run=_references,
        seeds=(b"registry.example:5000/a/b:1@sha256:" + _HEX, b"oci:./image:1.4"),
        allowed=(InvalidReference,),
        covers=("swarmsec.cli.image.parse_references",),
        words=(b"oci:", b"/", b":", b"@", b".."),
    ),
)
