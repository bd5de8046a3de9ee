"""Targets of what comes back from disk: settings, log entries, anchors, sealed records, seals and key files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from swarmsec.audit.actions import Action, Outcome
from swarmsec.audit.canonical import encode_canonical, parse_canonical
from swarmsec.audit.entry import (
    GENESIS,
    MAX_ENTRY_BYTES,
    Actor,
    Event,
    ObjectRef,
    Place,
    RowChange,
    encode_entry,
    parse_entry,
)
from swarmsec.audit.errors import EntryInvalid
from swarmsec.config import parse_config
from swarmsec.errors import IntegrityFailure, UsageProblem
from swarmsec.keys.errors import WrongUnlock
from swarmsec.keys.sealfile import PREFIX, read_seal_file
from swarmsec.keys.seals import new_params, seal_key, unwrap_root, wrap_root
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.envelope import KEY_BYTES, RecordContext, SealedRecord, TermKey, open_record, seal, term_of
from swarmsec.secretstore.errors import RecordUnreadable
from swarmsec.storage.anchor import AnchorFile
from swarmsec.storage.database import open_engine, parse_url
from tests.fuzz.engine import CheckFailed, Target
from tests.fuzz.material import PASSWORD, SECRET_HEX, text_of

STORE_ID = "0190b0a0-0000-7000-8000-000000000001"
_SECRET = bytes.fromhex(SECRET_HEX)
_TERM = TermKey(term=3, key=SecretBytes(_SECRET))
_CONTEXT = RecordContext(store_id=STORE_ID, name="ca/root", version=1, created=1_770_000_000)
_WRAPPED_BYTES = 98


def _counting(count: int) -> bytes:
    """Stands for randomness in seeds."""
    return bytes(index % 251 for index in range(count))


def _config(data: bytes) -> None:
    config = parse_config(data, source="swarmsec.toml")
    if not 1 <= config.serve.max_connections <= 65_536 or len(config.storage.url) > 1024:
        raise CheckFailed("expected settings within their bounds")


def _database_url(data: bytes) -> None:
    url = parse_url(text_of(data), Path("/nonexistent"))
    open_engine(url).dispose()
    if f":{PASSWORD}@" in f"{url} {url!r}":
        raise CheckFailed("expected no password in the URL as it is shown")


def _canonical(data: bytes) -> None:
    if encode_canonical(parse_canonical(data)) != data:
        raise CheckFailed("expected one form for one value")


def _entry(data: bytes) -> None:
    entry = parse_entry(data)
    if encode_canonical(entry) != data or len(data) > MAX_ENTRY_BYTES or type(entry["seq"]) is not int:
        raise CheckFailed("expected an entry that stands for its bytes")


def _in_file(read: Callable[[Path], object]) -> Callable[[bytes], None]:
    """Run a reader on a private file that holds the input."""

    def run(data: bytes) -> None:
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            read(Path(file.name))

    return run


def _anchor(path: Path) -> None:
    anchor = AnchorFile(path, STORE_ID)
    head, _ = anchor.read(), anchor.read_checkpoint()
    if head is None or head.size < 0 or len(head.last_hash) != 32:
        raise CheckFailed("expected a head")


def _anchor_with_check(data: bytes) -> bytes:
    """Members of an anchor, with the check that makes them whole where they are JSON."""
    try:
        members = json.loads(data)
    except (ValueError, RecursionError):
        return data
    if not isinstance(members, dict):
        return data
    check = sha256(json.dumps(members, sort_keys=True).encode()).hexdigest()
    return json.dumps({**members, "check": check}).encode()


def _run_anchor(data: bytes) -> None:
    _in_file(_anchor)(_anchor_with_check(data) if data.startswith(b"{") else data[1:])


def _seal_file(path: Path) -> None:
    key = read_seal_file(path)
    if len(key) != KEY_BYTES or path.read_bytes().removesuffix(b"\n") != PREFIX + key.reveal().hex().encode():
        raise CheckFailed("expected one text for one key")


def _record(data: bytes) -> None:
    record = SealedRecord(wrapped_key=data[:_WRAPPED_BYTES], body=data[_WRAPPED_BYTES:])
    if open_record(_TERM, _CONTEXT, record).reveal() != _SECRET or record != _SEALED:
        raise CheckFailed("expected no altered record to open")


def _term(data: bytes) -> None:
    if not 0 <= term_of(data) < 1 << 32:
        raise CheckFailed("expected a term of 32 bits")


def _wrapped_root(data: bytes) -> None:
    if unwrap_root(SecretBytes(_SECRET), data, b"context").reveal() != _SECRET or data != _WRAPPED_ROOT:
        raise CheckFailed("expected no altered seal to open")


def _seal_params(data: bytes) -> None:
    kind, _, params = text_of(data).partition("\n")
    if not _is_costly(params):
        seal_key(kind, params, SecretBytes(PASSWORD.encode()))


def _is_costly(params: str) -> bool:
    """Costs within the bounds are honest work, and too much of it for a test."""
    try:
        members = json.loads(params)
        return bool(members["kib"] * members["passes"] > 1024 and members["kib"] <= 2_097_152)
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


_SEALED = seal(_TERM, _CONTEXT, _SECRET, _counting)
_WRAPPED_ROOT = wrap_root(SecretBytes(_SECRET), SecretBytes(_SECRET), b"context", _counting)
_ENTRY = encode_entry(
    Event(
        action=Action.CA_ISSUE,
        outcome=Outcome.SUCCESS,
        object=ObjectRef(type="certificate", id="1", version=2),
        actor=Actor(type="local", id="uid:0"),
        reason="é",
        fields={"hosts": ["a", "b"], "renewed": True},
    ),
    Place(seq=7, id=STORE_ID, time="2026-05-04T10:20:30.000Z", mono=1, prev=GENESIS),
    [RowChange(table="certificates", key="1", digest="00" * 32)],
)
_FORMER_ANCHOR = {"format": 1, "store_id": STORE_ID, "size": 7, "leaf_hash": "00" * 32}
_ANCHOR = json.dumps({**_FORMER_ANCHOR, "format": 2, "checkpoint": "a\n7\n"}).encode()
_CHEAP = new_params("passphrase", _counting).replace("262144", "32").replace('"passes":3', '"passes":1')
JSON_WORDS = (b'"', b"{}", b"[]", b",", b":", b'{"a":1}', b'"\\ud800"', b"1e3", b"-0", b"true", b"null", b" ")

TARGETS = (
    Target(
        name="config",
        run=_config,
        seeds=(
            b'format = 1\n[storage]\nurl = "postgresql://swarmsec:%b@db.example/swarmsec"\n' % PASSWORD.encode(),
            b'format = 1\n[serve]\nlisten = "[::]:8443"\nnames = ["a", "b"]\nmax_connections = 10\n[ca]\n',
            # A password where another kind of value belongs, or in a text that is too long, was repeated.
            b'format = 1\n[storage]\nurl = ["%b"]\n' % PASSWORD.encode(),
            b'format = 1\n[storage]\nurl = "%b%b"\n' % (PASSWORD.encode(), b"a" * 2000),
            # More digits than Python converts.
            b"format = 1\n[ca]\ncertificate_hours = " + b"9" * 5000,
            b'format = 1\n["\\u001b[2J"]\n',
            b'format = 1\n[seal]\npath = "a\\u0000b"\n',
        ),
        allowed=(UsageProblem,),
        covers=("swarmsec.config.parse_config", "swarmsec.config.load_config"),
        words=(
            b"[serve]\n",
            b"[ca]\n",
            b"names = [",
            b"'''",
            b'"""',
            b"= 1979-05-27T07:32:00Z\n",
            b"= 0xff\n",
            b"a.b = 1\n",
        ),
        secrets=(PASSWORD,),
    ),
    Target(
        name="database-url",
        run=_database_url,
        seeds=(
            b"sqlite:///state.db",
            b"postgresql://swarmsec:%b@db.example:5432/swarmsec?sslmode=verify-full" % PASSWORD.encode(),
            # Not a number of a port.
            b"postgresql://swarmsec:%b@db.example:http/swarmsec" % PASSWORD.encode(),
        ),
        allowed=(UsageProblem,),
        covers=("swarmsec.storage.database.parse_url", "swarmsec.storage.database.open_engine"),
        words=(b"://", b"@", b":", b"?", b"&", b"mysql://", b"+psycopg", b"+asyncpg", b":memory:", b"[::1]", b"%40"),
        secrets=(PASSWORD,),
    ),
    Target(
        name="canonical",
        run=_canonical,
        seeds=(_ENTRY, b'{"a":[1,true,"\xc3\xa9"],"b":{}}'),
        allowed=(ValueError,),
        covers=("swarmsec.audit.canonical.parse_canonical",),
        words=JSON_WORDS,
    ),
    Target(
        name="entry",
        run=_entry,
        seeds=(
            _ENTRY,
            # A boolean is an integer to Python.
            _ENTRY.replace(b'"v":1', b'"v":true'),
            _ENTRY.replace(b'"seq":7', b'"seq":true'),
            b'{"v":"' + b"a" * 60_000 + b'"}',
        ),
        allowed=(EntryInvalid,),
        covers=("swarmsec.audit.entry.parse_entry",),
        words=JSON_WORDS,
    ),
    Target(
        name="anchor",
        run=_run_anchor,
        seeds=(_ANCHOR, json.dumps(_FORMER_ANCHOR).encode(), b" " + _anchor_with_check(_ANCHOR)),
        allowed=(IntegrityFailure,),
        covers=("swarmsec.storage.anchor.AnchorFile.read",),
        words=JSON_WORDS,
    ),
    Target(
        name="sealed-record",
        run=_record,
        seeds=(_SEALED.wrapped_key + _SEALED.body,),
        allowed=(RecordUnreadable,),
        covers=("swarmsec.secretstore.envelope.open_record",),
        words=(b"\x01\x01",),
        secrets=(SECRET_HEX,),
    ),
    Target(
        name="term",
        run=_term,
        seeds=(_SEALED.wrapped_key,),
        allowed=(RecordUnreadable,),
        covers=("swarmsec.secretstore.envelope.term_of",),
    ),
    Target(
        name="wrapped-root",
        run=_wrapped_root,
        seeds=(_WRAPPED_ROOT,),
        allowed=(WrongUnlock,),
        covers=("swarmsec.keys.seals.unwrap_root",),
        secrets=(SECRET_HEX,),
    ),
    Target(
        name="seal-params",
        run=_seal_params,
        seeds=(
            b"passphrase\n" + _CHEAP.encode(),
            b"file\n" + new_params("file", _counting).encode(),
            b"passphrase\n" + _CHEAP.replace('"kib":32', '"kib":2097153').encode(),
        ),
        allowed=(IntegrityFailure,),
        covers=("swarmsec.keys.seals.seal_key",),
        words=(*JSON_WORDS, b'"kib":', b'"lanes":', b'"passes":', b'"salt":""'),
        secrets=(PASSWORD,),
    ),
    Target(
        name="seal-file",
        run=_in_file(_seal_file),
        seeds=(PREFIX + SECRET_HEX.encode() + b"\n", PREFIX + SECRET_HEX[:-1].encode() + b" \n"),
        allowed=(UsageProblem,),
        covers=("swarmsec.keys.sealfile.read_seal_file",),
        words=(PREFIX, b"\n"),
        secrets=(SECRET_HEX,),
    ),
)
