"""Secret bytes that do not print themselves."""

from __future__ import annotations

import hmac
from typing import NoReturn


class SecretBytes:
    """Key material or a secret value on its way through the program.

    ``repr`` and ``str`` hide the content, copying and pickling are refused, comparison takes constant time, and
    ``wipe`` overwrites the buffer. NOTE: wiping is best effort; CPython may have copied the bytes elsewhere
    (docs/limitations.md).

    Args:
        value: the secret; it is copied into a private buffer.
    """

    __slots__ = ("_buffer",)

    def __init__(self, value: bytes | bytearray | memoryview) -> None:
        self._buffer = bytearray(value)

    def reveal(self) -> bytes:
        """Return the secret itself; call this only where the bytes are used."""
        return bytes(self._buffer)

    def wipe(self) -> None:
        """Overwrite the buffer with zeros and empty it."""
        # In place: of the same length, so that the buffer is neither moved nor made anew.
        self._buffer[:] = bytes(len(self._buffer))
        self._buffer.clear()

    def __len__(self) -> int:
        return len(self._buffer)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretBytes):
            return NotImplemented
        return hmac.compare_digest(self._buffer, other._buffer)

    __hash__ = None  # type: ignore[assignment]  # secrets are never dictionary keys

    def __repr__(self) -> str:
        return f"<{len(self._buffer)} secret bytes>"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return repr(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("secret bytes are not pickled or copied")

    def __copy__(self) -> NoReturn:
        raise TypeError("secret bytes are not pickled or copied")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise TypeError("secret bytes are not pickled or copied")
