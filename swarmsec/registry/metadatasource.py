"""Published metadata over HTTP: plain files below ``/tuf/`` of a server, or of any web server that holds a copy.

404 says that there is no such file; for the next root so does 403, as some object stores say it (python-tuf, issue of
mirrors; TUF specification 1.0, section 5.3.3). Everything else that is not 200 is no answer.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection
from typing import Final

from swarmsec.errors import Denied, Unavailable
from swarmsec.registry.hosts import Address, parse_url
from swarmsec.registry.transport import Answer, NoConnection, Transport

ATTEMPTS: Final = 3
_FIRST_PAUSE: Final = 0.25
_ROOT: Final = re.compile(r"[0-9]+\.root\.json")


class HttpMetadata:
    """The ``MetadataSource`` port over HTTP.

    Args:
        base: URL of the directory, such as ``https://trust.example/tuf``.
        transport: brings bytes.
        insecure: hosts that may be spoken to in plain HTTP beside loopback.
        pause: waits between attempts, in seconds.

    Raises:
        UsageProblem: the URL is none.
        Denied: it is plain HTTP to a host for which nobody allowed it.
    """

    def __init__(
        self,
        base: str,
        *,
        transport: Transport,
        insecure: Collection[str],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._base = parse_url(base.rstrip("/"), insecure=insecure)
        self._transport = transport
        self._pause = pause

    def fetch(self, name: str, limit: int) -> bytes | None:
        """Bring a file.

        Raises:
            Denied: it is too long, or the server sends us elsewhere.
            Unavailable: no usable answer.
        """
        # NOTE: a role's slashes are percent-encoded in its file's name, and the percent sign is encoded again in the
        # URL by servers that decode paths; clients ask for the name as it is (python-tuf, ``Updater``).
        address = Address(origin=self._base.origin, path=f"{self._base.path.rstrip('/')}/{name}")
        answer = self._ask(address, limit)
        if answer.status == 200:
            return answer.body
        if answer.status == 404 or (answer.status == 403 and _ROOT.fullmatch(name)):
            return None
        if 300 <= answer.status < 400:
            raise Denied(f"expected {name} from {self._base.origin}, got a redirect")
        raise Unavailable(f"{self._base.origin} gave no {name}: HTTP status {answer.status}", hint="try again later")

    def _ask(self, address: Address, limit: int) -> Answer:
        pause = _FIRST_PAUSE
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._transport.get(address, headers={}, limit=limit)
            except NoConnection:
                if attempt == ATTEMPTS:
                    raise
            else:
                if attempt == ATTEMPTS or (answer.status != 429 and answer.status < 500):
                    return answer
            self._pause(pause)
            pause *= 2
        raise AssertionError("the last attempt answers or raises")
