"""Attacks by roles that sign what is not theirs, and with stolen keys, each driven through ``image verify``.

The numbers are those of the list that the trust service was designed against; see ``test_attacks_on_metadata``.
"""

from __future__ import annotations

from typing import Any

import pytest
from tuf.api.metadata import DelegatedRole, Delegations, Targets

from tests.integration.trust_world import TrustWorld, manifest
from tests.peers.trust_workshop import REVOCATIONS, fresh_signer


@pytest.fixture(autouse=True)
def signed(trust: TrustWorld) -> None:
    """Every attack is on a repository that is trusted without it."""
    trust.sign()
    trust.publish()


# 23 to 30: delegations


def sub_delegate(trust: TrustWorld, parent: Targets, role: str, paths: list[str], signer: Any) -> None:
    """Let a delegated role delegate further."""
    if parent.delegations is None:
        parent.delegations = Delegations({}, {})
    assert parent.delegations.roles is not None
    parent.delegations.roles[role] = DelegatedRole(role, [], 1, False, paths=paths)
    parent.add_key(signer.public_key, role)


def test_23_a_role_that_two_delegators_give_to_different_keys(trust: TrustWorld) -> None:
    """Verified for one delegator, it counts nothing for the other (python-tuf 7.0.1)."""
    thief = fresh_signer()
    other = f"{trust.server.host}/team/a"
    helper = trust.workshop.delegate("helper", ["*/team/*/*"], terminating=False)
    sub_delegate(trust, helper, other, [f"{other}/*"], thief)
    trust.workshop.delegate(other)
    delegations = trust.workshop.targets.delegations
    assert delegations is not None
    assert delegations.roles is not None
    delegations.roles = {"helper": delegations.roles.pop("helper"), **delegations.roles}
    evil = manifest("evil")
    trust.push("1", evil, path="team/a")
    trust.workshop.sign_image(other, "1", evil)
    for role in ("targets", "helper", REVOCATIONS, trust.repository):
        trust.workshop.put_role(role)
    trust.workshop.signers[other] = [thief]
    trust.workshop.put_role(other)
    trust.workshop.put_snapshot()
    trust.workshop.put_timestamp()
    trust.trusted()
    trust.refused(1, "as the top level delegates it", trust.ref("1", "team/a"))


def test_24_delegations_in_a_circle(trust: TrustWorld) -> None:
    signer = fresh_signer()
    one = trust.workshop.delegate("one", ["*/team/*/*"], signers=[signer], terminating=False)
    sub_delegate(trust, one, "two", ["*/team/*/*"], signer)
    trust.workshop.roles["two"] = Targets(expires=trust.workshop.after(days=1))
    trust.workshop.signers["two"], trust.workshop.thresholds["two"] = [signer], 1
    sub_delegate(trust, trust.workshop.roles["two"], "one", ["*/team/*/*"], signer)
    trust.publish()
    trust.refused(1, "nobody signed", trust.ref("none", "team/none"))


def test_25_more_delegations_than_anybody_follows(trust: TrustWorld) -> None:
    for number in range(40):
        trust.workshop.delegate(f"role{number}", ["*/team/*/*"], terminating=False)
    delegations = trust.workshop.targets.delegations
    assert delegations is not None
    assert delegations.roles is not None
    delegations.roles[trust.repository] = delegations.roles.pop(trust.repository)
    trust.publish()
    trust.refused(1, "nobody signed")
    assert len([path for path in trust.server.paths("/tuf/") if "role" in path]) <= 33


def test_26_a_terminating_role_is_not_passed_by(trust: TrustWorld) -> None:
    trust.workshop.delegate("wall", ["*/team/app/*"], terminating=True)
    delegations = trust.workshop.targets.delegations
    assert delegations is not None
    assert delegations.roles is not None
    delegations.roles = {"wall": delegations.roles.pop("wall"), **delegations.roles}
    trust.publish()
    trust.refused(1, "nobody signed")


@pytest.mark.parametrize("name", ["../x", "x?y", "x#y", "/x", "x\\y", "..", "x/../y", "%2e%2e", "x\ny", ""])
def test_27_strange_names_of_roles(trust: TrustWorld, name: str) -> None:
    trust.workshop.delegate(name, ["*/team/app/*"], terminating=False)
    delegations = trust.workshop.targets.delegations
    assert delegations is not None
    assert delegations.roles is not None
    delegations.roles = {name: delegations.roles.pop(name), **delegations.roles}
    trust.publish()
    trust.refused(1, "expected a role with the name of a repository" if name else "is no metadata that counts")
    trust_directory = trust.program.directory / "state" / "trust"
    kept = {path.name for path in trust_directory.rglob("*") if path.is_file()}
    assert all(set(each) <= set("abcdefghijklmnopqrstuvwxyz0123456789.%FA2-3") for each in kept), kept


@pytest.mark.parametrize("tag", ["../x", "1.4/../1.5", "1.4%2f", "1.4?x", "1.4#x", ".hidden", "-x", "a b"])
def test_28_strange_tags(trust: TrustWorld, tag: str) -> None:
    answer = trust.verify(f"{trust.server.host}/team/app:{tag}")
    assert answer.code == 2
    assert "expected" in answer.err


def test_29_a_role_signs_for_another_repository(trust: TrustWorld) -> None:
    other = f"{trust.server.host}/team/b"
    evil = manifest("evil")
    trust.push("1", evil, path="team/b")
    trust.workshop.sign_image(trust.repository, "1", evil, path=f"{other}/1")
    trust.publish()
    trust.refused(1, "nobody signed", trust.ref("1", "team/b"))
    trust.workshop.delegate(other)
    trust.publish()
    trust.refused(1, "nobody signed", trust.ref("1", "team/b"))


def test_30_a_pattern_that_reaches_too_far(trust: TrustWorld) -> None:
    trust.workshop.delegate("wide", [f"{trust.server.host}/team/app*/*"], terminating=False)
    evil = manifest("evil")
    trust.push("1", evil, path="team/app-evil")
    trust.workshop.sign_image("wide", "1", evil, path=f"{trust.server.host}/team/app-evil/1")
    trust.publish()
    trust.refused(
        1,
        "to speak of its images, as the top level delegates it, got an answer of 'wide'",
        trust.ref("1", "team/app-evil"),
    )


def test_30_the_top_level_names_no_images(trust: TrustWorld) -> None:
    evil = manifest("evil")
    trust.push("1", evil, path="team/x")
    path = f"{trust.server.host}/team/x/1"
    trust.workshop.sign_image(trust.repository, "1", evil, path=path)
    trust.workshop.targets.targets[path] = trust.workshop.roles[trust.repository].targets.pop(path)
    trust.publish()
    trust.refused(1, "got an answer of 'targets'", trust.ref("1", "team/x"))


# 31, 32: stolen keys


def test_31_a_key_that_was_taken_away_is_presented_still(trust: TrustWorld) -> None:
    stolen = trust.workshop.signers[trust.repository]
    trust.workshop.delegate(trust.repository)
    evil = manifest("evil")
    trust.push("1.4", evil)
    trust.workshop.put_role("targets")
    trust.workshop.signers[trust.repository] = stolen
    trust.workshop.sign_image(trust.repository, "1.4", evil)
    trust.workshop.put_role(trust.repository)
    trust.workshop.put_snapshot()
    trust.workshop.put_timestamp()
    trust.refused(1, f"{trust.repository} is not signed by enough of its keys")


def test_32_with_the_online_keys_nothing_can_be_added(trust: TrustWorld) -> None:
    """Snapshot and timestamp keys stolen: the role's own signature is missing, whatever they name."""
    evil = manifest("evil")
    trust.push("1.4", evil)
    trust.workshop.sign_image(trust.repository, "1.4", evil)
    trust.workshop.signers[trust.repository] = trust.workshop.signers["snapshot"]
    trust.publish(trust.repository)
    trust.refused(1, f"{trust.repository} is not signed by enough of its keys")


def test_32_one_of_two_keys_is_not_enough(trust: TrustWorld) -> None:
    """The service's own key of a repository that demands a second, outside one."""
    service, outside = fresh_signer(), fresh_signer()
    trust.workshop.delegate(trust.repository, signers=[service, outside], threshold=2)
    evil = manifest("evil")
    trust.push("1.4", evil)
    trust.workshop.sign_image(trust.repository, "1.4", evil)
    trust.workshop.put_role("targets")
    trust.workshop.signers[trust.repository] = [service]
    trust.workshop.put_role(trust.repository)
    trust.workshop.put_snapshot()
    trust.workshop.put_timestamp()
    trust.refused(1, f"{trust.repository} is not signed by enough of its keys")
