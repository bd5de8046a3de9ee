"""Private keys that stay in a token: found or made there, and used through one session under one lock.

A token that was pulled and put back is found again: after an error the module is unloaded, and the next use loads it,
looks for the token, logs in and goes on. While it is away, one try a second is made and everybody else is told at once.
Every signature is verified before it is given away, so that neither a fault nor another token in its place is signed
with.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives.asymmetric import utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from swarmsec.errors import AlreadyExists, KeyUnavailable, NotFound, SwarmsecError, UsageProblem
from swarmsec.keys.tokenaccess import PinDesk, TokenAccess, pkcs11_binding, verify_module
from swarmsec.keys.tokenkeys import (
    CURVES,
    TokenKey,
    find_key,
    generate_key,
    private_keys,
    remove_public_halves,
    verify_signature,
)
from swarmsec.keys.tokenuri import TokenKeyUri
from swarmsec.services.records import KeyKind

RETRY_SECONDS: Final = 1.0
_AWAY_HINT: Final = "put the token in, or start its service, and repeat; nothing was issued"

T = TypeVar("T")


class Tokens:
    """The keys that a home has in tokens.

    Args:
        access: what its settings say.
        reread: what they say now, asked where they named no module: a root's key may have gone into a token since.
    """

    def __init__(self, access: TokenAccess, reread: Callable[[], TokenAccess] | None = None) -> None:
        self.access = access
        self._reread = reread
        self._lock = threading.RLock()
        self._pins = PinDesk(access.pin_file)
        self._library: Any = None
        self._sessions: dict[str, Any] = {}
        self._away_until = 0.0
        self.failure = ""
        """Why the token could not be used the last time; empty where it could."""

    def take_access(self, access: TokenAccess) -> None:
        """Reach tokens this way from now on, whatever the home's settings say yet."""
        with self._lock:
            if access != self.access:
                self._drop()
                self.access, self._pins = access, PinDesk(access.pin_file)

    def verify_token(self, uri: TokenKeyUri) -> None:
        """See that a token is there and takes the PIN.

        Raises:
            UsageProblem, KeyUnavailable, WrongUnlock: as ``tokenaccess`` and the token say.
        """
        self._use(uri, lambda session: None)

    def find(self, uri: TokenKeyUri) -> TokenKey | None:
        """The private key of this name, or None.

        Raises:
            UsageProblem: several have it, it could leave the token, or it is none that signs for an authority.
            KeyUnavailable, WrongUnlock: the token cannot be used.
        """
        return self._use(uri, lambda session: find_key(pkcs11_binding(), session, uri))

    def find_begun(self, uri: TokenKeyUri) -> TokenKey | None:
        """The private key that an interrupted run had made under an id of its own, or None.

        A token may show a key that it had not finished when it was interrupted, and that signs nothing: that one is
        removed, so that it can be made again. Nothing can be lost by it, since no root has this key yet.

        Args:
            uri: with an ``id`` that was drawn for this key alone.

        Raises:
            KeyUnavailable, WrongUnlock: the token cannot be used.
        """

        def work(session: Any) -> TokenKey | None:
            binding = pkcs11_binding()
            found = private_keys(binding, session, uri)
            if not found:
                return None
            with suppress(UsageProblem, binding.PyKCS11Error):
                key = find_key(binding, session, uri)
                if key is not None and _signature(binding, session, found[0], hashlib.sha256().digest()):
                    return key
            for unfinished in found:
                session.destroyObject(unfinished)
            return None

        return self._use(uri, work)

    def create(self, uri: TokenKeyUri, kind: KeyKind) -> TokenKey:
        """Make a private key that never leaves the token.

        Args:
            uri: with an ``id``.

        Raises:
            AlreadyExists: a key has this name.
            KeyUnavailable, WrongUnlock: the token cannot be used, or does not make such keys.
        """

        def make(session: Any) -> TokenKey:
            binding = pkcs11_binding()
            if private_keys(binding, session, uri):
                raise AlreadyExists(f"the token has a key {uri} already")
            remove_public_halves(binding, session, uri)
            generate_key(binding, session, uri, kind)
            made = find_key(binding, session, uri)
            if made is None:
                raise KeyUnavailable("the token made a key and does not show it", hint=_AWAY_HINT)
            return made

        return self._use(uri, make)

    def signer(self, uri: TokenKeyUri) -> TokenSigner:
        """Something that signs with a key in a token.

        Raises:
            NotFound: the token has no such key.
            UsageProblem, KeyUnavailable, WrongUnlock: as ``find``.
        """
        key = self.find(uri)
        if key is None:
            # A session that was opened while the token was being pulled shows nothing for as long as it lives.
            self.close()
            raise NotFound(f"the token has no private key {uri}", hint="put in the token that has it")
        return TokenSigner(self, key)

    def sign(self, key: TokenKey, digest: bytes) -> bytes:
        """Sign a hash: DER of an ECDSA signature.

        Raises:
            KeyUnavailable: the token cannot be used, or has another key now.
        """

        def work(session: Any) -> bytes:
            binding = pkcs11_binding()
            found = private_keys(binding, session, key.uri)
            if len(found) != 1:
                raise KeyUnavailable(f"the token no longer has the key {key.uri}", hint=_AWAY_HINT)
            return _signature(binding, session, found[0], digest)

        raw = self._use(key.uri, work)
        size = CURVES[key.kind].coordinate_bytes
        if len(raw) != 2 * size:
            raise KeyUnavailable(
                f"expected a signature of {2 * size} bytes from the token, got {len(raw)}",
                hint=f"see with the token's own tool whether it has all of {key.uri}; nothing was issued",
            )
        signature = utils.encode_dss_signature(int.from_bytes(raw[:size], "big"), int.from_bytes(raw[size:], "big"))
        verify_signature(key, digest, signature)
        return signature

    def close(self) -> None:
        """Let go of the token."""
        with self._lock:
            self._drop()

    def _use(self, uri: TokenKeyUri, work: Callable[[Any], T]) -> T:
        """Work in a session; one that went stale is opened anew, once."""
        with self._lock:
            binding = pkcs11_binding()
            is_fresh = uri.key_name not in self._sessions
            try:
                return self._attempt(binding, uri, work)
            except binding.PyKCS11Error as error:
                self._drop()
                if is_fresh:
                    raise self._away(binding, uri, error) from None
            try:
                return self._attempt(binding, uri, work)
            except binding.PyKCS11Error as error:
                self._drop()
                raise self._away(binding, uri, error) from None

    def _attempt(self, binding: Any, uri: TokenKeyUri, work: Callable[[Any], T]) -> T:
        if time.monotonic() < self._away_until:
            raise KeyUnavailable(self.failure or "the token is away", hint=_AWAY_HINT)
        try:
            result = work(self._session(binding, uri))
        except SwarmsecError as error:
            if isinstance(error, KeyUnavailable):
                self._drop()
                self._note(str(error))
            raise
        self.failure = ""
        return result

    def _session(self, binding: Any, uri: TokenKeyUri) -> Any:
        session = self._sessions.get(uri.key_name)
        if session is None:
            library = self._load(binding)
            slot, flags = _slot(binding, library, uri)
            session = library.openSession(slot, binding.CKF_RW_SESSION)
            self._pins.log_in(binding, session, flags)
            self._sessions[uri.key_name] = session
        return session

    def _load(self, binding: Any) -> Any:
        if self._library is None:
            if not self.access.module and self._reread is not None:
                self.access = self._reread()
                self._pins = PinDesk(self.access.pin_file)
            path = verify_module(self.access.module)
            library = binding.PyKCS11Lib()
            library.load(str(path))
            self._library = library
        return self._library

    def _drop(self) -> None:
        """Forget session and module, so that the next use begins anew: a module sees a new token only then."""
        self._sessions.clear()
        library, self._library = self._library, None
        if library is not None:
            library.unload()

    def _away(self, binding: Any, uri: TokenKeyUri, error: Any) -> KeyUnavailable:
        name = binding.CKR.get(error.value, error.value)
        self._note(f"the token with {uri.token_name} cannot be used: {name}")
        return KeyUnavailable(self.failure, hint=_AWAY_HINT)

    def _note(self, failure: str) -> None:
        self.failure = failure
        self._away_until = time.monotonic() + RETRY_SECONDS


class TokenSigner:
    """A key that signs in its token, and cannot be read."""

    __slots__ = ("_algorithm", "_key", "_tokens", "public_key_der", "signature_hash")

    def __init__(self, tokens: Tokens, key: TokenKey) -> None:
        self._tokens = tokens
        self._key = key
        self._algorithm = CURVES[key.kind].algorithm
        self.signature_hash = self._algorithm.name
        self.public_key_der = key.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def sign(self, message: bytes) -> bytes:
        """Hash here, sign there: DER of an ECDSA signature.

        Raises:
            KeyUnavailable: the token cannot be used.
        """
        return self._tokens.sign(self._key, hashlib.new(self.signature_hash, message).digest())

    def __repr__(self) -> str:
        return f"<signer {self.signature_hash} in {self._key.uri.token_name}>"


def _signature(binding: Any, session: Any, handle: Any, digest: bytes) -> bytes:
    """As the token gives it: two numbers, one after the other."""
    return bytes(session.sign(handle, digest, binding.Mechanism(binding.CKM_ECDSA, None)))


def _slot(binding: Any, library: Any, uri: TokenKeyUri) -> tuple[int, int]:
    """The slot of the one token that is meant, and the token's flags."""
    found = []
    for slot in library.getSlotList(tokenPresent=True):
        try:
            token = library.getTokenInfo(slot)
        except binding.PyKCS11Error:
            # Another slot's trouble is not ours; if it is ours, the token is not found.
            continue
        names = {"token": token.label, "manufacturer": token.manufacturerID, "model": token.model}
        names["serial"] = token.serialNumber
        wanted = {name: getattr(uri, name) for name in names if getattr(uri, name)}
        is_ready = token.flags & binding.CKF_TOKEN_INITIALIZED
        if is_ready and all(_plain(names[name]) == value for name, value in wanted.items()):
            found.append((slot, token.flags))
    if not found:
        raise KeyUnavailable(f"no token with {uri.token_name} is there", hint=_AWAY_HINT)
    if len(found) > 1:
        raise UsageProblem(
            f"expected one token with {uri.token_name}, got {len(found)}", hint="add serial=… to the URI"
        )
    return found[0]


def _plain(text: str) -> str:
    """Tokens fill their names up with blanks, and some with zeros."""
    return text.rstrip(" \0")
