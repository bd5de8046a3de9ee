"""The table of delegations gives what python-tuf finds by looking at every role."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tuf.api.metadata import DelegatedRole, Delegations, SuccinctRoles

from notary.delegations import DelegationIndex

PARTS = st.sampled_from(["a", "b", "app", "app-evil", "*", "app*", "?", "[ab]"])
PATTERNS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
PATHS = st.lists(st.sampled_from(["a", "b", "app", "app-evil", "c"]), min_size=1, max_size=4).map("/".join)
ROLES = st.lists(st.tuples(st.lists(PATTERNS, min_size=1, max_size=3), st.booleans()), max_size=8)


@given(roles=ROLES, path=PATHS)
def test_it_finds_what_python_tuf_finds(roles: list[tuple[list[str], bool]], path: str) -> None:
    named = {
        f"role{number}": DelegatedRole(f"role{number}", ["k"], 1, terminating, paths=patterns)
        for number, (patterns, terminating) in enumerate(roles)
    }
    delegations = Delegations({}, named)
    assert list(DelegationIndex(delegations).of(path)) == list(delegations.get_roles_for_target(path))


@given(path=PATHS)
def test_bins_and_hashes_are_left_to_python_tuf(path: str) -> None:
    succinct = Delegations({}, succinct_roles=SuccinctRoles(["k"], 1, 4, "bin"))
    hashed = Delegations({}, {"h": DelegatedRole("h", ["k"], 1, True, path_hash_prefixes=["a", "0"])})
    for delegations in (succinct, hashed):
        assert list(DelegationIndex(delegations).of(path)) == list(delegations.get_roles_for_target(path))


def test_no_delegations_are_none() -> None:
    assert list(DelegationIndex(None).of("a/b")) == []
