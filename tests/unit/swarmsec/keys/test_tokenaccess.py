"""What may be loaded, what a PIN file is, and that no PIN is shown twice."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from swarmsec.errors import KeyUnavailable, UsageProblem
from swarmsec.keys.errors import WrongUnlock
from swarmsec.keys.tokenaccess import PinDesk, TokenAccess, pkcs11_binding, read_pin, verify_module
from swarmsec.keys.tokens import Tokens
from swarmsec.keys.tokenuri import parse_token_uri

KEY = parse_token_uri("pkcs11:token=a;object=b?module-path=/tmp/evil.so&pin-source=file:/tmp/pin")


def pin_file(directory: Path, content: bytes, mode: int = 0o600) -> str:
    path = directory / "pin"
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize("content", [b"4711", b"4711\n"])
def test_a_pin_is_one_line(content: bytes, tmp_path: Path) -> None:
    assert read_pin(pin_file(tmp_path, content)).reveal() == b"4711"


@pytest.mark.parametrize("content", [b"", b"\n", b"1\n2", b"1\n\n", b"9" * 256])
def test_what_is_no_pin_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="one line with a PIN"):
        read_pin(pin_file(tmp_path, content))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_pin_that_others_may_read_is_refused(mode: int, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="of its owner alone"):
        read_pin(pin_file(tmp_path, b"4711", mode))


def test_a_missing_pin_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailable, match="could not be read"):
        read_pin(str(tmp_path / "none"))
    with pytest.raises(UsageProblem, match=r"pin_file in swarmsec\.toml"):
        read_pin("")


def test_a_module_that_others_can_change_is_not_loaded(tmp_path: Path) -> None:
    module = tmp_path / "token.so"
    module.write_bytes(b"")
    module.chmod(0o644)
    assert verify_module(str(module)) == module.resolve()
    (tmp_path / "link.so").symlink_to(module)
    assert verify_module(str(tmp_path / "link.so")) == module.resolve()
    for mode in (0o664, 0o646):
        module.chmod(mode)
        with pytest.raises(UsageProblem, match="changeable by its owner alone"):
            verify_module(str(module))
    module.chmod(0o644)
    tmp_path.chmod(0o777)
    with pytest.raises(UsageProblem, match="changeable by its owner alone"):
        verify_module(str(module))


def test_what_is_no_module_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"\[pkcs11\] module in swarmsec.toml"):
        verify_module("")
    with pytest.raises(KeyUnavailable, match="cannot be read"):
        verify_module(str(tmp_path / "none.so"))
    with pytest.raises(UsageProblem, match="got something else"):
        verify_module(str(tmp_path))


def test_only_the_settings_choose_a_module() -> None:
    """A name comes from the database, which may be another's; the module that it names is not even looked at."""
    with pytest.raises(UsageProblem, match=r"\[pkcs11\] module in swarmsec.toml"):
        Tokens(TokenAccess()).signer(KEY)


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PyKCS11", None)

    with pytest.raises(UsageProblem, match="PyKCS11 is not installed") as raised:
        Tokens(TokenAccess()).signer(KEY)

    assert "swarmsec[hsm]" in str(raised.value.hint)


class CountingSession:
    """A token that refuses every PIN but one, and counts."""

    def __init__(self) -> None:
        self.shown: list[bytes] = []

    def login(self, pin: bytes) -> None:
        binding: Any = pkcs11_binding()
        self.shown.append(pin)
        if pin != b"right":
            raise binding.PyKCS11Error(binding.CKR_PIN_INCORRECT)


def test_a_refused_pin_is_not_shown_again_before_its_file_changes(tmp_path: Path) -> None:
    binding: Any = pkcs11_binding()
    path, session = pin_file(tmp_path, b"wrong"), CountingSession()
    desk = PinDesk(path)
    for _ in range(5):
        with pytest.raises(WrongUnlock) as raised:
            desk.log_in(binding, session, binding.CKF_LOGIN_REQUIRED)
        assert "wrong" not in str(raised.value)
    assert session.shown == [b"wrong"]

    pin_file(tmp_path, b"right")
    desk.log_in(binding, session, binding.CKF_LOGIN_REQUIRED)

    assert session.shown == [b"wrong", b"right"]


def test_the_last_try_is_left_to_people(tmp_path: Path) -> None:
    binding: Any = pkcs11_binding()
    session = CountingSession()
    for flag, said in ((binding.CKF_USER_PIN_FINAL_TRY, "one more PIN"), (binding.CKF_USER_PIN_LOCKED, "is locked")):
        with pytest.raises(WrongUnlock, match=said):
            PinDesk(pin_file(tmp_path, b"right")).log_in(binding, session, binding.CKF_LOGIN_REQUIRED | flag)
    assert session.shown == []


def test_a_token_without_a_pin_needs_no_file() -> None:
    PinDesk("").log_in(pkcs11_binding(), CountingSession(), 0)
