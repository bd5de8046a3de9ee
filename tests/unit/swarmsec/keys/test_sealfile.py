"""The seal key file: its owner's alone, never replaced, and nothing else is taken for one."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from swarmsec.errors import UsageProblem
from swarmsec.keys.errors import KeysLocked
from swarmsec.keys.sealfile import create_seal_file, read_seal_file
from swarmsec.secretbytes import SecretBytes

KEY = SecretBytes(bytes(range(32)))
LINE = b"SWARMSEC-SEAL-1-" + bytes(range(32)).hex().encode() + b"\n"


def test_a_key_file_is_written_as_documented_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "seal.key"
    create_seal_file(path, KEY)
    assert path.read_bytes() == LINE
    assert read_seal_file(path) == KEY
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, path.parent, path.parent.parent)] == [
        0o600,
        0o700,
        0o700,
    ]
    assert [each.name for each in path.parent.iterdir()] == ["seal.key"]


def test_an_existing_key_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "seal.key"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        create_seal_file(path, KEY)
    assert path.read_bytes() == b"mine"
    assert [each.name for each in tmp_path.iterdir()] == ["seal.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o666, 0o777])
def test_a_key_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "seal.key"
    create_seal_file(path, KEY)
    path.chmod(mode)
    with pytest.raises(UsageProblem, match=f"got mode {mode:04o}") as caught:
        read_seal_file(path)
    assert caught.value.hint == f"chmod 600 {path}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"SWARMSEC-SEAL-1-",
        LINE[:-3] + b"\n",
        LINE.replace(b"SEAL-1-", b"SEAL-2-"),
        LINE.strip() + b"00\n",
        LINE.replace(b"00", b"zz"),
        LINE.replace(b"00", b"\xff\xff"),
        LINE[16:],
        LINE * 100,
    ],
)
def test_what_is_no_key_file_is_refused_without_being_shown(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "seal.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(UsageProblem, match="expected a seal key file") as caught:
        read_seal_file(path)
    assert "0102030405" not in str(caught.value)


def test_a_missing_key_file_or_a_directory_is_a_lock(tmp_path: Path) -> None:
    with pytest.raises(KeysLocked, match="No such file"):
        read_seal_file(tmp_path / "missing")
    with pytest.raises((KeysLocked, UsageProblem)):
        read_seal_file(tmp_path)


def test_a_pipe_in_its_place_does_not_hang(tmp_path: Path) -> None:
    path = tmp_path / "seal.key"
    os.mkfifo(path, 0o600)
    with pytest.raises((KeysLocked, UsageProblem)):
        read_seal_file(path)
