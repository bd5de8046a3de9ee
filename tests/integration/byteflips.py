"""Changes one byte of a file after another, and judges what the program makes of it; most are judged by SQLite alone.

Judging a home takes tens of milliseconds and opens it several times, so that every byte of even a small one would take
hours. What a judging asks SQLite, and what it is answered, is recorded once over the whole file: every statement with
its values, as SQLite's own trace has them. After a change the same statements are put to SQLite on one bare connection
under the same settings. If each is answered to the byte as before, then so would be everything that the judging sees of
the file: its first statement asks the same, is answered the same, and so asks the next one, and nothing but SQLite
reads the file. The change is harmless, as far as that judging goes, without asking the program. If any answer differs,
or SQLite refuses, the program itself judges. A sample of the changes that were answered as before is judged by the
program as well, and then held to the very answer of the whole file.

What a judging asks must not depend on chance, time or what it asked another time; it is recorded twice and held to
that. By the same reasoning the program is not asked again where SQLite answers as it did after an earlier change that
was found, and the program asked nothing else then: most changes of a write-ahead log make its last transaction go.
SQLite reads the file's header in ways that depend on how it is opened, so that a byte of the header is always judged.

Which pages of the database each statement reads is recorded too, by strace. A statement's answer follows from the pages
that it reads alone, so that a change in a page asks again only those that read it.
"""

from __future__ import annotations

import json
import marshal
import random
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.pool import Pool

from swarmsec.errors import IntegrityFailure
from swarmsec.storage.database import SQLITE_SETTINGS

HEADER: Final = 100
"""The header of a SQLite file."""
MASKS: Final = (0x01, 0x04, 0x20, 0x80, 0xFF)
"""One bit of a byte changed, or all of them."""
_READING: Final = ("SELECT", "PRAGMA")
_AROUND: Final = (*SQLITE_SETTINGS, "BEGIN", "COMMIT", "ROLLBACK", "PRAGMA read_uncommitted")
"""What surrounds the questions themselves; the replay has its own."""
Look = Callable[[], object]
Answer = bytes | str
"""To one statement: its rows, with their kinds, or SQLite's error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """One way to look at the home, and what it asks SQLite."""

    look: Look
    expected: object
    """What it finds while nothing is changed."""
    statements: tuple[str, ...]

    def wrong(self, *refusals: type[Exception]) -> object | None:
        """What it finds now, where that is neither a refusal of these kinds nor what it should be."""
        try:
            found = self.look()
        except refusals:
            return None
        except Exception as error:  # any other error is a finding
            return error
        return None if found == self.expected else found


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the changes."""

    tried: int = 0
    judged: int = 0
    """By the program, because SQLite answered something else."""
    repeated: int = 0
    """Answered by SQLite as after an earlier change that was found."""
    checked: int = 0
    """By the program, although SQLite answered as before."""
    wrong: list[str] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Take up what another process tried."""
        self.tried += other.tried
        self.judged += other.judged
        self.repeated += other.repeated
        self.checked += other.checked
        self.wrong += other.wrong


def _traced(look: Look) -> tuple[object, list[str]]:
    asked: list[str] = []

    def trace(connection: Any, record: object) -> None:
        connection.set_trace_callback(asked.append)

    event.listen(Pool, "connect", trace)
    try:
        found = look()
    finally:
        event.remove(Pool, "connect", trace)
    return found, [statement for statement in asked if statement not in _AROUND]


def replayed(database: Path, statements: Iterable[str]) -> dict[str, Answer]:
    """Put statements to SQLite, without the program, inside one transaction."""
    try:
        with closing(sqlite3.connect(database, isolation_level=None)) as connection:
            for setting in SQLITE_SETTINGS:
                connection.execute(setting)
            connection.execute("BEGIN")
            return {statement: _answer(connection, statement) for statement in statements}
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return dict.fromkeys(statements, str(error))


def _answer(connection: sqlite3.Connection, statement: str) -> Answer:
    try:
        # Version 2 writes equal rows alike, whoever shares what in memory; 1 and 1.0 are different.
        return marshal.dumps(connection.execute(statement).fetchall(), 2)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        return str(error)


def pages_read(database: Path, page_size: int, statements: Iterable[str]) -> dict[str, set[int]]:
    """The pages, from 0, that SQLite reads for each statement over a new connection."""
    calls = subprocess.run(
        ("strace", "-qq", "-y", "-s", "0", "-e", "trace=pread64,chdir", sys.executable, "-c", _EACH_APART, database),
        input=json.dumps({"settings": SQLITE_SETTINGS, "statements": list(statements)}),
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    ).stderr
    parts = calls.split("chdir(")[1:]
    read = re.compile(rf"pread64\(\d+<{re.escape(str(database))}>, .*, (\d+)\) = \d+")
    pages = [{int(offset) // page_size for offset in read.findall(part)} for part in parts]
    return dict(zip(statements, pages, strict=True))


_EACH_APART: Final = """
import json, os, sqlite3, sys
asked = json.load(sys.stdin)
for statement in asked["statements"]:
    os.chdir(".")
    connection = sqlite3.connect(sys.argv[1], isolation_level=None)
    for setting in asked["settings"]:
        connection.execute(setting)
    connection.execute(statement).fetchall()
    connection.close()
"""


class Flips:
    """Changes the bytes of one file in turn.

    Args:
        changed: the file, whole.
        database: the SQLite file that is read, with what lies beside it, whole.
        looks: the ways to look at it.
        check: one in so many of the changes that SQLite does not notice is judged all the same.
    """

    def __init__(self, changed: Path, database: Path, looks: Iterable[Look], check: int) -> None:
        self._changed = changed
        self._database = database
        self._check = check
        self._whole = {path: path.read_bytes() for path in {changed, database}}
        self._page_size = int.from_bytes(self._whole[database][16:18], "big")
        self._judgings = tuple(self._record(look) for look in looks)
        self._statements = dict.fromkeys(s for judging in self._judgings for s in judging.statements)
        self._pages = self._read_pages()
        self._answers = self._replay()
        self._found = set[bytes]()

    def sweep(self, offsets: Iterable[int]) -> Tally:
        """Change the byte at each offset, each time in the whole file."""
        tally = Tally()
        for offset in offsets:
            changed = self._whole[self._changed][offset] ^ random.choice(MASKS)
            asked = self._concerned(offset)
            with self._change(offset, changed):
                answers = self._answers | replayed(self._database, asked)
            self._try(offset, changed, answers, tally)
            tally.tried += 1
        assert self._replay() == self._answers
        return tally

    def _try(self, offset: int, changed: int, answers: dict[str, Answer], tally: Tally) -> None:
        noticed = self._noticed(offset, answers)
        key = sha256(marshal.dumps(list(answers.values()), 2)).digest()
        is_sampled = random.randrange(self._check) == 0
        if noticed and key in self._found and not is_sampled:
            tally.repeated += 1
        elif noticed:
            tally.judged += 1
            wrong, asked = self._judge(noticed, offset, changed, IntegrityFailure)
            tally.wrong += wrong
            if not wrong and asked <= self._statements.keys():
                self._found.add(key)
        elif is_sampled:
            tally.checked += 1
            tally.wrong += self._judge(self._judgings, offset, changed)[0]

    def _record(self, look: Look) -> Judging:
        """Look again and again, and hold it to the same questions and findings."""
        look()
        self._restore()
        expected, asked = _traced(look)
        self._restore()
        assert _traced(look) == (expected, asked)
        self._restore()
        assert all(statement.startswith(_READING) for statement in asked), asked
        return Judging(look=look, expected=expected, statements=tuple(dict.fromkeys(asked)))

    def _read_pages(self) -> dict[str, set[int]]:
        pages = pages_read(self._database, self._page_size, self._statements)
        self._restore()
        assert all(0 in read for read in pages.values())
        return pages

    def _concerned(self, offset: int) -> list[str]:
        """The statements whose answers may change with a byte."""
        if self._changed != self._database:
            return list(self._statements)
        page = offset // self._page_size
        return [statement for statement, read in self._pages.items() if page in read]

    def _replay(self) -> dict[str, Answer]:
        answers = replayed(self._database, self._statements)
        self._restore()
        return answers

    def _noticed(self, offset: int, answers: dict[str, Answer]) -> tuple[Judging, ...]:
        """The judgings that are answered otherwise after a change."""
        if self._changed == self._database and offset < HEADER:
            return self._judgings
        differing = {statement for statement in self._statements if answers[statement] != self._answers[statement]}
        return tuple(judging for judging in self._judgings if not differing.isdisjoint(judging.statements))

    def _judge(
        self, judgings: Iterable[Judging], offset: int, changed: int, *refusals: type[Exception]
    ) -> tuple[list[str], set[str]]:
        """What the program finds that it should not, and what it asked."""
        findings, asked = [], set[str]()
        for judging in judgings:
            with self._change(offset, changed):
                found, statements = _traced(partial(judging.wrong, *refusals))
            asked.update(statements)
            if found is not None:
                whole = self._whole[self._changed][offset]
                findings.append(f"{self._changed.name} byte {offset}, {whole:02x} to {changed:02x}: {found!r:.300}")
        return findings, asked

    @contextmanager
    def _change(self, offset: int, changed: int) -> Iterator[None]:
        with self._changed.open("r+b") as file:
            file.seek(offset)
            file.write(bytes([changed]))
        try:
            yield
        finally:
            self._restore()

    def _restore(self) -> None:
        """Put everything back as it was; looking at a damaged file may leave something beside it."""
        for path in self._database.parent.glob(f"{self._database.name}-*"):
            if path not in self._whole:
                path.unlink()
        for path, content in self._whole.items():
            path.write_bytes(content)
