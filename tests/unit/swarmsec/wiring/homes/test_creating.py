"""Making a home: what a fresh one has, and how an interrupted or a second making ends."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from swarmsec.config import FILE_NAME
from swarmsec.errors import AlreadyExists, IntegrityFailure, NotFound, Unavailable, UsageProblem
from swarmsec.keys.errors import WrongUnlock
from swarmsec.keys.recovery import new_recovery_key, parse_recovery_key
from swarmsec.keys.sealfile import create_seal_file, read_seal_file
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.ca.init_authority import init_authority
from swarmsec.services.records import KeyKind
from swarmsec.storage.checking import verify_store
from swarmsec.wiring.homes.creating import (
    RECOVERY_RECIPIENT,
    NewHome,
    create_home,
    home_exists,
    recovery_to_finish,
    write_recovery_file,
)
from swarmsec.wiring.homes.home import Home, open_home, refuse_to_ask
from tests.unit.swarmsec.homes import OPERATOR, private_files


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    with private_files():
        yield


def made(path: Path, recovery_out: Path | None = None) -> Home:
    return create_home(NewHome(path=path, recovery_out=recovery_out), refuse_to_ask, OPERATOR).home


def begun(path: Path, text: str = "format = 1\n") -> Path:
    """A home whose making was interrupted right after its first step."""
    path.mkdir(mode=0o700)
    (path / FILE_NAME).write_text(text)
    return path


def test_a_new_home_is_private_whole_and_without_findings(tmp_path: Path) -> None:
    home = made(tmp_path / "deep" / "home", tmp_path / "recovery.key")
    assert home.findings == []
    verify_store(home.store)
    home.close()
    for path in [*(tmp_path / "deep").rglob("*"), *(tmp_path / "state").rglob("*"), tmp_path / "recovery.key"]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    again = open_home(tmp_path / "deep" / "home")
    assert again.findings == []
    recovery = parse_recovery_key((tmp_path / "recovery.key").read_bytes())
    assert again.store.read(lambda transaction: transaction.settings.get(RECOVERY_RECIPIENT)) == recovery.recipient
    again.close()


def test_a_home_is_made_once(tmp_path: Path) -> None:
    made(tmp_path / "home").close()
    assert home_exists(tmp_path / "home")
    with pytest.raises(AlreadyExists, match="there is a home at"):
        made(tmp_path / "home")


def test_a_directory_with_something_else_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageProblem, match="empty directory"):
        made(tmp_path / "home")
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["thesis.txt"]


def test_a_home_whose_making_was_interrupted_is_none_yet_and_finished_by_the_next(tmp_path: Path) -> None:
    path = begun(tmp_path / "home")
    assert not home_exists(path)
    with pytest.raises(NotFound, match="never finished"):
        open_home(path)
    made(path).close()
    assert home_exists(path)


def test_a_recovery_file_of_an_interrupted_making_is_taken_up_and_another_file_is_not_replaced(tmp_path: Path) -> None:
    out = tmp_path / "recovery.key"
    write_recovery_file(out, new_recovery_key())
    text = out.read_bytes()
    with pytest.raises(AlreadyExists):
        made(tmp_path / "fresh", out)
    home = made(begun(tmp_path / "home"), out)
    assert out.read_bytes() == text
    known = home.store.read(lambda transaction: transaction.settings.get(RECOVERY_RECIPIENT))
    assert known == parse_recovery_key(text).recipient
    home.close()


def test_the_recovery_key_that_was_never_shown_is_made_again_until_there_is_an_authority(tmp_path: Path) -> None:
    home = made(tmp_path / "home", tmp_path / "recovery.key")
    assert recovery_to_finish(home, None) is not None
    assert recovery_to_finish(home, tmp_path / "recovery.key") is None
    write_recovery_file(tmp_path / "other.key", new_recovery_key())
    with pytest.raises(AlreadyExists, match=r"other\.key"):
        recovery_to_finish(home, tmp_path / "other.key")
    keys = home.keys()
    home.store.write(
        lambda transaction: init_authority(transaction, keys, OPERATOR, cluster_id=None, key_kind=KeyKind.P256)
    )
    assert recovery_to_finish(home, tmp_path / "new.key") is None
    assert not (tmp_path / "new.key").exists()
    home.close()


def test_a_key_file_that_the_settings_name_is_made_or_used_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "elsewhere" / "seal.key"
    create_seal_file(path, SecretBytes(bytes(range(32))))
    made(begun(tmp_path / "home", f'format = 1\n[seal]\npath = "{path}"\n')).close()
    assert read_seal_file(path).reveal() == bytes(range(32))
    home = open_home(tmp_path / "home")
    home.keys()
    home.close()


def test_a_passphrase_is_long_enough_and_opens_the_home_again(tmp_path: Path) -> None:
    wanted = NewHome(path=tmp_path / "home", seal="passphrase")
    with pytest.raises(UsageProblem, match="at least 12 bytes, got 5"):
        create_home(wanted, lambda prompt: SecretBytes(b"short"), OPERATOR)
    create_home(wanted, lambda prompt: SecretBytes(b"long enough, surely"), OPERATOR).home.close()
    home = open_home(tmp_path / "home")
    assert home.needs_passphrase()
    size = home.store.head().size
    with pytest.raises(WrongUnlock):
        home.keys(lambda prompt: SecretBytes(b"another, longer one"))
    assert home.store.head().size == size + 1
    home.keys(lambda prompt: SecretBytes(b"long enough, surely"))
    home.close()


def test_a_seal_key_of_another_home_opens_nothing(tmp_path: Path) -> None:
    made(tmp_path / "one").close()
    made(tmp_path / "two").close()
    first, second = sorted((tmp_path / "state").glob("*/seal-*.key"))
    second.write_bytes(first.read_bytes())
    refused = 0
    for name in ("one", "two"):
        home = open_home(tmp_path / name)
        try:
            home.keys()
        except WrongUnlock:
            refused += 1
        home.close()
    assert refused == 1


def test_a_home_that_others_may_read_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "home").close()
    (tmp_path / "home" / "state.db").chmod(0o640)
    with pytest.raises(UsageProblem, match="got mode 0640"):
        open_home(tmp_path / "home")


def test_a_home_where_a_file_is_in_the_way_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises((Unavailable, UsageProblem, NotFound)):
        made(tmp_path / "file" / "home")
    with pytest.raises((Unavailable, UsageProblem, NotFound)):
        made(tmp_path / "file")


def test_a_place_that_cannot_be_looked_into_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("swarmsec.config.open_to_read", refuse)
    with pytest.raises(Unavailable, match="Permission denied"):
        home_exists(tmp_path / "home")


@pytest.mark.parametrize("content", [b"", b"not a database at all, but long enough to be one" * 40, b"\0" * 4096])
def test_a_file_that_is_no_database_of_ours_is_no_home(tmp_path: Path, content: bytes) -> None:
    path = begun(tmp_path / "home")
    (path / "state.db").write_bytes(content)
    (path / "state.db").chmod(0o600)
    with pytest.raises((IntegrityFailure, NotFound)):
        open_home(path)
