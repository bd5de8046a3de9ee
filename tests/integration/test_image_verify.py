"""``image verify`` with an honest repository and registry: what it prints, what it keeps, what it asks for."""

from __future__ import annotations

from tests.integration.trust_world import TrustWorld, sha256


def test_a_signed_tag_is_its_digest(trust: TrustWorld) -> None:
    digest = sha256(trust.sign())
    trust.publish()
    assert trust.trusted().out == f"{trust.ref()} {digest}\n"
