"""Asking a witness over HTTP (C2SP ``tlog-witness``): one bounded request, nothing followed or retried."""

from __future__ import annotations

from functools import cache
from http import HTTPStatus
from ssl import SSLContext
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from swarmsec.audit.checkpoints import parse_size
from swarmsec.audit.errors import HistoryContradicted, LogFormatInvalid
from swarmsec.audit.notes import MAX_NOTE_BYTES
from swarmsec.audit.witnessing import AddCheckpoint, SizeConflict
from swarmsec.errors import Denied, Unavailable, UsageProblem
from swarmsec.peertrust import system_context

if TYPE_CHECKING:
    from aiohttp import StreamReader

TIMEOUT_SECONDS: Final = 10.0
"""For one request from the first packet to the last byte of its answer, however slowly they come."""
_MAX_URL: Final = 500


def parse_witness_url(text: str) -> str:
    """Check the address of a witness: its submission prefix, without a closing slash.

    Raises:
        UsageProblem: it is no ``http://`` or ``https://`` address, or has more than host and path.
    """
    try:
        parts = urlsplit(text)
        is_plain = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 80)
    except ValueError:
        is_plain = None
    # What stands before an @ may be a password, so the text is not repeated.
    if not is_plain or "@" in text or "?" in text or "#" in text or not text.isprintable() or len(text) > _MAX_URL:
        raise UsageProblem("expected the address of a witness such as https://witness.example/prefix")
    return text.rstrip("/")


class WitnessClient:
    """One witness.

    Args:
        url: from ``parse_witness_url``.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    async def add_checkpoint(self, request: AddCheckpoint) -> str:
        """Ask for a cosignature.

        Returns:
            signature lines, nothing of them verified.

        Raises:
            SizeConflict: the witness knows another size than the proof begins with.
            HistoryContradicted: it has seen another history (422).
            Denied: it does not watch this log, or not with this key (403, 404).
            Unavailable: it cannot be reached, or answers something else.
        """
        status, body = await self._post(bytes(request))
        match status:
            case HTTPStatus.OK:
                return body
            case HTTPStatus.CONFLICT:
                raise SizeConflict(self._size(body), request.old_size)
            case HTTPStatus.UNPROCESSABLE_ENTITY:
                raise HistoryContradicted(
                    f"the witness at {self._url} has seen another history of this log",
                    hint="hold the log against what the witness has: swarmsec audit verify --against FILE",
                )
            case HTTPStatus.NOT_FOUND | HTTPStatus.FORBIDDEN:
                raise Denied(
                    f"the witness at {self._url} does not watch this log, or not under this key",
                    hint="on the witness: swarmsec audit witness watch VKEY --dir DIR",
                )
            case _:
                raise Unavailable(f"expected a cosignature from {self._url}, got HTTP status {status}")

    def _size(self, body: str) -> int:
        try:
            return parse_size(body.removesuffix("\n"))
        except LogFormatInvalid:
            raise Unavailable(f"expected the size that {self._url} knows, got something else") from None

    async def _post(self, data: bytes) -> tuple[int, str]:
        import aiohttp

        limit = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        connector = aiohttp.TCPConnector(ssl=_tls_context())
        try:
            async with (
                aiohttp.ClientSession(connector=connector, timeout=limit, auto_decompress=False) as session,
                session.post(f"{self._url}/add-checkpoint", data=data, allow_redirects=False) as response,
            ):
                return response.status, (await _read_bounded(response.content, self._url)).decode()
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(
                f"the witness at {self._url} could not be reached: {type(error).__name__}",
                hint="check its address and that it runs",
            ) from None


@cache
def _tls_context() -> SSLContext:
    """One for the process: reading the system's authorities takes longer than a handshake."""
    return system_context()


async def _read_bounded(content: StreamReader, url: str) -> bytes:
    body = b""
    async for chunk in content.iter_chunked(MAX_NOTE_BYTES):
        body += chunk
        if len(body) > MAX_NOTE_BYTES:
            raise Unavailable(f"expected at most {MAX_NOTE_BYTES} bytes from {url}")
    return body
