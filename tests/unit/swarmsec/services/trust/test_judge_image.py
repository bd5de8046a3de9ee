"""Whether a home vouches for an image: pinned, signed as the policy asks, not revoked, and what of that is not so."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from notary.reference import Digest, ImageReference
from policies.documents import Level
from policies.loading import load_documents
from swarmsec.services.access.apply_policy import active_documents, apply_policies
from swarmsec.services.ports import Transaction
from swarmsec.services.trust import judge_image
from swarmsec.services.trust.judge_image import ImageJudge, JudgedImage, Standing
from swarmsec.services.trust.refresh_trust import refresh_if_due
from swarmsec.services.trust.sign_image import revoke_image, sign_image
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.trust.trustdesk import APP, OTHER, TrustDesk, named

ENFORCE = {"images": ["**"], "level": "enforce", "minSigners": 1}
ONE, TWO = (Digest.of(text.encode()) for text in ("one", "two"))


def apply(trust: TrustDesk, *scopes: dict[str, Any]) -> None:
    spec = {"apiVersion": "swarmsec.dev/v1", "kind": "TrustPolicy", "metadata": {"name": "default"}}
    documents = load_documents(json.dumps({**spec, "spec": {"scopes": list(scopes)}}).encode(), source="a test")
    trust.home.store.write(lambda transaction: apply_policies(transaction, documents, OPERATOR))


@pytest.fixture
def judge(trust: TrustDesk) -> Callable[[str], JudgedImage]:
    """Asks one judge in a home with two signed tags."""
    apply(trust, ENFORCE)
    trust.sign(f"{APP}:1", "one")
    trust.sign(f"{APP}:2", "two")
    return asks(trust, ImageJudge())


def asks(trust: TrustDesk, judge: ImageJudge) -> Callable[[str], JudgedImage]:
    def ask(text: str) -> JudgedImage:
        return trust.read(lambda transaction: judge.judge(transaction, text, active_documents(transaction)))

    return ask


@pytest.mark.parametrize("text", [f"{APP}@{ONE}", f"{APP}:1@{ONE}", f"{APP}:2@{ONE}", f"{APP}:gone@{ONE}"])
def test_what_is_signed_under_any_tag_is_trusted_by_its_digest(judge: Callable[[str], JudgedImage], text: str) -> None:
    judged = judge(text)
    assert (judged.standing, judged.reason, judged.level) == (Standing.TRUSTED, "", Level.ENFORCE)
    assert judged.is_trusted
    assert judged.vouched is not None
    assert (judged.vouched.tag, judged.vouched.digest) == ("1", ONE)


@pytest.mark.parametrize(
    ("text", "standing", "reason"),
    [
        (f"{APP}:1", Standing.UNPINNED, "held to its digest"),
        ("nginx", Standing.UNPINNED, "held to its digest"),
        (f"{APP}@{Digest.of(b'other')}", Standing.UNSIGNED, "nobody signed"),
        (f"{OTHER}@{ONE}", Standing.UNSIGNED, "nobody signed"),
        (f"nginx@{ONE}", Standing.UNSIGNED, "nobody signed"),
        ("a" * 64, Standing.UNTRUSTED, "image id"),
        ("", Standing.UNTRUSTED, "expected a reference"),
        ("../x@sha256:" + "0" * 64, Standing.UNTRUSTED, "expected a"),
        (f"{APP}@sha256:12", Standing.UNTRUSTED, "hex digits"),
    ],
)
def test_everything_else_is_not_and_says_why(
    judge: Callable[[str], JudgedImage], text: str, standing: Standing, reason: str
) -> None:
    judged = judge(text)
    assert judged.standing is standing
    assert reason in judged.reason
    assert not judged.is_trusted
    assert judged.vouched is None


def test_a_revocation_and_a_moved_tag_count_at_once(trust: TrustDesk, judge: Callable[[str], JudgedImage]) -> None:
    assert judge(f"{APP}@{ONE}").is_trusted
    reference = ImageReference.parse(f"{APP}@{ONE}")
    trust.write(revoke_image, reference, reason="a hole")
    revoked = judge(f"{APP}@{ONE}")
    assert (revoked.standing, revoked.is_trusted) == (Standing.REVOKED, False)
    assert "a hole" in revoked.reason
    trust.sign(f"{APP}:2", "three")
    assert judge(f"{APP}:2@{TWO}").standing is Standing.UNSIGNED
    assert judge(f"{APP}:2@{Digest.of(b'three')}").is_trusted


def test_the_level_says_how_much_it_matters_and_trusts_nothing(
    trust: TrustDesk, judge: Callable[[str], JudgedImage]
) -> None:
    for level in ("warn", "audit", "skip"):
        apply(
            trust, {"images": ["registry.example/**"], "level": level}, {**ENFORCE, "images": ["elsewhere.example/**"]}
        )
        judged = judge(f"{OTHER}@{ONE}")
        assert (judged.standing, judged.level) == (Standing.UNSIGNED, Level(level))
        assert judge(f"{APP}@{ONE}").is_trusted


def test_the_policy_s_signers_and_ages_are_asked_for(trust: TrustDesk, judge: Callable[[str], JudgedImage]) -> None:
    apply(trust, {**ENFORCE, "minSigners": 2})
    assert "2 different signers" in judge(f"{APP}@{ONE}").reason
    apply(trust, {**ENFORCE, "maxAge": "1h"})
    assert judge(f"{APP}@{ONE}").is_trusted
    trust.move_clock(timedelta(hours=2))
    old = judge(f"{APP}@{ONE}")
    assert (old.standing, old.hint) == (Standing.UNTRUSTED, "sign the image again: swarmsec image sign REF")


def test_no_policy_for_an_image_is_a_denial(trust: TrustDesk, judge: Callable[[str], JudgedImage]) -> None:
    apply(trust, {**ENFORCE, "images": [APP]})
    judged = judge(f"{OTHER}@{ONE}")
    assert (judged.standing, judged.level) == (Standing.UNTRUSTED, None)
    assert "no trust scope covers" in judged.reason


def test_metadata_that_has_ended_answers_nothing_until_it_is_signed_again(
    trust: TrustDesk, judge: Callable[[str], JudgedImage]
) -> None:
    assert judge(f"{APP}@{ONE}").is_trusted
    trust.move_clock(timedelta(days=1, minutes=1))
    assert judge(f"{APP}@{ONE}").standing is Standing.UNKNOWN
    trust.write(refresh_if_due)
    assert judge(f"{APP}@{ONE}").is_trusted
    trust.move_clock(timedelta(days=91))
    trust.write(refresh_if_due)
    ended = judge(f"{APP}@{ONE}")
    assert (ended.standing, "expired" in ended.reason) == (Standing.UNTRUSTED, True)


def test_a_home_that_signs_no_images_can_tell_nothing(empty_trust: TrustDesk) -> None:
    apply(empty_trust, ENFORCE)
    judged = asks(empty_trust, ImageJudge())(f"{APP}@{ONE}")
    assert (judged.standing, judged.hint) == (Standing.UNKNOWN, "make it with: swarmsec trust init")


class _Undone(Exception):
    pass


def test_a_publication_that_is_undone_leaves_nothing_behind(
    trust: TrustDesk, judge: Callable[[str], JudgedImage]
) -> None:
    """The next publication has the number of the one that was undone."""
    one = ImageJudge()

    def undone(transaction: Transaction) -> None:
        sign_image(transaction, trust.keys, OPERATOR, named(f"{APP}:3", "three"))
        text = f"{APP}@{Digest.of(b'three')}"
        assert one.judge(transaction, text, active_documents(transaction)).is_trusted
        raise _Undone

    with pytest.raises(_Undone):
        trust.home.store.write(undone)
    trust.sign(f"{APP}:3", "four")
    assert asks(trust, one)(f"{APP}@{Digest.of(b'three')}").standing is Standing.UNSIGNED


def test_what_was_verified_is_not_verified_again(
    trust: TrustDesk, judge: Callable[[str], JudgedImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(f"{APP}@{ONE}")
    asked: list[str] = []
    fetch = judge_image._Files.fetch

    def counted(self: judge_image._Files, name: str, limit: int) -> bytes | None:
        asked.append(name)
        return fetch(self, name, limit)

    monkeypatch.setattr(judge_image._Files, "fetch", counted)
    assert judge(f"{APP}@{TWO}").is_trusted
    assert asked == []
    trust.sign(f"{APP}:4", "four")
    assert judge(f"{APP}@{TWO}").is_trusted
    assert "timestamp.json" in asked
