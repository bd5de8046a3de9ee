"""What certificates of peers that are not ours must be like: the same on every Python, and what Docker asks for.

From 3.13 on, Python's and urllib3's own contexts also ask for the form of RFC 5280 (``VERIFY_X509_STRICT``). The
authority that Docker's documentation makes with ``openssl req -x509`` has no key usage and would be refused, though
``docker`` takes it; chain, names, dates and what an authority may sign are verified without that. As for Docker, a
certificate that somebody names as an authority is one, whether it signed itself or not (crypto/x509 of Go,
``VerifyOptions.Roots``; X509_VERIFY_PARAM_set_flags(3), ``X509_V_FLAG_PARTIAL_CHAIN``).
"""

from __future__ import annotations

import ssl


def system_context() -> ssl.SSLContext:
    """A client's context that trusts the system's authorities."""
    return _as_docker(ssl.create_default_context())


def bare_context() -> ssl.SSLContext:
    """A client's context that trusts nobody yet."""
    return _as_docker(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def _as_docker(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
