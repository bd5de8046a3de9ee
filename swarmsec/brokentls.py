"""After a TLS connection broke: nothing of it must be taken for an error of another one.

OpenSSL keeps its errors in a list of the thread (ERR_get_error(3)). Where the kernel refused a write, OpenSSL from 3.2
on puts that there, and Python leaves it there (seen in 3.13.5 and 3.14.10): the next connection of the thread that has
to wait seems to be broken in the same way.
"""

from __future__ import annotations

import ssl
from contextlib import suppress


def forget_broken() -> None:
    """Empty this thread's list of errors, as every handshake does when it begins; this one goes nowhere."""
    nowhere = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="none")
    with suppress(ssl.SSLWantReadError):
        nowhere.do_handshake()
