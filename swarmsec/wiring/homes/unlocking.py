"""The unlock socket: how a person gives a running server its passphrase, and commands the root key of one.

A unix socket in the home, mode 0600, for the same user and root alone (``SO_PEERCRED``). One request a connection:
``unlock`` and a passphrase, or ``root``; each message is a u32 length and that many bytes. Whoever may use the socket
could as well read the server's memory, so handing out the root key there gives nothing away.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

from swarmsec.errors import NotFound, SwarmsecError, Unavailable
from swarmsec.keys.errors import WrongUnlock
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.envelope import KEY_BYTES

SOCKET_NAME: Final = "unlock.sock"
TIMEOUT: Final = 10.0
MAX_MESSAGE: Final = 8192
_LENGTH: Final = struct.Struct(">I")
_PEER: Final = struct.Struct("3i")


def unlock_running_server(home: Path, passphrase: SecretBytes) -> None:
    """Give a passphrase to the server of a home.

    Raises:
        NotFound: no server waits there.
        WrongUnlock: it does not fit.
    """
    answer = _ask(home, b"unlock " + passphrase.reveal())
    if answer is None:
        raise NotFound(f"no server of {home} is running", hint="start one with: swarmsec serve")
    if answer != b"ok":
        text = answer.removeprefix(b"no ").decode("utf-8", "replace")[:200]
        raise WrongUnlock("".join(filter(str.isprintable, text)) or "the server refused without saying why")


def root_of_running_server(home: Path) -> SecretBytes | None:
    """The root key of an unlocked server of this home, or None."""
    answer = _ask(home, b"root")
    if answer is None or not answer.startswith(b"root ") or len(answer) != len(b"root ") + KEY_BYTES:
        return None
    return SecretBytes(answer[5:])


def _ask(home: Path, message: bytes) -> bytes | None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT)
        try:
            _connect(connection, home)
            connection.sendall(_LENGTH.pack(len(message)) + message)
            (length,) = _LENGTH.unpack(_receive(connection, _LENGTH.size))
            return _receive(connection, min(length, MAX_MESSAGE))
        except (FileNotFoundError, ConnectionRefusedError):
            return None
        except OSError as error:
            raise Unavailable(f"the server of {home} did not answer: {error}", hint="look at its log") from None


def _connect(connection: socket.socket, home: Path) -> None:
    # By way of the directory's descriptor, because a socket's path is limited to 107 bytes.
    directory = os.open(home, os.O_PATH | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{directory}/{SOCKET_NAME}")
    finally:
        os.close(directory)


def _receive(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError("it closed the connection")
        data += part
    return data


class UnlockSocket:
    """The server's side.

    Args:
        home: the home's directory.
        unlock: opens the home with a passphrase; raises what does not fit.
        root: the root key, or None while locked.
    """

    def __init__(
        self, home: Path, unlock: Callable[[SecretBytes], None], root: Callable[[], SecretBytes | None]
    ) -> None:
        self._home = home
        self._unlock = unlock
        self._root = root
        self._server: asyncio.Server | None = None
        self._turn = asyncio.Lock()

    async def start(self) -> None:
        """Listen; a stale socket of a dead server is replaced."""
        directory = os.open(self._home, os.O_PATH | os.O_DIRECTORY)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            (self._home / SOCKET_NAME).unlink(missing_ok=True)
            listening.bind(f"/proc/self/fd/{directory}/{SOCKET_NAME}")
            (self._home / SOCKET_NAME).chmod(0o600)
        finally:
            os.close(directory)
        self._server = await asyncio.start_unix_server(self._serve, sock=listening)

    async def stop(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            (self._home / SOCKET_NAME).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                if _peer_uid(writer.get_extra_info("socket")) in {0, os.geteuid()}:
                    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                    if length <= MAX_MESSAGE:
                        answer = await self._answer(await reader.readexactly(length))
                        writer.write(_LENGTH.pack(len(answer)) + answer)
                        await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, message: bytes) -> bytes:
        if message == b"root":
            root = self._root()
            return b"no locked" if root is None else b"root " + root.reveal()
        if not message.startswith(b"unlock "):
            return b"no unknown request"
        async with self._turn:
            try:
                # Argon2id takes most of a second; the loop goes on meanwhile.
                await asyncio.to_thread(self._unlock, SecretBytes(message[7:]))
            except SwarmsecError as error:
                return f"no {error}".encode()
        return b"ok"


def _peer_uid(connection: socket.socket) -> int:
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    _, uid, _ = _PEER.unpack(credentials)
    return int(uid)
