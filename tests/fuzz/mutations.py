"""Mutations of bytes that know nothing of any format, drawn from a seeded generator.

What breaks parsers is much the same everywhere: bits and lengths at their edges, pieces of other inputs, numbers too
large for a word, nesting too deep for a stack, and text that is not quite text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

MAX_INPUT = 16_384
"""Bytes of a mutated input; limits of the parsers above that are met by ``_extreme_length`` through ``MAX_EXTREME``."""
MAX_EXTREME = 300_000
_SMALL_PIECE = 64

ODDITIES: tuple[bytes, ...] = (
    b"\x00",
    b"\x1b[2J",
    b"\r\n",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\\ud800",
    b"\\u0000",
    b"\\x1b",
    b"%00",
    b"%ff",
    b"%2e%2e",
    "é".encode(),
    "\u0130".encode(),
    "\u202e".encode(),
    "\u2028".encode(),
    "\ufeff".encode(),
    "\u0661\u0662".encode(),
    "\uff11".encode(),
    "\u1e9e".encode(),
    "\U0001f512".encode(),
    "a\u0301".encode(),
)
NUMBERS: tuple[bytes, ...] = (
    b"0",
    b"-0",
    b"-1",
    b"1e999",
    b"1.0",
    b"01",
    b"0x10",
    b"1_0",
    b"127",
    b"256",
    b"65535",
    b"65536",
    b"2147483648",
    b"9007199254740993",
    b"18446744073709551616",
    b"9" * 5000,
    b"NaN",
    b"Infinity",
    b"true",
    b"null",
)
_NESTS: tuple[tuple[bytes, bytes], ...] = (
    (b"[", b"]"),
    (b'{"a":', b"}"),
    (b"- ", b""),
    (b"? ", b""),
    (b"(", b")"),
    (b"a.", b""),
    (b"../", b""),
    (b"\x30\x80", b"\x00\x00"),
)
_INTERESTING = bytes((0x00, 0x01, 0x7F, 0x80, 0x81, 0x84, 0xFF, 0x0A, 0x0D, 0x20, 0x22, 0x25, 0x2D, 0x2F, 0x3A, 0x5C))
_NUMBER = re.compile(rb"[0-9]+")
_WORD = re.compile(rb"[A-Za-z0-9_.-]+")

Mutation = Callable[[Random, bytes, Sequence[bytes]], bytes]


def mutate(random: Random, data: bytes, pieces: Sequence[bytes]) -> bytes:
    """Change an input in one to six ways.

    Args:
        random: decides everything.
        data: the input to begin with.
        pieces: other inputs and the words of the format, to splice in.
    """
    for _ in range(min(6, 1 + int(random.expovariate(0.9)))):
        data = random.choice(_MUTATIONS)(random, data, pieces)[:MAX_INPUT]
    return _extreme_length(random, data) if random.random() < 0.01 else data


def _flip_bit(random: Random, data: bytes, pieces: Sequence[bytes]) -> bytes:
    if not data:
        return b"\x00"
    position = random.randrange(len(data))
    return data[:position] + bytes((data[position] ^ 1 << random.randrange(8),)) + data[position + 1 :]


def _set_byte(random: Random, data: bytes, pieces: Sequence[bytes]) -> bytes:
    position = random.randint(0, len(data))
    return data[:position] + bytes((random.choice(_INTERESTING),)) + data[position + 1 :]


def _insert_oddity(random: Random, data: bytes, pieces: Sequence[bytes]) -> bytes:
    position = random.randint(0, len(data))
    return data[:position] + random.choice(ODDITIES) + data[position:]


def _delete(random: Random, data: bytes, pieces: Sequence[bytes]) -> bytes:
    start, end = _range(random, data)
    return data[:start] + data[end:]


def _repeat(random: Random, data: bytes, pieces: Sequence[bytes]) -> bytes:
    start, end = _range(random, data)
    return data[:end] + data[start:end] * random.choice((1, 2, 15, 100)) + data[end:]


def _truncate(random: Random, data: bytes, pieces: Sequence[bytes]) -> bytes:
    return data[: random.randint(0, len(data))]


def _insert_piece(random: Random, data: bytes, pieces: Sequence[bytes]) -> bytes:
    position = random.randint(0, len(data))
    return data[:position] + random.choice(pieces) + data[position + random.choice((0, 0, 1, 4)) :]


def _splice(random: Random, data: bytes, pieces: Sequence[bytes]) -> bytes:
    other = random.choice(pieces)
    return data[: random.randint(0, len(data))] + other[random.randint(0, len(other)) :]


def _change_number(random: Random, data: bytes, pieces: Sequence[bytes]) -> bytes:
    return _replace(random, data, _NUMBER, random.choice(NUMBERS))


def _change_word(random: Random, data: bytes, pieces: Sequence[bytes]) -> bytes:
    return _replace(random, data, _WORD, random.choice((*pieces, *NUMBERS, *ODDITIES, b"")))


def _swap_case(random: Random, data: bytes, pieces: Sequence[bytes]) -> bytes:
    start, end = _range(random, data)
    return data[:start] + data[start:end].swapcase() + data[end:]


def _nest(random: Random, data: bytes, pieces: Sequence[bytes]) -> bytes:
    opening, closing = random.choice(_NESTS)
    depth = random.choice((1, 8, 64, 2500))
    start, end = _range(random, data)
    return data[:start] + opening * depth + data[start:end] + closing * random.choice((0, depth)) + data[end:]


def _extreme_length(random: Random, data: bytes) -> bytes:
    """Repeat a small part until the input is as long as no parser should accept."""
    start, end = _range(random, data)
    part = data[start:end][:_SMALL_PIECE] or b"a"
    return data[:start] + part * (random.choice((70_000, MAX_EXTREME)) // len(part)) + data[end:]


def _range(random: Random, data: bytes) -> tuple[int, int]:
    start = random.randint(0, len(data))
    return start, min(len(data), start + int(random.expovariate(1 / 12)))


def _replace(random: Random, data: bytes, pattern: re.Pattern[bytes], new: bytes) -> bytes:
    places = [found.span() for found in pattern.finditer(data)]
    if not places:
        return data + new
    start, end = random.choice(places)
    return data[:start] + new + data[end:]


_MUTATIONS: tuple[Mutation, ...] = (
    _flip_bit,
    _set_byte,
    _insert_oddity,
    _delete,
    _repeat,
    _truncate,
    _insert_piece,
    _insert_piece,
    _splice,
    _change_number,
    _change_word,
    _change_word,
    _swap_case,
    _nest,
)
