"""``image verify``, ``list``, ``inspect`` and ``trust pin`` with an honest repository and registry."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import TargetFile

from notary.bundles import write_bundle
from swarmsec.wiring.homes import home
from swarmsec.wiring.trust import trustsessions
from tests.integration.trust_world import TrustWorld, index, manifest, platforms_of, sha256
from tests.peers.hostile_http import Reply
from tests.peers.trust_workshop import Workshop, fresh_signer

POLICY = """\
apiVersion: swarmsec.dev/v1
kind: TrustPolicy
metadata: {{name: test}}
spec:
  scopes:
    - {{images: ["{images}"], level: {level}{signers}}}
"""


def policy_text(level: str = "enforce", signers: int = 1) -> str:
    """A policy for every image, or for those of the team: ``skip`` asks for no signers and is never for all."""
    if level == "skip":
        return POLICY.format(images="*/team/app", level=level, signers="")
    return POLICY.format(images="**", level=level, signers=f", minSigners: {signers}")


def policy(trust: TrustWorld, *, level: str = "enforce", signers: int = 1) -> str:
    return trust.program.write("policy.yaml", policy_text(level, signers))


def test_a_signed_tag_is_its_digest(trust: TrustWorld) -> None:
    digest = sha256(trust.sign())
    trust.publish()
    assert trust.trusted().out == f"{trust.ref()} {digest}\n"
    assert trust.trusted("--pin", trust.ref()).out == f"{trust.repository}@{digest}\n"
    assert trust.trusted(f"{trust.ref()}@{digest}").out.split()[1] == digest
    assert trust.trusted(f"{trust.repository}@{digest}").out.split()[1] == digest


def test_a_name_alone_is_latest(trust: TrustWorld) -> None:
    digest = sha256(trust.sign("latest"))
    trust.publish()
    assert trust.trusted(trust.repository).out == f"{trust.repository} {digest}\n"


def test_json_says_what_was_decided_and_why(trust: TrustWorld) -> None:
    whole = index((manifest(), "linux/amd64"), (manifest("two"), "linux/arm64/v8"))
    trust.sign("1.4", whole, platforms=platforms_of(whole))
    trust.publish()
    good, bad = json.loads(trust.verify("--json", trust.ref(), trust.ref("none")).out)
    assert good["verdict"] == "trusted"
    assert good["pinned"] == f"{trust.repository}@{sha256(whole)}"
    assert [each["platform"] for each in good["platforms"]] == ["linux/amd64", "linux/arm64/v8"]
    assert (good["level"], good["decided_by"]["policy"], len(good["signers"])) == ("enforce", "default", 1)
    assert (bad["verdict"], bad["error"]["code"]) == ("refused", "not_signed")


def test_several_images_and_the_worst_code(trust: TrustWorld) -> None:
    trust.sign("1")
    trust.sign("2", manifest("two"))
    trust.publish()
    answer = trust.trusted(trust.ref("1"), trust.ref("2"), trust.ref("1"))
    assert answer.out.splitlines() == [
        f"{trust.ref('1')} {sha256(manifest())}",
        f"{trust.ref('2')} {sha256(manifest('two'))}",
    ]
    trust.server.answers["/v2/team/app/manifests/2"] = Reply(status=503)
    assert trust.verify(trust.ref("1"), trust.ref("2")).code == 3
    mixed = trust.verify(trust.ref("1"), trust.ref("2"), trust.ref("none"))
    assert (mixed.code, len(mixed.out.splitlines())) == (1, 1)
    assert trust.verify(trust.ref("none"), "oci:./nowhere").code == 2


def test_without_a_pin_nothing_is_trusted(trust: TrustWorld) -> None:
    trust.sign()
    trust.publish()
    (trust.program.directory / "state" / "trust" / "pin.json").unlink()
    trust.refused(2, "expected a pinned root")
    trust.trusted("--root", "1.root.json", "--url", trust.server.url, trust.ref())
    trust.refused(2, "where the signed metadata is", "--root", "1.root.json", trust.ref())


def test_a_root_that_is_named_counts_instead_of_the_pinned_one(trust: TrustWorld) -> None:
    trust.sign()
    trust.publish()
    trust.program.write("other.json", Workshop().pin)
    trust.refused(
        1, "is not signed by enough of its keys", "--root", "other.json", "--url", trust.server.url, trust.ref()
    )
    trust.program.write("junk.json", "{}")
    trust.refused(2, "is no metadata that counts", "--root", "junk.json", trust.ref())
    trust.refused(2, "no file", "--root", "nowhere.json", trust.ref())


def test_a_root_is_pinned_by_its_digest(trust: TrustWorld) -> None:
    trust.workshop.put_root()
    for version in (1, 2):
        digest = hashlib.sha256(trust.workshop.files[f"{version}.root.json"]).hexdigest()
        answer = trust.program.good("trust", "pin", f"sha256:{digest}", "--url", trust.server.url)
        assert answer.out == f"sha256:{digest}\n"
    wrong = trust.program("trust", "pin", f"sha256:{'00' * 32}", "--url", trust.server.url)
    assert (wrong.code, "no root of this repository has the digest" in wrong.err) == (1, True)
    assert trust.program("trust", "pin", f"sha256:{'00' * 32}").code == 2
    trust.sign()
    trust.publish()
    trust.trusted()


def test_a_server_in_plain_http_must_be_named(trust: TrustWorld) -> None:
    answer = trust.program("image", "verify", "--url", "http://trust.example", trust.ref())
    assert (answer.code, "expected https, got plain HTTP" in answer.err) == (1, True)
    assert trust.verify("--url", "ftp://x", trust.ref()).code == 2
    assert "secret" not in trust.verify("--url", "https://user:secret@x", trust.ref()).err


@pytest.mark.parametrize(("level", "code"), [("enforce", 1), ("warn", 0), ("audit", 0)])
def test_what_follows_from_failing_is_for_the_level(trust: TrustWorld, level: str, code: int) -> None:
    evil = manifest("evil")
    trust.push("1.4", evil)
    answer = trust.verify("--policy", policy(trust, level=level), trust.ref())
    assert answer.code == code
    assert "nobody signed" in answer.err
    if code == 0:
        assert answer.out == f"{trust.ref()} {sha256(evil)}\n"
        assert f"passes at level {level}" in answer.err


def test_level_skip_asks_nobody_but_the_registry(trust: TrustWorld) -> None:
    trust.push("1.4", manifest())
    trust.server.answers["/tuf/timestamp.json"] = Reply(status=500)
    assert trust.trusted("--policy", policy(trust, level="skip"), trust.ref()).out.split()[1] == sha256(manifest())


@pytest.mark.parametrize("level", ["warn", "audit", "skip"])
def test_no_level_makes_a_digest_of_nothing(trust: TrustWorld, level: str) -> None:
    trust.server.answers["/v2/team/app/manifests/1.4"] = Reply(status=503)
    trust.refused(3, "HTTP status 503", "--policy", policy(trust, level=level), trust.ref())


def test_signers_are_counted_by_their_keys(trust: TrustWorld) -> None:
    trust.workshop.delegate(trust.repository, signers=[fresh_signer(), fresh_signer()], threshold=2)
    trust.sign()
    trust.publish()
    trust.trusted("--policy", policy(trust, signers=2), trust.ref())
    trust.refused(1, "expected 3 different signers, got 2", "--policy", policy(trust, signers=3), trust.ref())


def test_no_scope_for_an_image_is_a_denial(trust: TrustWorld) -> None:
    trust.sign()
    trust.publish()
    text = policy_text().replace('"**"', '"registry.example/**"')
    trust.refused(1, "no trust scope covers the image", "--policy", trust.program.write("p.yaml", text), trust.ref())


def sign_policy(trust: TrustWorld, text: str) -> bytes:
    """Sign a policy in the metadata, as a target of the top level."""
    data = text.encode()
    trust.workshop.targets.targets["policy/trust.yaml"] = TargetFile.from_data("policy/trust.yaml", data, ["sha256"])
    trust.workshop.files[f"policy/{hashlib.sha256(data).hexdigest()}.trust.yaml"] = data
    trust.publish()
    return data


def test_the_signed_policy_decides(trust: TrustWorld) -> None:
    trust.sign()
    data = sign_policy(trust, policy_text(signers=2))
    trust.refused(1, "expected 2 different signers, got 1")
    name = f"policy/{hashlib.sha256(data).hexdigest()}.trust.yaml"
    trust.workshop.files[name] = policy_text("skip").encode()
    trust.refused(1, "the policy is not the one that is signed")
    del trust.workshop.files[name]
    trust.refused(3, "the signed policy is not there")
    sign_policy(trust, "\n")
    trust.refused(1, "no trust policy is in force")


def bundle(trust: TrustWorld, *, life: timedelta = timedelta(days=7), mark: object = True, **changed: bytes) -> str:
    """Write the repository's bundle."""
    stamp = trust.workshop.bundle_timestamp(expires=trust.workshop.after() + life, mark=mark)
    files = {name: data for name, data in trust.workshop.files.items() if name != "timestamp.json"}
    return trust.program.write("trust.bundle", write_bundle({**files, **changed}, stamp))


def test_a_bundle_needs_no_server(trust: TrustWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    trust.sign()
    trust.publish()
    bundle(trust)
    trust.server.fallback = lambda _: None
    trust.trusted("--offline", "trust.bundle", trust.ref())
    assert trust.server.paths("/tuf/") == []
    now = trustsessions.system_hour()
    monkeypatch.setattr(trustsessions, "system_hour", lambda: now + timedelta(days=6, hours=23))
    trust.trusted("--offline", "trust.bundle", "--policy", policy(trust), trust.ref())
    monkeypatch.setattr(trustsessions, "system_hour", lambda: now + timedelta(days=7, hours=1))
    trust.refused(1, "the metadata has expired: timestamp", "--offline", "trust.bundle", trust.ref())


def test_a_bundle_never_starts_a_chain(trust: TrustWorld) -> None:
    trust.sign()
    trust.publish()
    bundle(trust)
    pin = trust.program.directory / "state" / "trust" / "pin.json"
    pin.unlink()
    trust.refused(2, "expected a pinned root", "--offline", "trust.bundle", trust.ref())
    trust.program.write("other.json", Workshop().pin)
    words = "is not signed by enough of its keys"
    trust.refused(1, words, "--root", "other.json", "--offline", "trust.bundle", trust.ref())


def test_a_bundle_continues_the_chain(trust: TrustWorld) -> None:
    trust.sign()
    trust.workshop.put_root()
    trust.publish()
    trust.trusted("--offline", bundle(trust), trust.ref())


def test_a_bundle_lives_as_long_as_root_allows(trust: TrustWorld) -> None:
    trust.sign()
    trust.publish()
    bundle(trust, life=timedelta(days=8))
    trust.refused(1, "expected a bundle that ends within 604800 s", "--offline", "trust.bundle", trust.ref())


@pytest.mark.parametrize("mark", [None, False, "yes"])
def test_a_bundle_has_a_timestamp_of_its_own(trust: TrustWorld, mark: object) -> None:
    trust.sign()
    trust.publish()
    bundle(trust, mark=mark)
    trust.refused(1, "made for bundles", "--offline", "trust.bundle", trust.ref())


def test_a_server_that_shows_a_timestamp_for_bundles(trust: TrustWorld) -> None:
    trust.sign()
    trust.publish()
    trust.workshop.files["timestamp.json"] = trust.workshop.bundle_timestamp(expires=trust.workshop.after(days=7))
    trust.refused(1, "one that is for bundles only")


def test_a_bundle_older_than_what_was_seen(trust: TrustWorld) -> None:
    trust.sign()
    trust.publish()
    bundle(trust)
    trust.publish()
    trust.trusted()
    trust.refused(1, "the version of snapshot", "--offline", "trust.bundle", trust.ref())


def test_a_bundle_with_a_changed_file(trust: TrustWorld) -> None:
    trust.sign()
    trust.publish()
    name = "2.snapshot.json"
    changed: dict[str, Any] = {name: trust.workshop.files[name].replace(b'"version":2', b'"version":3')}
    trust.refused(1, "snapshot", "--offline", bundle(trust, **changed), trust.ref())
    trust.program.write("junk", "{}")
    trust.refused(1, "expected a bundle of format", "--offline", "junk", trust.ref())


STACK = """\
services:
  api:
    image: {one}   # the shop
  web: {{image: "{two}"}}
"""


def test_a_stack_is_pinned_whole(trust: TrustWorld) -> None:
    trust.sign("1")
    trust.sign("2", manifest("two"))
    trust.publish()
    text = STACK.format(one=trust.ref("1"), two=trust.ref("2"))
    trust.program.write("stack.yml", text)
    trust.trusted("--stack", "stack.yml", "--pin-to", "pinned.yml")
    pinned = (trust.program.directory / "pinned.yml").read_text()
    one, two = (f"{trust.ref(t)}@{sha256(data)}" for t, data in (("1", manifest()), ("2", manifest("two"))))
    assert pinned == STACK.format(one=one, two=two)
    trust.trusted("--stack", "pinned.yml", "--pin-to", "again.yml")
    assert (trust.program.directory / "again.yml").read_text() == pinned


def test_a_stack_with_one_bad_image_is_not_written(trust: TrustWorld) -> None:
    trust.sign("1")
    trust.publish()
    trust.program.write("stack.yml", STACK.format(one=trust.ref("1"), two=trust.ref("2")))
    answer = trust.verify("--stack", "stack.yml", "--pin-to", "pinned.yml")
    assert answer.code == 1
    assert not (trust.program.directory / "pinned.yml").exists()
    assert trust.verify("--pin-to", "x.yml", trust.ref()).code == 2


def test_list_and_inspect_show_what_is_signed(trust: TrustWorld) -> None:
    whole = index((manifest(), "linux/amd64"))
    trust.sign("2", whole, platforms=platforms_of(whole))
    trust.sign("1")
    trust.publish()
    listed = json.loads(trust.program.good("image", "list", trust.repository, "--json").out)
    assert [(each["tag"], each["digest"]) for each in listed] == [("1", sha256(manifest())), ("2", sha256(whole))]
    assert trust.program.good("image", "list", f"{trust.server.host}/team/none").out.count("\n") == 1
    text = trust.program.good("image", "inspect", trust.ref("2")).out
    assert f"digest   {sha256(whole)}" in text
    assert f"linux/amd64  {sha256(manifest())}" in text
    assert trust.program("image", "inspect", trust.ref("9")).code == 1
    assert trust.program("image", "list", trust.ref("1")).code == 2
    assert trust.server.paths("/v2/") == [], "the registry is not asked"


def test_no_store_is_opened(trust: TrustWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a pin and a server does not look at the home that happens to be there."""
    trust.sign()
    trust.publish()
    trust.program.home.mkdir()
    (trust.program.home / "swarmsec.toml").write_text("format = 1\n")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the store was opened")

    monkeypatch.setattr(home, "open_home", refuse)
    trust.trusted()
    assert Path(trust.program.home / "swarmsec.toml").exists()
