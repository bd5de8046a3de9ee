"""Ceremonies: the first root, new signers, new keys of the service; who signs, in which order, and what clients see."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from notary.changefiles import Brought, parse_change, parse_signatures
from notary.errors import ChangeRefused, SignatureRefused
from notary.reference import Digest
from notary.signing import Document
from swarmsec.errors import AlreadyExists, Changed, Denied, NotFound, UsageProblem
from swarmsec.services.trust.delegate_repository import (
    Delegation,
    add_delegation,
    remove_delegation,
    rotate_repository_keys,
    rotate_revocations_key,
)
from swarmsec.services.trust.pending_changes import (
    add_signatures,
    change_file,
    documents_of,
    drop_change,
    missing_signatures,
)
from swarmsec.services.trust.publish_trust import Published
from swarmsec.services.trust.refresh_trust import is_refresh_due, refresh_if_due
from swarmsec.services.trust.rotate_root import rotate_online_key, rotate_root
from swarmsec.services.trust.trust_records import PendingChange
from swarmsec.services.trust.trust_status import trust_status
from swarmsec.wiring.trust.outsidesigners import OutsideSigner, sign_change
from tests.unit.notary.signers import LocalSigner
from tests.unit.swarmsec.homes import logged
from tests.unit.swarmsec.services.trust.trustdesk import APP, OTHER, TrustDesk


def outside(signer: LocalSigner) -> OutsideSigner:
    return OutsideSigner(key=signer.key, sign=lambda data: bytes.fromhex(signer.sign(data)))


def sign(trust: TrustDesk, change: Published | PendingChange, signer: LocalSigner) -> Published | PendingChange:
    """What a signer does on a machine of their own: from file to file."""
    assert isinstance(change, PendingChange)
    sent = trust.read(lambda transaction: change_file(transaction, change)).encode()
    back = parse_signatures(sign_change(parse_change(sent), outside(signer)).encode())
    return trust.write(add_signatures, back.change_id, back.signatures)


def three() -> tuple[LocalSigner, LocalSigner, LocalSigner]:
    return LocalSigner.fresh(), LocalSigner.fresh(), LocalSigner.fresh()


def custody(trust: TrustDesk) -> dict[str, str]:
    return {item.row.role: item.custody for item in trust.read(trust_status).roles}


def test_a_root_whose_keys_are_elsewhere_is_in_force_after_the_second_signer(empty_trust: TrustDesk) -> None:
    trust = empty_trust
    one, two, three_ = three()
    begun = trust.init(one, two, three_)
    again = sign(trust, begun, three_)
    assert isinstance(again, PendingChange)
    with pytest.raises(NotFound, match="its first root waits for signatures"):
        trust.sign(f"{APP}:1")
    assert trust.read(lambda transaction: transaction.trust.files.get("timestamp.json")) is None
    assert isinstance(sign(trust, again, one), Published)
    assert custody(trust)["root"] == custody(trust)["targets"] == "external"
    delegated = trust.write(add_delegation, Delegation(repository=APP))
    sign(trust, sign(trust, delegated, one), two)
    trust.sign(f"{APP}:1", "one")
    assert trust.digest(f"{APP}:1") == str(Digest.of(b"one"))
    trust.verify()


def test_where_others_decide_a_first_sign_delegates_nothing(empty_trust: TrustDesk) -> None:
    one, two, three_ = three()
    sign(empty_trust, sign(empty_trust, empty_trust.init(one, two, three_), one), two)
    with pytest.raises(Denied, match="the signers of the top-level targets must delegate it"):
        empty_trust.sign(f"{APP}:1")


def test_attack_20_one_key_twice_begins_no_repository(empty_trust: TrustDesk) -> None:
    one = LocalSigner.fresh()
    with pytest.raises(ChangeRefused, match=r"threshold of 1 to 1|one key twice"):
        empty_trust.init(one, one)


def test_one_root_key_alone_is_refused(empty_trust: TrustDesk) -> None:
    with pytest.raises(UsageProblem, match="at least two root keys"):
        empty_trust.init(LocalSigner.fresh())


@pytest.mark.parametrize("threshold", [0, 4])
def test_attack_4_a_threshold_that_cannot_be_is_refused(empty_trust: TrustDesk, threshold: int) -> None:
    with pytest.raises(ChangeRefused, match="a threshold of 1 to 3"):
        empty_trust.init(*three(), threshold=threshold)


def test_a_repository_is_begun_once(trust: TrustDesk, empty_trust: TrustDesk) -> None:
    with pytest.raises(AlreadyExists, match="signs images already"):
        trust.init()


def test_a_ceremony_is_begun_once(empty_trust: TrustDesk) -> None:
    empty_trust.init(*three())
    with pytest.raises(AlreadyExists, match="waits for signatures already"):
        empty_trust.init()


def test_attack_1_and_2_a_new_root_needs_the_former_signers_and_the_new_ones(trust: TrustDesk) -> None:
    one, two, three_ = three()
    trust.sign(f"{APP}:1", "one")
    before = trust.client("early")
    change = trust.write(rotate_root, root_keys=[one.key, two.key, three_.key])
    assert isinstance(change, PendingChange)
    missing = trust.read(lambda transaction: missing_signatures(transaction, change))
    assert {role: [item["missing"] for item in quorums] for role, quorums in missing.items()} == {
        "root": [2],
        "targets": [2],
    }
    sign(trust, sign(trust, change, one), three_)
    assert custody(trust)["root"] == "external"
    assert trust.read(trust_status).is_embedded is False
    before.refresh()
    assert trust.digest(f"{APP}:1", "early") == str(Digest.of(b"one"))
    second = trust.write(rotate_root, root_keys=[LocalSigner.fresh().key, LocalSigner.fresh().key])
    assert isinstance(second, PendingChange)
    needed = trust.read(lambda transaction: missing_signatures(transaction, second))
    assert [item["missing"] for item in needed["root"]] == [2, 2]
    trust.verify()


def test_new_keys_in_the_same_home_are_followed_by_clients_of_the_first_root(trust: TrustDesk) -> None:
    trust.sign(f"{APP}:1", "one")
    assert isinstance(trust.write(rotate_root), Published)
    assert isinstance(trust.write(rotate_root), Published)
    assert trust.digest(f"{APP}:1") == str(Digest.of(b"one"))


def test_signers_that_are_elsewhere_are_not_replaced_by_keys_of_this_home(empty_trust: TrustDesk) -> None:
    one, two, three_ = three()
    sign(empty_trust, sign(empty_trust, empty_trust.init(one, two, three_), one), two)
    with pytest.raises(UsageProblem, match="--key once for each new root signer"):
        empty_trust.write(rotate_root)


@pytest.mark.parametrize("role", ["snapshot", "timestamp"])
def test_attack_15_a_new_key_of_the_service_is_followed(trust: TrustDesk, role: str) -> None:
    trust.sign(f"{APP}:1", "one")
    assert trust.digest(f"{APP}:1") == str(Digest.of(b"one"))
    trust.write(rotate_online_key, role)
    trust.sign(f"{APP}:1", "two")
    assert trust.digest(f"{APP}:1") == str(Digest.of(b"two"))
    trust.verify()


def test_attack_31_a_repository_s_former_key_signs_nothing_any_more(trust: TrustDesk) -> None:
    trust.sign(f"{APP}:1", "one")
    former = trust.read(lambda transaction: transaction.trust.roles.get(APP))
    assert isinstance(trust.write(rotate_repository_keys, APP), Published)
    present = trust.read(lambda transaction: transaction.trust.roles.get(APP))
    assert former is not None
    assert present is not None
    assert not set(former.keyids) & set(present.keyids)
    assert trust.digest(f"{APP}:1") == str(Digest.of(b"one"))


def test_an_outside_key_is_replaced(trust: TrustDesk) -> None:
    old, new = LocalSigner.fresh(), LocalSigner.fresh()
    trust.write(add_delegation, Delegation(repository=APP, outside_keys=[old.key]))
    sign(trust, trust.sign(f"{APP}:1", "one"), old)
    with pytest.raises(NotFound, match="no key"):
        trust.write(rotate_repository_keys, APP, removed=["feed"])
    change = trust.write(rotate_repository_keys, APP, added=[new.key], removed=[old.key.keyid])
    with pytest.raises(Denied, match="not one that signs the change"):
        sign(trust, change, old)
    sign(trust, change, new)
    assert trust.digest(f"{APP}:1") == str(Digest.of(b"one"))


def test_the_key_of_revocations_is_replaced(trust: TrustDesk) -> None:
    assert isinstance(trust.write(rotate_revocations_key), Published)
    trust.sign(f"{APP}:1", "one")
    assert trust.digest(f"{APP}:1") == str(Digest.of(b"one"))


def test_what_is_delegated_no_longer_is_not_found_and_comes_back_empty(trust: TrustDesk) -> None:
    trust.sign(f"{APP}:1", "one")
    assert trust.digest(f"{APP}:1") == str(Digest.of(b"one"))
    trust.write(remove_delegation, APP)
    assert trust.digest(f"{APP}:1") is None
    with pytest.raises(NotFound, match="is not delegated"):
        trust.write(remove_delegation, APP)
    trust.write(add_delegation, Delegation(repository=APP))
    assert trust.digest(f"{APP}:1") is None
    trust.sign(f"{APP}:2", "two")
    assert trust.digest(f"{APP}:2") == str(Digest.of(b"two"))
    assert trust.digest(f"{APP}:1") is None
    trust.verify()


def test_a_repository_is_delegated_once(trust: TrustDesk) -> None:
    trust.write(add_delegation, Delegation(repository=APP))
    with pytest.raises(AlreadyExists, match="is delegated already"):
        trust.write(add_delegation, Delegation(repository=APP))


def test_only_one_change_of_the_targets_waits_at_a_time(empty_trust: TrustDesk) -> None:
    trust = empty_trust
    one, two, three_ = three()
    sign(trust, sign(trust, trust.init(one, two, three_), one), two)
    waiting = trust.write(add_delegation, Delegation(repository=APP))
    assert isinstance(waiting, PendingChange)
    with pytest.raises(Changed, match="a change waits for signatures already"):
        trust.write(add_delegation, Delegation(repository=OTHER))
    trust.write(lambda transaction, keys, requester: drop_change(transaction, requester, waiting.change_id))
    assert isinstance(trust.write(add_delegation, Delegation(repository=OTHER)), PendingChange)


def pending(empty_trust: TrustDesk) -> tuple[PendingChange, LocalSigner]:
    one, two, three_ = three()
    change = empty_trust.init(one, two, three_)
    assert isinstance(change, PendingChange)
    return change, one


@pytest.mark.parametrize("spoil", ["role", "keyid", "signature", "stranger"])
def test_a_signature_that_does_not_count_changes_nothing(empty_trust: TrustDesk, spoil: str) -> None:
    change, one = pending(empty_trust)
    document = documents_of(change)[0]
    good = Brought(role="root", keyid=one.key.keyid, signature=one.sign(document.signed))
    stranger = LocalSigner.fresh()
    bad = {
        "role": replace(good, role="snapshot"),
        "keyid": replace(good, keyid="feed"),
        "signature": replace(good, signature=one.sign(b"else")),
        "stranger": replace(good, keyid=stranger.key.keyid, signature=stranger.sign(document.signed)),
    }[spoil]
    with pytest.raises(SignatureRefused):
        empty_trust.write(add_signatures, change.change_id, [good, bad])
    kept = empty_trust.read(lambda transaction: transaction.trust.changes.get(change.change_id))
    assert kept == change


def test_attack_19_one_signer_again_and_again_is_one_signer(empty_trust: TrustDesk) -> None:
    change, one = pending(empty_trust)
    for _ in range(3):
        again = sign(empty_trust, change, one)
        assert isinstance(again, PendingChange)


def test_exactly_the_stored_bytes_are_signed(empty_trust: TrustDesk) -> None:
    change, one = pending(empty_trust)
    empty_trust.move_clock(timedelta(days=3))
    after = sign(empty_trust, change, one)
    assert isinstance(after, PendingChange)
    assert [item.signed for item in documents_of(after)] == [item.signed for item in documents_of(change)]


def test_nothing_is_due_after_a_publication_and_everything_in_its_time(trust: TrustDesk) -> None:
    trust.sign(f"{APP}:1", "one")
    assert trust.read(is_refresh_due) is False
    assert trust.write(refresh_if_due) is False
    first = trust.expires("timestamp")
    trust.move_clock(timedelta(hours=1, seconds=1))
    assert trust.write(refresh_if_due) is True
    assert trust.expires("timestamp") - first >= timedelta(hours=1)
    assert trust.read(is_refresh_due) is False
    trust.move_clock(timedelta(days=1, hours=3))
    assert trust.write(refresh_if_due) is True
    trust.move_clock(timedelta(days=310))
    assert trust.write(refresh_if_due) is True
    assert {trust.expires(role).year for role in ("root", "targets")} == {trust.expires("root").year}
    assert len(logged(trust.home, "trust.refresh")) == 3
    trust.verify()


def test_a_clock_that_stood_ahead_does_not_leave_a_timestamp_that_holds_for_long(trust: TrustDesk) -> None:
    trust.move_clock(timedelta(days=400))
    trust.write(refresh_if_due)
    trust.move_clock(timedelta())
    assert trust.read(is_refresh_due) is True
    trust.write(refresh_if_due)
    assert trust.expires("timestamp").timestamp() * 1000 - trust.home.store.clock.unix_ms() < 86_401_000


def test_attack_6_versions_grow_when_the_clock_is_set_back(trust: TrustDesk) -> None:
    trust.sign(f"{APP}:1", "one")
    trust.move_clock(timedelta(days=-2))
    trust.sign(f"{APP}:2", "two")
    trust.move_clock(timedelta())
    trust.write(refresh_if_due)
    assert trust.digest(f"{APP}:2") == str(Digest.of(b"two"))


def test_signers_elsewhere_are_not_signed_for_in_time(empty_trust: TrustDesk) -> None:
    one, two, three_ = three()
    sign(empty_trust, sign(empty_trust, empty_trust.init(one, two, three_), one), two)
    end = empty_trust.expires("root")
    empty_trust.move_clock(timedelta(days=320))
    empty_trust.write(refresh_if_due)
    assert empty_trust.expires("root") == end
    due = {item.row.role: item.due for item in empty_trust.read(trust_status).roles}
    assert due["root"] == due["targets"] == "60d"
    assert due["timestamp"] == due["snapshot"] == ""


def test_a_document_s_own_words_are_what_is_signed() -> None:
    body = {"_type": "targets", "version": 1, "expires": "2030-01-01T00:00:00Z"}
    assert Document(role="a", body=body, signatures={}).signed == Document(role="b", body=body, signatures={}).signed
