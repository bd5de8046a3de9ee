"""Attack 32 on a real home: who has all of it, its database and its keys, signs nothing that needs a key elsewhere.

The home's root is signed by keys of other machines, and its repository demands a further signer. The thief forges
whatever the stolen keys can sign, and shows it to a machine that has pinned the root, by a server and by a bundle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from notary.bundles import parse_bundle, write_bundle
from notary.roles import file_name
from notary.signing import Document, own_document
from swarmsec.wiring.homes.home import Home, open_home, refuse_to_ask
from tests.integration.trust_world import manifest, sha256
from tests.peers.hostile_http import HostileServer, Reply, hostile_server
from tests.peers.trust_workshop import fresh_signer
from tests.unit.swarmsec.cli.program import Answer, Program
from tests.unit.swarmsec.homes import OPERATOR

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Theft:
    """A home with an honestly signed image, all of whose files and keys are in the thief's hands; and its victim."""

    def __init__(self, program: Program, server: HostileServer) -> None:
        self.program, self.server = program, server
        self.repository = f"{server.host}/team/app"
        self.image = f"{self.repository}:1"
        self.files: dict[str, bytes] = {}
        self._begin()
        server.fallback = lambda seen: (
            Reply(body=self.files[seen.path.removeprefix("/tuf/")])
            if seen.path.removeprefix("/tuf/") in self.files
            else None
        )

    def _begin(self) -> None:
        for name in ("alice", "bob", "carol"):
            self.program.good("trust", "key", "create", name, "--plain")
        self.program.good("trust", "init", "--key", "alice.pub", "--key", "bob.pub")
        self._complete("alice", "bob")
        self.program.good("trust", "delegate", "add", self.repository, "--key", "carol.pub")
        self._complete("alice", "bob")
        self.push(manifest("honest"))
        self.program.good("image", "sign", self.image)
        self._complete("carol")
        self.program.good("trust", "root", "export", "-o", "root.json")
        self.program.good("trust", "export", "-o", "bundle.json")
        with self._opened() as home, home.store.reading() as transaction:
            stamp = transaction.trust.files.get("timestamp.json")
        assert stamp is not None
        bundle = parse_bundle((self.program.directory / "bundle.json").read_bytes())
        self.files = {**bundle.files, "timestamp.json": stamp}
        self.program.good("trust", "pin", "root.json", "--url", self.server.url)

    def _opened(self) -> closing[Home]:
        return closing(open_home(self.program.home, requester=OPERATOR))

    def _complete(self, *signers: str) -> None:
        for name in signers:
            self.program.good("trust", "sign", "--key", name, "--yes")

    def push(self, data: bytes) -> str:
        for name in ("1", sha256(data)):
            path = f"/v2/team/app/manifests/{name}"
            self.server.answers[path] = Reply(headers={"Content-Type": MANIFEST}, body=data)
        return sha256(data)

    def body(self, role: str) -> dict[str, Any]:
        """What a role says in the newest version that is published."""
        ending = file_name(role, 0).removeprefix("0")
        name = max((name for name in self.files if name.endswith(ending)), key=lambda name: (len(name), name))
        body: dict[str, Any] = json.loads(json.dumps(own_document(role, self.files[name]).body))
        return body

    def forge(self, role: str, body: dict[str, Any], *others: Any) -> None:
        """Publish the next version of a role, signed by every key of the home, and by others that the thief made."""
        body["version"] += 1
        document = Document(role=role, body=body, signatures={})
        with self._opened() as home, home.store.reading() as transaction:
            keys = home.keys(refuse_to_ask)
            for row in transaction.trust.keys.all():
                if row.key_name:
                    signature = keys.signer(transaction, row.key_name).sign(document.signed)
                    document = document.with_signature(row.keyid, signature.hex())
        for signer in others:
            signature = signer.sign(document.signed)
            document = document.with_signature(signature.keyid, signature.signature)
        self.files[file_name(role, body["version"])] = document.encode()

    def forge_rest(self, *roles: str) -> None:
        """Name what was forged in a snapshot, and that in a timestamp."""
        snapshot, stamp = self.body("snapshot"), self.body("timestamp")
        for role in roles:
            snapshot["meta"][f"{role}.json"]["version"] += 1
        self.forge("snapshot", snapshot)
        stamp["meta"]["snapshot.json"]["version"] = snapshot["version"]
        self.forge("timestamp", stamp)

    def evil(self) -> dict[str, Any]:
        """What the repository's role would say of an image of the thief's, which the registry has."""
        body, data = self.body(self.repository), manifest("evil")
        (target,) = body["targets"].values()
        target["hashes"]["sha256"] = self.push(data).removeprefix("sha256:")
        target["length"] = len(data)
        return body

    def refused(self, words: str) -> None:
        """The victim refuses, asking the server and asking a bundle."""
        files = {name: data for name, data in self.files.items() if name != "timestamp.json"}
        self.program.write("evil.json", write_bundle(files, self._marked()))
        for more in ((), ("--offline", "evil.json")):
            answer = self.verify(*more)
            assert (answer.code, words in answer.err, answer.out) == (1, True, ""), answer

    def _marked(self) -> bytes:
        """The present timestamp, signed again as one for bundles."""
        body, kept = self.body("timestamp"), self.files["timestamp.json"]
        self.forge("timestamp", {**body, "x-swarmsec": {"bundle": True}, "version": body["version"] - 1})
        marked, self.files["timestamp.json"] = self.files["timestamp.json"], kept
        return marked

    def verify(self, *more: str) -> Answer:
        return self.program("image", "verify", *more, self.image)


@pytest.fixture
def theft(homeless: Program) -> Iterator[Theft]:
    with hostile_server() as server:
        made = Theft(homeless, server)
        answer = made.verify()
        assert (answer.code, answer.out) == (0, f"{made.image} {sha256(manifest('honest'))}\n"), answer
        yield made


def test_32_the_keys_of_a_home_sign_no_image_of_a_repository_with_an_outside_key(theft: Theft) -> None:
    theft.forge(theft.repository, theft.evil())
    theft.forge_rest(theft.repository)
    theft.refused(f"{theft.repository} is not signed by enough of its keys")


def test_32_one_more_key_of_the_thief_s_does_not_count(theft: Theft) -> None:
    theft.forge(theft.repository, theft.evil(), fresh_signer())
    theft.forge_rest(theft.repository)
    theft.refused(f"{theft.repository} is not signed by enough of its keys")


def test_32_the_keys_of_a_home_delegate_nothing(theft: Theft) -> None:
    thief, targets = fresh_signer(), theft.body("targets")
    (role,) = [each for each in targets["delegations"]["roles"] if each["name"] == theft.repository]
    role.update(keyids=[thief.public_key.keyid], threshold=1)
    targets["delegations"]["keys"][thief.public_key.keyid] = thief.public_key.to_dict()
    theft.forge("targets", targets)
    theft.forge(theft.repository, theft.evil(), thief)
    theft.forge_rest("targets", theft.repository)
    theft.refused("targets is not signed by enough of its keys")


def test_32_the_keys_of_a_home_make_no_root(theft: Theft) -> None:
    thief, root = fresh_signer(), theft.body("root")
    root["keys"][thief.public_key.keyid] = thief.public_key.to_dict()
    for role in ("root", "targets"):
        root["roles"][role].update(keyids=[thief.public_key.keyid], threshold=1)
    theft.forge("root", root, thief)
    theft.refused("root 2 is not signed by enough of its keys")


def test_32_the_thief_can_go_on_saying_what_is_honest_and_nothing_else(theft: Theft) -> None:
    """That may hide what is newer, for as long as the repository's own role holds."""
    theft.forge_rest()
    answer = theft.verify()
    assert (answer.code, answer.out) == (0, f"{theft.image} {sha256(manifest('honest'))}\n"), answer
    theft.push(manifest("evil"))
    answer = theft.verify()
    assert (answer.code, "as signed, got" in answer.err, answer.out) == (1, True, ""), answer
