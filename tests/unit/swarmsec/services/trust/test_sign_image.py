"""Signing, revoking and promoting images, as python-tuf's own client sees it."""

from __future__ import annotations

import pytest
from tuf.api.exceptions import RepositoryError

from notary.changefiles import Brought
from notary.errors import ChangeRefused
from notary.reference import Digest, ImageReference
from swarmsec.audit.actions import Action
from swarmsec.errors import Denied, NotFound, UsageProblem
from swarmsec.services.trust.delegate_repository import Delegation, add_delegation
from swarmsec.services.trust.pending_changes import add_signatures, documents_of
from swarmsec.services.trust.publish_trust import Published
from swarmsec.services.trust.sign_image import (
    ensure_delegated,
    named_image,
    promote_image,
    revoke_image,
    sign_image,
)
from swarmsec.services.trust.trust_records import PendingChange
from tests.unit.notary.signers import LocalSigner
from tests.unit.swarmsec.services.trust.trustdesk import APP, OTHER, TrustDesk, image, named


def test_a_stock_client_finds_what_was_signed(trust: TrustDesk) -> None:
    assert isinstance(trust.sign(f"{APP}:1.0", "one"), Published)
    trust.sign(f"{OTHER}:1.0", "two")
    assert trust.digest(f"{APP}:1.0") == str(Digest.of(b"one"))
    assert trust.digest(f"{OTHER}:1.0") == str(Digest.of(b"two"))
    assert trust.digest(f"{APP}:2.0") is None
    trust.verify()


def test_a_tag_that_is_signed_again_means_the_new_digest_for_who_was_there_before(trust: TrustDesk) -> None:
    trust.sign(f"{APP}:1.0", "one")
    assert trust.digest(f"{APP}:1.0") == str(Digest.of(b"one"))
    trust.sign(f"{APP}:1.0", "two")
    assert trust.digest(f"{APP}:1.0") == str(Digest.of(b"two"))


def test_the_first_sign_delegates_where_this_home_alone_decides(trust: TrustDesk) -> None:
    assert trust.write(ensure_delegated, APP) is True
    assert trust.write(ensure_delegated, APP) is False


def test_nobody_signs_what_is_not_delegated(trust: TrustDesk) -> None:
    with pytest.raises(Denied, match=f"nobody signs for {APP} yet"):
        trust.write(sign_image, named(f"{APP}:1"))


def test_there_must_be_a_repository(empty_trust: TrustDesk) -> None:
    with pytest.raises(NotFound, match="signs no images yet"):
        empty_trust.sign(f"{APP}:1")


def test_a_name_without_a_tag_is_not_signed() -> None:
    with pytest.raises(UsageProblem, match="expected a tag to sign"):
        named_image(ImageReference.parse(APP), image())


def test_a_revoked_digest_is_gone_under_every_tag_and_is_never_signed_again(trust: TrustDesk) -> None:
    for tag in ("1.0", "latest"):
        trust.sign(f"{APP}:{tag}", "bad")
    trust.sign(f"{APP}:0.9", "good")
    trust.write(revoke_image, ImageReference.parse(f"{APP}:latest"), reason="a leaked key")
    assert trust.digest(f"{APP}:1.0") is None
    assert trust.digest(f"{APP}:0.9") == str(Digest.of(b"good"))
    revoked = trust.client().get_targetinfo(f"revoked/{Digest.of(b'bad').hex}")
    assert revoked is not None
    assert revoked.unrecognized_fields["custom"]["reason"] == "a leaked key"
    assert revoked.unrecognized_fields["custom"]["references"] == [f"{APP}:1.0", f"{APP}:latest"]
    for reference in (f"{APP}:3", f"{OTHER}:3"):
        with pytest.raises(Denied, match="is revoked: a leaked key"):
            trust.sign(reference, "bad")
    trust.verify()


def test_a_digest_that_no_tag_means_can_be_revoked(trust: TrustDesk) -> None:
    trust.sign(f"{APP}:1")
    digest = Digest.of(b"elsewhere")
    trust.write(revoke_image, ImageReference.parse(f"{APP}@{digest}"), reason="")
    assert trust.client().get_targetinfo(f"revoked/{digest.hex}") is not None


def test_what_is_not_signed_cannot_be_revoked_by_its_tag(trust: TrustDesk) -> None:
    trust.sign(f"{APP}:1")
    with pytest.raises(NotFound, match="is not signed"):
        trust.write(revoke_image, ImageReference.parse(f"{APP}:2"), reason="")


def test_promoting_signs_the_same_digest_under_another_name(trust: TrustDesk) -> None:
    trust.sign(f"{APP}:1-rc", "one")
    trust.write(promote_image, ImageReference.parse(f"{APP}:1-rc"), named(f"{APP}:1", "one"))
    assert trust.digest(f"{APP}:1") == str(Digest.of(b"one"))


def test_attack_47_promoting_refuses_what_moved_meanwhile(trust: TrustDesk) -> None:
    trust.sign(f"{APP}:1-rc", "one")
    with pytest.raises(Denied, match=r"as .*1-rc is"):
        trust.write(promote_image, ImageReference.parse(f"{APP}:1-rc"), named(f"{APP}:1", "two"))


def test_promoting_needs_a_signed_source(trust: TrustDesk) -> None:
    trust.sign(f"{APP}:1", "one")
    with pytest.raises(Denied, match="is not signed"):
        trust.write(promote_image, ImageReference.parse(f"{APP}:2"), named(f"{APP}:3", "one"))
    trust.write(revoke_image, ImageReference.parse(f"{APP}:1"), reason="")
    with pytest.raises(Denied, match="is not signed"):
        trust.write(promote_image, ImageReference.parse(f"{APP}:1"), named(f"{APP}:3", "one"))


def second_signer(trust: TrustDesk) -> LocalSigner:
    """Let an outside key count for the repository beside the service's own: both must sign."""
    signer = LocalSigner.fresh()
    trust.write(add_delegation, Delegation(repository=APP, outside_keys=[signer.key]))
    return signer


def bring(trust: TrustDesk, change: PendingChange, signer: LocalSigner) -> Published | PendingChange:
    brought = [
        Brought(role=document.role, keyid=signer.key.keyid, signature=signer.sign(document.signed))
        for document in documents_of(change)
    ]
    return trust.write(add_signatures, change.change_id, brought)


def test_attack_32_the_service_s_key_alone_publishes_nothing_where_a_second_key_is_demanded(trust: TrustDesk) -> None:
    signer = second_signer(trust)
    change = trust.sign(f"{APP}:1", "one")
    assert isinstance(change, PendingChange)
    with pytest.raises((RepositoryError, KeyError)):
        trust.digest(f"{APP}:1", "before")
    assert isinstance(bring(trust, change, signer), Published)
    assert trust.digest(f"{APP}:1") == str(Digest.of(b"one"))
    trust.verify()


def test_what_is_signed_while_another_image_waits_holds_both(trust: TrustDesk) -> None:
    signer = second_signer(trust)
    first = trust.sign(f"{APP}:1", "one")
    second = trust.sign(f"{APP}:2", "two")
    assert isinstance(first, PendingChange)
    assert isinstance(second, PendingChange)
    with pytest.raises(NotFound, match="no pending change"):
        bring(trust, first, signer)
    bring(trust, second, signer)
    assert trust.digest(f"{APP}:1") == str(Digest.of(b"one"))
    assert trust.digest(f"{APP}:2") == str(Digest.of(b"two"))


def test_a_revocation_holds_at_once_even_where_the_tag_waits_for_a_signer(trust: TrustDesk) -> None:
    signer = second_signer(trust)
    change = trust.sign(f"{APP}:1", "bad")
    assert isinstance(change, PendingChange)
    bring(trust, change, signer)
    revoked, waiting = trust.write(revoke_image, ImageReference.parse(f"{APP}:1"), reason="")
    assert isinstance(revoked, Published)
    assert isinstance(waiting, PendingChange)
    assert trust.client().get_targetinfo(f"revoked/{Digest.of(b'bad').hex}") is not None
    bring(trust, waiting, signer)
    assert trust.digest(f"{APP}:1") is None


def test_every_change_is_in_the_log(trust: TrustDesk) -> None:
    trust.sign(f"{APP}:1")
    trust.write(revoke_image, ImageReference.parse(f"{APP}:1"), reason="x")
    actions = trust.read(lambda transaction: [entry.data for entry in transaction.log_entries.since(0)])
    said = b"\n".join(actions)
    for action in (Action.TRUST_INIT, Action.POLICY_APPLY, Action.TRUST_PUBLISH):
        assert f'"action":"{action}"'.encode() in said
    assert str(Digest.of(b"manifest")).encode() in said


def test_what_cannot_be_signed_leaves_everything_as_it_was(trust: TrustDesk) -> None:
    trust.sign(f"{APP}:1", "one")
    before = trust.file("timestamp.json")
    with pytest.raises(ChangeRefused):
        trust.write(revoke_image, ImageReference.parse(f"{APP}:1"), reason='"')
    assert trust.file("timestamp.json") == before
