"""The rules of versions, against a plain model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsec.secretstore.errors import SecretInvalid
from swarmsec.secretstore.versions import (
    MAX_VALUE,
    MAX_VERSIONS_LIMIT,
    History,
    VersionState,
    verify_max_versions,
    verify_value,
)


def grown(count: int, **bounds: int) -> History:
    history = History(versions=(), **bounds)
    for _ in range(count):
        history = history.added()
    return history


def test_versions_count_from_one_and_the_newest_is_current() -> None:
    history = grown(3)

    assert [version.number for version in history.versions] == [1, 2, 3]
    assert (history.current, history.previous, history.newest) == (3, 2, 3)


def test_a_pending_version_is_not_current_until_it_is_published() -> None:
    history = grown(1).added(pending=True)
    assert (history.current, history.state_of(2)) == (1, VersionState.PENDING)

    published = history.published(2)
    assert (published.current, published.previous, published.state_of(2)) == (2, 1, VersionState.LIVE)
    assert published.published(2) == published


def test_deleting_the_current_version_brings_no_older_one_back() -> None:
    history = grown(2).deleted([2])

    assert (history.current, history.state_of(2)) == (2, VersionState.DELETED)
    assert history.undeleted([2]).state_of(2) is VersionState.LIVE


def test_a_destroyed_version_neither_comes_back_nor_is_published() -> None:
    history = grown(2).destroyed([1])

    with pytest.raises(SecretInvalid, match="expected a version to undelete, got version 1, which is destroyed"):
        history.undeleted([1])
    with pytest.raises(SecretInvalid, match="expected a version to delete, got version 1, which is destroyed"):
        history.deleted([1])
    with pytest.raises(SecretInvalid, match="expected a pending or live version, got version 1, which is destroyed"):
        history.published(1)
    assert history.destroyed([1]) == history


@pytest.mark.parametrize("change", [History.deleted, History.undeleted, History.destroyed])
def test_a_version_that_never_was(change: object) -> None:
    assert callable(change)
    with pytest.raises(SecretInvalid, match="got version 7, which never was"):
        change(grown(1), [7])


def test_a_pending_version_is_not_deleted_behind_a_rotation_s_back() -> None:
    with pytest.raises(SecretInvalid, match="got version 2, which is pending"):
        grown(1).added(pending=True).deleted([2])


@given(
    st.lists(st.sampled_from(["add", "pending", "delete", "undelete", "destroy", "publish"]), max_size=30),
    st.integers(min_value=1, max_value=4),
    st.data(),
)
def test_no_number_is_used_twice_and_the_surplus_spares_what_is_needed(
    steps: list[str], keep: int, data: st.DataObject
) -> None:
    history = History(versions=(), max_versions=keep)
    given_out: list[int] = []
    for step in steps:
        number = data.draw(st.integers(min_value=1, max_value=max(1, history.newest)))
        try:
            match step:
                case "add" | "pending":
                    history = history.added(pending=step == "pending")
                    given_out.append(history.newest)
                case "delete":
                    history = history.deleted([number])
                case "undelete":
                    history = history.undeleted([number])
                case "destroy":
                    history = history.destroyed([number])
                case _:
                    history = history.published(number)
        except SecretInvalid:
            continue
        surplus = history.surplus()
        assert not {history.current, history.previous} & set(surplus)
        assert all(history.state_of(n) not in {VersionState.PENDING, VersionState.DESTROYED} for n in surplus)
        history = history.destroyed(surplus)
    assert given_out == sorted(set(given_out))
    assert [version.number for version in history.versions] == given_out


@pytest.mark.parametrize("count", [0, -1, MAX_VERSIONS_LIMIT + 1])
def test_how_many_versions_can_be_kept(count: int) -> None:
    with pytest.raises(SecretInvalid, match="expected 1 to 100 versions to keep"):
        verify_max_versions(count)
    assert verify_max_versions(1) == 1


@pytest.mark.parametrize("size", [0, MAX_VALUE + 1])
def test_how_large_a_value_can_be(size: int) -> None:
    with pytest.raises(SecretInvalid, match="expected a value of 1 to 511,999 bytes"):
        verify_value(size)
    verify_value(1)
    verify_value(MAX_VALUE)
