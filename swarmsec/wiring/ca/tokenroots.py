"""A root key in a token: what the settings must say before, and the key found or made there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from swarmsec.atomicfile import write_atomically
from swarmsec.config import FILE_NAME, Pkcs11Settings, load_config, pkcs11_text
from swarmsec.errors import UsageProblem
from swarmsec.keys.signers import SealedKeys
from swarmsec.keys.tokenaccess import TokenAccess
from swarmsec.keys.tokenkeys import TokenKey
from swarmsec.keys.tokens import Tokens
from swarmsec.keys.tokenuri import TokenKeyUri, parse_token_uri
from swarmsec.services.ca.token_findings import needs_token
from swarmsec.services.ca.token_roots import (
    TokenKeyPlan,
    TokenRoot,
    begin_token_key,
    conclude_token_key,
    unfinished_token_keys,
)
from swarmsec.services.records import KeyKind
from swarmsec.services.requester import Requester
from swarmsec.wiring.homes.home import Home

ID_BYTES: Final = 16


def verify_token_at(path: Path, uri: TokenKeyUri) -> Pkcs11Settings:
    """See that the token can be used before anything is made; nothing is changed.

    Args:
        path: of the home, which need not exist.

    Returns:
        the settings for the home's ``[pkcs11]``.

    Raises:
        UsageProblem: the URI contradicts the settings of the home.
        UsageProblem, KeyUnavailable, WrongUnlock: as the token and the access to it say.
    """
    settings = _merged(uri, _present(path))
    tokens = Tokens(TokenAccess(module=settings.module, pin_file=settings.pin_file))
    try:
        tokens.verify_token(uri)
    finally:
        tokens.close()
    return settings


@contextmanager
def token_settings(home: Home, keys: SealedKeys, settings: Pkcs11Settings | None) -> Iterator[Callable[[], None]]:
    """Reach a token by settings that the home is to have once one of its keys is there.

    What is called with this reaches the token at once. The home's file gets the settings when the yielded function is
    called: best right before the transaction that makes a key in the token one of the home's, since whoever takes that
    up needs them. They are taken back where it came to nothing. A process that is killed between the two leaves
    settings that nothing uses, of which ``ca status`` tells.

    Args:
        settings: as ``verify_token_at`` says; None where no token was named.

    Raises:
        UsageProblem: the home has one of the two settings.
    """
    if settings is None:
        yield lambda: None
        return
    keys.tokens.take_access(TokenAccess(module=settings.module, pin_file=settings.pin_file))
    file = home.path / FILE_NAME
    before = file.read_bytes()
    try:
        yield partial(_keep, home.path, settings)
    finally:
        if file.read_bytes() == _with_section(before, settings) and not home.store.read(needs_token):
            write_atomically(file, before, mode=0o600)


def _keep(path: Path, settings: Pkcs11Settings) -> None:
    present = _present(path)
    if settings == present:
        return
    file = path / FILE_NAME
    if present != Pkcs11Settings():
        raise UsageProblem(f"expected module and pin_file together in [pkcs11] of {file}")
    write_atomically(file, _with_section(file.read_bytes(), settings), mode=0o600)


def _with_section(text: bytes, settings: Pkcs11Settings) -> bytes:
    return text.rstrip(b"\n") + b"\n\n" + pkcs11_text(settings).encode()


def verify_next_key(home: Home, keys: SealedKeys, uri: TokenKeyUri, kind: KeyKind | None) -> None:
    """See that a key in a token, where there is one of this name, can be that of the next root; nothing is made.

    Raises:
        UsageProblem: it is of another kind, or that of a root that this authority has or had.
        KeyUnavailable, WrongUnlock: the token cannot be used.
    """
    found = keys.tokens.find(uri)
    if found is None:
        return
    _verify_kind(found, kind, uri)
    roots = home.store.read(lambda transaction: list(transaction.authorities.all()))
    for root in roots:
        if root.key_name == found.uri.key_name:
            raise UsageProblem(
                f"expected a new root with a key of its own, got the key of the {root.state} root of generation"
                f" {root.generation}",
                hint="name another key, which is made where there is none; the roots are listed by: swarmsec ca show",
            )


def find_or_make(
    home: Home, keys: SealedKeys, uri: TokenKeyUri, kind: KeyKind | None, requester: Requester
) -> TokenRoot:
    """The root's key in the token: the one that has this name, or a new one.

    A run that was interrupted after the token made the key finds it again by the id that was put on record before.

    Args:
        kind: that it must have; None for P-256 where one is made, and for any where one is found.

    Raises:
        UsageProblem: the key is not of this kind, or none that an authority signs with.
        KeyUnavailable, WrongUnlock: the token cannot be used.
    """
    plan = _interrupted(home, uri, requester)
    found = keys.tokens.find_begun(parse_token_uri(plan.key_name)) if plan else keys.tokens.find(uri)
    return _made(home, keys, uri, kind, requester, plan=plan, found=found)


def make_beside(home: Home, keys: SealedKeys, present: TokenKeyUri, kind: KeyKind, requester: Requester) -> TokenRoot:
    """A new key in the same token under the same label, with an id of its own.

    A run that was interrupted after the token made the key finds it again, as with ``find_or_make``.

    Args:
        present: of the key that is there.

    Raises:
        KeyUnavailable, WrongUnlock: the token cannot be used.
    """
    uri = replace(present, id=b"")
    plan = _interrupted(home, uri, requester)
    found = None if plan is None else keys.tokens.find_begun(parse_token_uri(plan.key_name))
    return _made(home, keys, uri, kind, requester, plan=plan, found=found)


def _made(
    home: Home,
    keys: SealedKeys,
    uri: TokenKeyUri,
    kind: KeyKind | None,
    requester: Requester,
    *,
    plan: TokenKeyPlan | None,
    found: TokenKey | None,
) -> TokenRoot:
    """The key that was found, or a new one whose id is on record first."""
    if found is None:
        if plan is None:
            named = uri if uri.id else replace(uri, id=home.clock.random(ID_BYTES))
            plan = home.store.write(partial(begin_token_key, requester=requester, key_name=named.key_name))
        found = keys.tokens.create(parse_token_uri(plan.key_name), kind or KeyKind.P256)
    _verify_kind(found, kind, uri)
    return _root(found, plan)


def _verify_kind(found: TokenKey, kind: KeyKind | None, uri: TokenKeyUri) -> None:
    if kind is not None and found.kind is not kind:
        raise UsageProblem(f"expected a key of type {kind.value} at {uri}, got {found.kind.value}")


def _root(found: TokenKey, plan: TokenKeyPlan | None) -> TokenRoot:
    return TokenRoot(key_name=found.uri.key_name, key_type=found.kind.value, made_there=found.made_there, plan=plan)


def _interrupted(home: Home, uri: TokenKeyUri, requester: Requester) -> TokenKeyPlan | None:
    """The key that an earlier run began under this name; what was begun under another one ends here."""
    ours = None
    for plan in home.store.read(unfinished_token_keys):
        begun = parse_token_uri(plan.key_name)
        is_same = replace(begun, id=b"") == replace(uri, id=b"", module_path="", pin_file="")
        if is_same and uri.id in {b"", begun.id}:
            ours = plan
        else:
            why = "another key was chosen instead"
            home.store.write(partial(conclude_token_key, requester=requester, plan=plan, failure=why))
    return ours


def _merged(uri: TokenKeyUri, present: Pkcs11Settings) -> Pkcs11Settings:
    for name, given, known in (
        ("module-path", uri.module_path, present.module),
        ("pin-source", uri.pin_file, present.pin_file),
    ):
        if given and known and given != known:
            raise UsageProblem(
                f"expected the {name} that swarmsec.toml has, {known}, got {given}", hint="change [pkcs11] there first"
            )
    return Pkcs11Settings(module=uri.module_path or present.module, pin_file=uri.pin_file or present.pin_file)


def _present(path: Path) -> Pkcs11Settings:
    """What a home has, which need not exist."""
    return load_config(path).pkcs11 if (path / FILE_NAME).exists() else Pkcs11Settings()
