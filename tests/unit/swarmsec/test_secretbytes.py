"""Secret bytes show themselves to ``reveal`` alone."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from collections.abc import Callable

import pytest

from swarmsec.secretbytes import SecretBytes

CANARY = b"canary-9c2f-secret"
SHOWN = f"<{len(CANARY)} secret bytes>"


@pytest.mark.parametrize(
    "show",
    [
        repr,
        str,
        "{}".format,
        "{!r:>40}".format,
        "{:x}".format,
        lambda secret: "%s %r" % (secret, secret),  # noqa: UP031  # the old way of formatting is what is tried
        lambda secret: f"{[secret]}{ {'key': secret} }",
        lambda secret: f"{ValueError(secret)}{ValueError(secret)!r}",
    ],
)
def test_no_way_of_formatting_shows_it(show: Callable[[SecretBytes], str]) -> None:
    text = show(SecretBytes(CANARY))
    assert SHOWN in text
    assert "canary" not in text


@pytest.mark.parametrize(
    "duplicate", [pickle.dumps, copy.copy, copy.deepcopy, lambda secret: json.dumps({"s": secret})]
)
def test_it_is_neither_copied_nor_serialized(duplicate: Callable[[SecretBytes], object]) -> None:
    with pytest.raises(TypeError) as caught:
        duplicate(SecretBytes(CANARY))
    assert "canary" not in str(caught.value)


def test_a_traceback_with_the_values_of_variables_does_not_show_it() -> None:
    def fails(secret: SecretBytes) -> None:
        raise ValueError("failed")

    try:
        fails(SecretBytes(CANARY))
    except ValueError as error:
        text = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert SHOWN in text
    assert "canary-9c2f" not in text


def test_a_log_line_does_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("test").warning("got %s and %r", SecretBytes(CANARY), SecretBytes(CANARY))
    assert "canary" not in caplog.text


def test_it_has_no_other_way_in() -> None:
    secret = SecretBytes(CANARY)
    with pytest.raises(TypeError):
        bytes(secret)  # type: ignore[call-overload]  # that it has no conversion is what is tried
    with pytest.raises(TypeError):
        hash(secret)
    with pytest.raises(TypeError):
        vars(secret)
    assert not hasattr(secret, "__iter__")


def test_it_compares_and_is_wiped() -> None:
    secret = SecretBytes(bytearray(CANARY))
    assert secret == SecretBytes(CANARY)
    assert secret != SecretBytes(CANARY[:-1])
    assert secret != CANARY
    assert len(secret) == len(CANARY)
    assert secret.reveal() == CANARY
    secret.wipe()
    assert len(secret) == 0
    assert secret.reveal() == b""


def test_the_buffer_is_its_own() -> None:
    given = bytearray(CANARY)
    secret = SecretBytes(given)
    given[:] = bytes(len(given))
    assert secret.reveal() == CANARY
