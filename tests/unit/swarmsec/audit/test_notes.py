"""Notes and keys: the specification's own examples, the frozen vectors, and everything that is none."""

from __future__ import annotations

import base64

import pytest

from swarmsec.audit.errors import CheckpointInvalid, LogFormatInvalid
from swarmsec.audit.notes import MAX_NAME, MAX_SIGNATURES, KeyKind, VerifierKey, parse_note, parse_signatures
from tests.unit.swarmsec.audit.logs import LOG, WITNESSES

# C2SP signed-note, "Example".
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
LINE = (
    "\u2014 example.com/foo"
    " Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
NOTE = f"This is an example message.\n\n{LINE}".encode()


def test_the_example_of_the_specification_verifies() -> None:
    key, note = VerifierKey.parse(VKEY), parse_note(NOTE)
    (line,) = note.signatures_of(key)
    key.verify(note.text.encode(), line.signature)
    assert note.text == "This is an example message.\n"
    assert (str(key), bytes(note), str(line)) == (VKEY, NOTE, LINE)
    with pytest.raises(CheckpointInvalid, match=r"the signature of example.com/foo does not verify"):
        key.verify(note.text.encode() + b"x", line.signature)
    with pytest.raises(CheckpointInvalid, match="does not verify"):
        key.verify(note.text.encode(), line.signature[:-1])


def test_a_text_may_hold_empty_lines() -> None:
    note = parse_note(f"one\n\ntwo\n\n{LINE}".encode())
    assert note.text == "one\n\ntwo\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        LINE.encode(),
        b"\n" + LINE.encode(),
        b"text\n" + LINE.encode(),
        NOTE[:-1],
        NOTE + b"\n",
        NOTE + b"x",
        NOTE.replace(b"message", b"mess\rage"),
        NOTE.replace(b"message", b"mess\0age"),
        NOTE.replace(b"message", b"mess\xffage"),
        NOTE.replace("\u2014".encode(), b"-"),
        NOTE.replace(b"example.com/foo ", b"example.com/foo+ "),
        NOTE.replace(b"example.com/foo ", b"example.com/\xc2\xa0foo "),
        NOTE.replace(b"example.com/foo ", b" "),
        NOTE.replace(b"example.com/foo ", b"a" * (MAX_NAME + 1) + b" "),
        NOTE.replace(b"yaQM=", b"yaQM"),
        NOTE.replace(b"yaQM=", b"yaQN="),
        NOTE.replace(b"Uw2Q", b"Uw2Q\n"),
        "text\n\n\u2014 a AAAAAA==\n".encode(),
        b"text\n\n" + LINE.encode() * (MAX_SIGNATURES + 1),
        b"x" * 70_000 + b"\n\n" + LINE.encode(),
    ],
)
def test_what_is_no_note_is_refused(data: bytes) -> None:
    with pytest.raises(LogFormatInvalid, match="expected"):
        parse_note(data)


def test_sixteen_signatures_and_more_are_taken() -> None:
    assert len(parse_note(b"text\n\n" + LINE.encode() * MAX_SIGNATURES).signatures) == MAX_SIGNATURES
    assert len(parse_signatures(LINE)) == 1


def encoded(material: bytes) -> str:
    return base64.b64encode(material).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        VKEY.replace("530d903a", "530d903b"),
        VKEY.replace("530d903a", "530D903A"),
        VKEY.replace("foo", "fop"),
        VKEY.replace("foo", "f o"),
        VKEY.replace("foo", "f\no"),
        VKEY + "\n",
        VKEY.replace("U2k", "U2l="),
        f"a+00000000+{encoded(bytes([6]) + bytes(1312))}",
        f"a+00000000+{encoded(bytes([1]) + bytes(31))}",
        f"a+00000000+{encoded(b'')}",
        f"a+00000000+{'A' * 9000}",
    ],
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(LogFormatInvalid, match="expected"):
        VerifierKey.parse(text)


def test_kinds_have_ids_of_their_own() -> None:
    key = WITNESSES[0].key
    other = VerifierKey(name=key.name, kind=KeyKind.LOG, public_key=key.public_key)
    assert key.key_id != other.key_id
    assert VerifierKey.parse(str(LOG.key)) == LOG.key
