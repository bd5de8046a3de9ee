"""PKCS#11 URIs: one key in one token, no PIN, nothing that is ignored, and one form in the store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmsec.errors import UsageProblem
from swarmsec.keys.tokenuri import MAX_URI, TokenKeyUri, is_token_key, parse_token_uri

NAMES = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=20).filter(str.isprintable)


def test_a_uri_says_where_the_key_is_and_how_to_get_at_it() -> None:
    text = "pkcs11:token=swarm%20ca;object=root;id=%01%02;type=private?module-path=/lib/t.so&pin-source=file:/etc/pin"

    found = parse_token_uri(text)

    assert (found.token, found.object, found.id) == ("swarm ca", "root", b"\x01\x02")
    assert (found.module_path, found.pin_file) == ("/lib/t.so", "/etc/pin")
    assert found.key_name == "pkcs11:token=swarm%20ca;object=root;id=%01%02"


def test_a_file_may_be_written_with_an_empty_host() -> None:
    assert parse_token_uri("pkcs11:serial=1;id=%01?pin-source=file:///etc/pin").pin_file == "/etc/pin"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "begins with pkcs11:"),
        ("PKCS11:token=a;object=b", "begins with pkcs11:"),
        ("pkcs11:", "NAME=VALUE"),
        ("pkcs11:token=a", "expected token=… .or serial=…. and object=…"),
        ("pkcs11:object=b", "expected token=…"),
        ("pkcs11:model=m;object=b", "expected token=…"),
        ("pkcs11:token=;object=b", "NAME=VALUE"),
        ("pkcs11:token=a;;object=b", "NAME=VALUE"),
        ("pkcs11:token=a;object=b;", "NAME=VALUE"),
        ("pkcs11:token=a;object=b?", "NAME=VALUE"),
        ("pkcs11:token=a;object=b;object=c", "once"),
        ("pkcs11:token=a;object=b;slot-id=1", "unknown attribute 'slot-id'"),
        ("pkcs11:token=a;object=b;x-vendor=1", "unknown attribute"),
        ("pkcs11:token=a;object=b;type=public", "type=private"),
        ("pkcs11:token=a b;object=c", "NAME=VALUE"),
        ("pkcs11:token=%2;object=c", "NAME=VALUE"),
        ("pkcs11:token=%zz;object=c", "NAME=VALUE"),
        ("pkcs11:token=%ff;object=c", "printable token"),
        ("pkcs11:token=%0a;object=c", "printable token"),
        ("pkcs11:token=a;object=b;id=" + "%00" * 65, "at most 64 bytes as id"),
        ("pkcs11:token=a;object=" + "b" * 256, "at most 255 bytes as object"),
        ("pkcs11:token=a;object=b?module-name=softhsm2", "unknown attribute 'module-name'"),
        ("pkcs11:token=a;object=b?module-path=t.so", "absolute path as module-path"),
        ("pkcs11:token=a;object=b?pin-source=/etc/pin", "pin-source=file:"),
        ("pkcs11:token=a;object=b?pin-source=file:pin", "absolute path as pin-source"),
        ("pkcs11:token=a;object=b?pin-source=%7Ccat%20/etc/pin", "pin-source=file:"),
        ("pkcs11:token=a;object=" + "b" * MAX_URI, "at most 2048 characters"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageProblem, match=said):
        parse_token_uri(text)


@pytest.mark.parametrize("text", ["pkcs11:token=a;object=b?pin-value=4711", "pkcs11:token=a;object=b;pin-value=4711"])
def test_a_pin_in_the_uri_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageProblem, match="no PIN in the URI") as raised:
        parse_token_uri(text)

    assert "4711" not in str(raised.value) + str(raised.value.hint)
    assert "pin-source=file:" in str(raised.value.hint)


@given(NAMES, NAMES, NAMES, st.binary(max_size=64))
def test_the_stored_form_names_the_same_key(token: str, serial: str, label: str, key_id: bytes) -> None:
    uri = TokenKeyUri(token=token, serial=serial, object=label, id=key_id)
    if not (token or serial) or not (label or key_id):
        return

    assert parse_token_uri(uri.key_name) == uri
    assert is_token_key(uri.key_name)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_token_uri(f"pkcs11:{text}")
    except UsageProblem:
        return
    assert parse_token_uri(found.key_name).key_name == found.key_name
