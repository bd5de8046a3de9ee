"""Attacks on the repository of signed metadata, each driven through ``image verify`` against a hostile server.

The numbers are those of the list that the trust service was designed against; every test differs from the honest
repository in one point, and names the error that point must give. Attacks on time are in ``test_attacks_on_time``.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from tuf.api.metadata import Key, Metadata, MetaFile

from tests.integration.trust_world import TrustWorld, manifest, sha256
from tests.peers.hostile_http import Reply
from tests.peers.trust_workshop import REVOCATIONS, fresh_signer, renamed

ROLE_FILE = "%2Fteam%2Fapp.json"


@pytest.fixture(autouse=True)
def signed(trust: TrustWorld) -> None:
    """Every attack is on a repository that is trusted without it."""
    trust.sign()
    trust.publish()


def role_file(trust: TrustWorld, version: int = 2) -> str:
    """The published name of the image repository's role."""
    return f"{version}.{trust.repository.replace('/', '%2F').replace(':', '%3A')}.json"


# 1 to 5: the chain of roots


def test_01_a_root_without_the_old_threshold(trust: TrustWorld) -> None:
    thieves = [fresh_signer(), fresh_signer()]
    for signer in thieves:
        trust.workshop.root.add_key(signer.public_key, "root")
    trust.workshop.put_root(*thieves)
    trust.refused(1, "root 2 is not signed by enough of its keys")


def test_02_a_root_without_the_new_threshold(trust: TrustWorld) -> None:
    old = trust.workshop.signers["root"]
    for signer in old:
        trust.workshop.root.revoke_key(signer.public_key.keyid, "root")
    for signer in (fresh_signer(), fresh_signer()):
        trust.workshop.root.add_key(signer.public_key, "root")
    trust.workshop.put_root(*old)
    trust.refused(1, "root 2 is not signed by enough of its keys")


def test_03_a_root_that_skips_a_version(trust: TrustWorld) -> None:
    trust.workshop.root.version = 2
    trust.workshop.put_root()
    trust.workshop.files["2.root.json"] = trust.workshop.files.pop("3.root.json")
    trust.refused(1, "the version of root 2 is not what it must be")


@pytest.mark.parametrize("threshold", [0, -1])
def test_04_a_threshold_of_nobody(trust: TrustWorld, threshold: int) -> None:
    trust.workshop.put_root()
    trust.workshop.re_sign(
        "2.root.json", "root", lambda signed: signed["roles"]["timestamp"].update(threshold=threshold)
    )
    trust.refused(1, "root 2 is no metadata that counts")


def test_05_a_chain_of_roots_without_end(trust: TrustWorld) -> None:
    for _ in range(257):
        trust.workshop.put_root()
    trust.refused(1, "at most 256 roots after the pinned one")


def test_05_a_chain_of_256_roots_is_followed(trust: TrustWorld) -> None:
    for _ in range(255):
        trust.workshop.put_root()
    trust.trusted()
    roots = len(trust.server.paths("/tuf/2.root"))
    trust.trusted()
    assert len(trust.server.paths("/tuf/2.root")) == roots, "kept roots are not asked for again"


# 6 to 10, 14: older things


def test_06_an_older_timestamp(trust: TrustWorld) -> None:
    old = trust.workshop.files["timestamp.json"]
    trust.publish()
    trust.trusted()
    trust.workshop.files["timestamp.json"] = old
    trust.refused(1, "the version of timestamp is not what it must be")


def test_07_an_older_snapshot(trust: TrustWorld) -> None:
    trust.publish()
    trust.trusted()
    trust.workshop.timestamp.snapshot_meta = MetaFile(trust.workshop.snapshot.version - 1)
    trust.workshop.put_timestamp()
    trust.refused(1, "the version of timestamp is not what it must be")


def test_08_an_older_role_in_a_newer_snapshot(trust: TrustWorld) -> None:
    trust.publish()
    trust.trusted()
    trust.workshop.snapshot.meta[f"{trust.repository}.json"] = MetaFile(2)
    trust.workshop.put_snapshot()
    trust.workshop.put_timestamp()
    trust.refused(1, "the version of snapshot is not what it must be")


def test_09_a_role_that_is_gone_from_the_snapshot(trust: TrustWorld) -> None:
    trust.trusted()
    del trust.workshop.snapshot.meta[f"{REVOCATIONS}.json"]
    trust.workshop.put_snapshot()
    trust.workshop.put_timestamp()
    trust.refused(1, "missing info for 'revocations.json'")


def test_10_a_timestamp_of_the_same_version_with_other_content(trust: TrustWorld) -> None:
    trust.trusted()
    trust.workshop.put_snapshot()
    trust.workshop.put("timestamp", trust.workshop.timestamp)
    trust.refused(1, "timestamp of the same version has other content than before")


def test_10_a_role_of_the_same_version_with_other_content(trust: TrustWorld) -> None:
    """Where the snapshot has not changed, what was verified before is used, and the other is not even asked for."""
    trust.trusted()
    evil = manifest("evil")
    trust.workshop.sign_image(trust.repository, "1.4", evil)
    trust.workshop.put(trust.repository, trust.workshop.roles[trust.repository])
    asked = len(trust.server.paths("/tuf/2."))
    assert trust.trusted().out.split()[1] == sha256(manifest())
    assert len(trust.server.paths("/tuf/2.")) == asked + 1, "only the next root is asked for"


def test_14_mix_and_match(trust: TrustWorld) -> None:
    """A snapshot that names one version of a role, with another version served under its name."""
    trust.publish()
    trust.workshop.files[role_file(trust, 3)] = trust.workshop.files[role_file(trust, 2)]
    trust.refused(1, f"the version of {trust.repository} is not what it must be")


# 15: fast forward, and the way back


def test_15_fast_forward_is_undone_by_new_keys(trust: TrustWorld) -> None:
    trust.workshop.snapshot.version = 2**62
    trust.workshop.timestamp.version = 2**62
    trust.workshop.timestamp.snapshot_meta = MetaFile(2**62)
    trust.workshop.put("snapshot", trust.workshop.snapshot)
    trust.workshop.put("timestamp", trust.workshop.timestamp)
    trust.trusted()
    for role in ("snapshot", "timestamp"):
        trust.workshop.files = {k: v for k, v in trust.workshop.files.items() if k.split(".")[-2] != role}
        trust.workshop.root.revoke_key(trust.workshop.signers[role][0].public_key.keyid, role)
        trust.workshop.signers[role] = [fresh_signer()]
        trust.workshop.root.add_key(trust.workshop.signers[role][0].public_key, role)
    trust.workshop.put_root()
    trust.workshop.timestamp.version = 1
    trust.publish()
    trust.trusted()


def test_15_a_version_beyond_63_bits(trust: TrustWorld) -> None:
    trust.workshop.re_sign("timestamp.json", "timestamp", lambda signed: signed.update(version=2**63))
    trust.refused(1, "an integer beyond 63 bits")


# 16, 18: length and hashes. 17, what is slow, is in test_attacks_on_time.


@pytest.mark.parametrize("name", ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"])
def test_16_a_file_without_end(trust: TrustWorld, name: str) -> None:
    trust.server.answers[f"/tuf/{name}"] = Reply(body=b" " * 65_536, endless=True)
    trust.refused(1, "expected at most")
    assert trust.server.sent < 20_000_000, "not more is read than a file of that kind may have"


def test_16_a_file_that_says_that_it_is_too_long(trust: TrustWorld) -> None:
    trust.server.answers["/tuf/timestamp.json"] = Reply(headers={"Content-Length": str(10**12)}, body=b"{}", cuts=2)
    trust.refused(1, "expected at most 16384 bytes")


@pytest.mark.parametrize("wrong", [{"length": 7}, {"hashes": {"sha256": "00" * 32}}])
def test_18_a_file_of_another_length_or_hash(trust: TrustWorld, wrong: dict[str, Any]) -> None:
    version = trust.workshop.snapshot.version
    trust.workshop.timestamp.snapshot_meta = MetaFile(version, **wrong)
    trust.workshop.put_timestamp()
    trust.refused(1, "snapshot" if "hashes" in wrong else "expected at most 7 bytes")


# 19 to 22: signatures and keys


def test_19_one_signature_twice(trust: TrustWorld) -> None:
    two = [fresh_signer(), fresh_signer()]
    trust.workshop.delegate(trust.repository, signers=two, threshold=2)
    trust.sign()

    def again(metadata: Metadata[Any]) -> None:
        del metadata.signatures[two[1].public_key.keyid]

    trust.workshop.put_role("targets")
    trust.workshop.put_role(trust.repository, change=again)
    name = role_file(trust, 3)
    members = json.loads(trust.workshop.files[name])
    members["signatures"] *= 2
    trust.workshop.files[name] = json.dumps(members).encode()
    trust.workshop.put_snapshot()
    trust.workshop.put_timestamp()
    trust.refused(1, f"{trust.repository} is no metadata that counts")


@pytest.mark.parametrize("role", ["root", "delegated"])
def test_20_one_key_under_two_ids(trust: TrustWorld, role: str) -> None:
    one = fresh_signer()
    twin = renamed(one, "ff" * 32)
    if role == "root":
        for signer in (one, twin):
            trust.workshop.root.add_key(signer.public_key, "timestamp")
        trust.workshop.put_root()
    else:
        trust.workshop.delegate(trust.repository, signers=[one, twin], threshold=2)
        trust.sign()
        trust.publish()
    trust.refused(1, "expected different keys, got one key under two ids")


def test_20_the_same_key_written_otherwise(trust: TrustWorld) -> None:
    one = fresh_signer()
    written = one.public_key.to_dict()
    written["keyval"]["public"] = written["keyval"]["public"].replace("\n", "\r\n")
    twin = renamed(one, "ee" * 32)
    trust.workshop.delegate(trust.repository, signers=[one, twin], threshold=2)
    assert trust.workshop.targets.delegations is not None
    trust.workshop.targets.delegations.keys["ee" * 32] = Key.from_dict("ee" * 32, written)
    trust.sign()
    trust.publish()
    trust.refused(1, "expected different keys, got one key under two ids")


def test_21_a_key_of_an_unknown_type(trust: TrustWorld) -> None:
    """python-tuf refuses the whole file; nothing is guessed about keys that nobody can check."""

    def strange(signed: dict[str, Any]) -> None:
        signed["keys"]["dd" * 32] = {"keytype": "quantum", "scheme": "quantum", "keyval": {"public": "00"}}
        signed["roles"]["timestamp"]["keyids"].append("dd" * 32)

    trust.workshop.put_root()
    trust.workshop.re_sign("2.root.json", "root", strange)
    trust.refused(1, "root 2 is no metadata that counts")


def test_22_a_bad_signature_among_enough_good_ones(trust: TrustWorld) -> None:
    two = [fresh_signer(), fresh_signer(), fresh_signer()]
    trust.workshop.delegate(trust.repository, signers=two, threshold=2)
    trust.sign()

    def spoil(metadata: Metadata[Any]) -> None:
        metadata.sign(two[2], append=True)
        metadata.signatures[two[2].public_key.keyid].signature = "00" * 70

    trust.workshop.put_role("targets")
    trust.workshop.put_role(trust.repository, change=spoil)
    trust.workshop.put_snapshot()
    trust.workshop.put_timestamp()
    trust.trusted()
    document = trust.trusted("--json", trust.ref()).out
    assert len(json.loads(document)[0]["signers"]) == 2, "a signature that does not verify is no signer"


# 23 to 32, delegations and stolen keys: test_attacks_on_delegations. 33 to 36, memory: test_attacks_on_memory.


SPOILED: dict[str, Callable[[bytes], bytes]] = {
    "duplicate": lambda data: data.replace(b'"version":', b'"version":1,"version":', 1),
    "nan": lambda data: data.replace(b'"version":', b'"x":NaN,"version":', 1),
    "float": lambda data: data.replace(b'"version":', b'"x":1.0,"version":', 1),
    "huge": lambda data: data.replace(b'"version":', b'"x":1' + b"0" * 5000 + b',"version":', 1),
    "deep": lambda data: data.replace(b'"version":', b'"x":' + b"[" * 5000 + b"]" * 5000 + b',"version":', 1),
    "bom": lambda data: b"\xef\xbb\xbf" + data,
    "latin": lambda data: data.replace(b'"version":', b'"x":"\xe9","version":', 1),
    "utf16": lambda data: data.decode().encode("utf-16"),
    "surrogate": lambda data: data.replace(b'"version":', b'"x":"\\ud800","version":', 1),
    "array": lambda data: b"[" + data + b"]",
    "empty": lambda data: b"",
    "html": lambda data: b"<html>not found</html>",
    "more": lambda data: data[:-1] + b',"more":1}',
    "two": lambda data: data + data,
}


@pytest.mark.parametrize("how", SPOILED)
@pytest.mark.parametrize("name", ["timestamp.json", "2.snapshot.json", "2.targets.json"])
def test_37_bytes_that_are_no_strict_json(trust: TrustWorld, how: str, name: str) -> None:
    trust.workshop.files[name] = SPOILED[how](trust.workshop.files[name])
    trust.refused(1, "is no metadata that counts")


@pytest.mark.parametrize("status", [403, 404])
def test_38_a_mirror_without_a_newer_root(trust: TrustWorld, status: int) -> None:
    trust.server.answers["/tuf/2.root.json"] = Reply(status=status, body=b"<html>no</html>")
    trust.trusted()


def test_38_a_mirror_that_says_html_with_200(trust: TrustWorld) -> None:
    trust.server.answers["/tuf/2.root.json"] = Reply(headers={"Content-Type": "text/html"}, body=b"<html>404</html>")
    trust.refused(1, "root 2 is no metadata that counts")


@pytest.mark.parametrize("status", [401, 429, 500, 502, 503])
@pytest.mark.parametrize("name", ["2.root.json", "timestamp.json"])
def test_38_no_usable_answer_is_none(trust: TrustWorld, status: int, name: str) -> None:
    trust.server.answers[f"/tuf/{name}"] = Reply(status=status)
    trust.refused(3, f"HTTP status {status}")


@pytest.mark.parametrize("name", ["timestamp.json", "2.snapshot.json", "2.targets.json"])
def test_38_a_file_that_is_not_there_is_no_answer(trust: TrustWorld, name: str) -> None:
    trust.server.answers[f"/tuf/{name}"] = Reply(status=404)
    trust.refused(3, "is not there")


def test_38_a_redirect_is_not_followed(trust: TrustWorld) -> None:
    trust.server.answers["/tuf/timestamp.json"] = Reply(status=302, headers={"Location": "http://169.254.169.254/"})
    trust.refused(1, "got a redirect")


def test_40_any_changed_bit_is_refused(trust: TrustWorld) -> None:
    """Bits of every published file that counts, drawn by chance with a fixed seed."""
    chance = random.Random(40)
    names = ["timestamp.json", "2.snapshot.json", "2.targets.json", role_file(trust)]
    for name in names:
        whole = trust.workshop.files[name]
        for at in sorted(chance.sample(range(len(whole)), 12)):
            bit = 1 << chance.randrange(8)
            trust.workshop.files[name] = whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :]
            answer = trust.verify()
            assert answer.code in {1, 3}, (name, at, bit, answer)
        trust.workshop.files[name] = whole
    trust.trusted()


def test_a_revoked_digest_is_refused(trust: TrustWorld) -> None:
    digest = sha256(manifest())
    trust.workshop.revoke(digest.removeprefix("sha256:"))
    trust.publish()
    trust.refused(1, f"{digest} was revoked: stolen key")
