"""The files of an identity: private, complete or absent, and never over somebody's else."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from swarmsec.errors import AlreadyExists, Unavailable
from swarmsec.wiring.nodes.identityfiles import IdentityFiles, kept_room, prepare_directory, write_identity

FILES = IdentityFiles(certificate=b"certificate", key=b"private", root=b"root")


def test_the_directory_is_made_with_its_parents(tmp_path: Path) -> None:
    prepare_directory(tmp_path / "a" / "b")
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_the_files_are_written_with_their_modes(tmp_path: Path) -> None:
    prepare_directory(tmp_path)
    write_identity(tmp_path, FILES)
    found = {path.name: (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) for path in tmp_path.iterdir()}
    assert found == {
        "root-ca.crt": (b"root", 0o644),
        "swarmsec.key": (b"private", 0o600),
        "swarmsec.crt": (b"certificate", 0o644),
    }


def test_the_key_is_not_in_a_repr() -> None:
    assert "private" not in repr(FILES)


@pytest.mark.parametrize("name", ["root-ca.crt", "swarmsec.key", "swarmsec.crt"])
def test_a_file_that_appears_meanwhile_stays_and_no_other_is_left(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(AlreadyExists):
        prepare_directory(tmp_path)
    with pytest.raises(AlreadyExists):
        write_identity(tmp_path, FILES)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [(name, b"mine")]


def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "swarmsec.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AlreadyExists):
        prepare_directory(tmp_path)
    with pytest.raises(AlreadyExists):
        write_identity(tmp_path, FILES)
    assert not (tmp_path / "elsewhere").exists()


def test_a_place_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match="could not be made"):
        prepare_directory(tmp_path / "file" / "below")
    with pytest.raises(Unavailable, match="could not be written"):
        write_identity(tmp_path / "absent", FILES)


def test_room_is_kept_while_it_is_needed_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[int] = []
    monkeypatch.setattr("os.posix_fallocate", lambda file, offset, size: taken.append(file))
    with kept_room(tmp_path):
        (room,) = taken
        assert os.fstat(room).st_nlink == 0
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(room)


def test_room_is_given_back_whatever_happens(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(KeyError), kept_room(tmp_path):
        raise KeyError
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_no_room_is_a_refusal_that_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(Unavailable, match="No space left"), kept_room(tmp_path):
        pytest.fail("nothing is issued without room")
    assert list(tmp_path.iterdir()) == []
