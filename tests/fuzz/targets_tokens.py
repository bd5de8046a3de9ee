"""Targets on the way to a key in a PKCS#11 token: its URI, from an argument or the store, and the file of its PIN."""

from __future__ import annotations

import tempfile
from pathlib import Path

from swarmsec.errors import IntegrityFailure, UsageProblem
from swarmsec.keys.tokenaccess import MAX_PIN_BYTES, read_pin
from swarmsec.keys.tokenuri import parse_token_uri
from swarmsec.services.ca.token_roots import ACTION, parse_plan
from swarmsec.services.records import Intent
from tests.fuzz.engine import CheckFailed, Target
from tests.fuzz.material import text_of

_PIN = "47114711"
_URI = b"pkcs11:token=swarm%20ca;object=root;id=%01%02?module-path=/lib/t.so&pin-source=file:/etc/pin"


def _uri(data: bytes) -> None:
    """A PIN is never repeated; what was read names the same key when it is read back, and no module."""
    try:
        found = parse_token_uri(text_of(data))
    except UsageProblem as error:
        if _PIN in f"{error} {error.hint}":
            raise CheckFailed("expected no PIN in the error") from None
        raise
    again = parse_token_uri(found.key_name)
    if again.key_name != found.key_name or again.module_path or again.pin_file:
        raise CheckFailed("expected one name of one key")


def _pin(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "pin"
        path.write_bytes(data)
        path.chmod(0o600)
        pin = read_pin(str(path)).reveal()
    if not 1 <= len(pin) <= MAX_PIN_BYTES or b"\n" in pin or data.removesuffix(b"\n") != pin:
        raise CheckFailed("expected the one line of the file")


def _plan(data: bytes) -> None:
    plan = parse_plan(Intent(request_id="r", action=ACTION, started=1, data=text_of(data)))
    if not isinstance(plan.key_name, str):
        raise CheckFailed("expected a text")


TARGETS = (
    Target(
        name="token-uri",
        run=_uri,
        seeds=(_URI, b"pkcs11:serial=1;id=%01", b"pkcs11:token=a;object=b?pin-value=" + _PIN.encode()),
        allowed=(UsageProblem,),
        covers=("swarmsec.keys.tokenuri.parse_token_uri",),
        words=(
            b"pkcs11:",
            b";",
            b"&",
            b"?",
            b"=",
            b"%",
            b"%00",
            b"token=",
            b"object=",
            b"id=",
            b"pin-value=",
            b"file:",
        ),
    ),
    Target(
        name="token-pin-file",
        run=_pin,
        seeds=(b"4711", b"4711\n", b"9" * MAX_PIN_BYTES),
        allowed=(UsageProblem,),
        covers=("swarmsec.keys.tokenaccess.read_pin",),
        words=(b"\n", b"\0"),
        is_slow=True,
    ),
    Target(
        name="token-key-plan",
        run=_plan,
        seeds=(b'{"key_name":"pkcs11:token=a;object=b"}', b'{"key_name":1}', b"[" * 100_000),
        allowed=(IntegrityFailure,),
        covers=("swarmsec.services.ca.token_roots.parse_plan",),
        words=(b'"key_name"', b"{", b"}", b":", b","),
    ),
)
