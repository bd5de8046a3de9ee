"""The server's TLS: what is spoken, and a context for each generation of certificate, key and client roots.

TLS 1.2 and 1.3, ECDHE with AEAD only, no compression, no renegotiation, no session tickets. A client certificate is
asked for and optional; one that does not chain to our roots or is out of its validity ends the handshake. Who the
certificate stands for is decided later, on every request.

Key exchange groups are OpenSSL's own order (X25519 and P-256 first, a post-quantum hybrid before them from 3.5 on).
Python before 3.15 can pin only one group, which would cost clients that guess another one a round trip, and names that
one OpenSSL knows are errors to another.

NOTE: with ``num_tickets = 0`` and ``OP_NO_TICKET`` TLS 1.3 has no resumption. TLS 1.2 session ids live in the context
they were made in, so a session never outlives its generation: a swap makes a new context.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from swarmsec.errors import UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.server.ports import TlsMaterial

CIPHERS_TLS12 = "ECDHE+AESGCM:ECDHE+CHACHA20"
_BEGIN = b"-----BEGIN CERTIFICATE-----"


def build_context(material: TlsMaterial) -> ssl.SSLContext:
    """Build the context of one generation.

    Args:
        material: certificate chain, key and client roots, PEM.

    Raises:
        UsageProblem: chain, key or roots cannot be loaded or do not belong together; the cause is not shown, since
            it may quote key material.
    """
    context = _strict_context()
    try:
        with _readable_path(material.certificate_chain_pem, material.key_pem) as path:
            context.load_cert_chain(path)
    except (ssl.SSLError, ValueError):
        raise UsageProblem("expected a server certificate chain with its private key, got other data") from None
    if material.client_roots_pem.strip():
        _load_roots(context, material.client_roots_pem)
    return context


def removes_roots(former: bytes, new: bytes) -> bool:
    """Whether a root that clients may come under is not among the new ones, PEM; one written otherwise counts as gone.

    Args:
        former: the roots until now.
        new: the roots from now on.
    """
    return not set(former.split(_BEGIN)) <= set(new.split(_BEGIN))


class _Undissected(ssl.SSLObject):
    """A connection whose peer's certificate is given out as octets alone.

    After each handshake the event loop asks for it taken apart, and keeps that: 2 KB and some 50 µs for nobody.
    """

    def getpeercert(self, binary_form: bool = False) -> Any:
        """The peer's certificate, DER; None where it has none, or where it is asked for in another form."""
        return super().getpeercert(True) if binary_form else None


def _strict_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = _Undissected
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS_TLS12)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_OPTIONAL
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load_roots(context: ssl.SSLContext, roots_pem: bytes) -> None:
    try:
        context.load_verify_locations(cadata=roots_pem.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise UsageProblem("expected client roots as PEM certificates, got other data") from None


@contextmanager
def _readable_path(chain_pem: bytes, key_pem: SecretBytes) -> Iterator[str]:
    """Give OpenSSL a path to read chain and key from that no file system has: memory behind a descriptor."""
    descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
    try:
        content = key_pem.reveal() + b"\n" + chain_pem
        _write_all(descriptor, content)
        yield f"/proc/self/fd/{descriptor}"
        os.pwrite(descriptor, bytes(len(content)), 0)
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, content: bytes) -> None:
    with os.fdopen(os.dup(descriptor), "wb") as stream:
        stream.write(content)
