"""Speaking with an authority's server as a node does: bounded requests to a verified peer.

Nothing is followed, and nothing kept open but in a ``conversation``. A server that removes a root ends the handshakes
under way; what was begun then is begun once more, since a node's requests may be repeated: each is for one key. What a
server says in a refusal is repeated to a person without characters that could steer a terminal.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ca.bundle import parse_bundle, write_bundle
from ca.hosts import parse_host
from ca.tokens import JoinToken, digest_of_bundle
from swarmsec.brokentls import forget_broken
from swarmsec.errors import Denied, Unavailable, UsageProblem

if TYPE_CHECKING:
    from urllib3 import PoolManager

    from swarmsec.wiring.nodes.conversation import Conversation

MAX_ANSWER: Final = 262_144
TIMEOUT_SECONDS: Final = 10.0
AGAIN_SECONDS: Final = 0.5
BUNDLE_PATH: Final = "/api/v1/ca/bundle"
_SERVER: Final = re.compile(
    r"https://(?:\[(?P<address>[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[1-9][0-9]{0,4}))?/?",
    re.ASCII,
)
_USAGE_STATUSES: Final = frozenset({400, 404, 405, 409, 412, 413, 415})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A node's private key with its certificate, to be shown in a handshake."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def __repr__(self) -> str:
        return f"<key pair {self.certificate.serial_number:x}>"


def parse_server(server: str) -> str:
    """Check ``--server`` and write it without a closing slash.

    Raises:
        UsageProblem: it is no ``https://HOST:PORT``.
        ca.errors.InvalidRequest: the host is no name or address.
    """
    found = _SERVER.fullmatch(server)
    if found is None or int(found["port"] or 443) > 65_535:
        # What stands before an @ may be a password.
        given = "one with a login" if "@" in server else f"{server!r:.100}"
        raise UsageProblem(
            f"expected --server https://HOST:PORT, got {given}",
            hint="'swarmsec serve' prints it as it begins",
        )
    host = str(parse_host(found["address"] or found["name"]))
    port = f":{found['port']}" if found["port"] else ""
    return f"https://{f'[{host}]' if found['address'] else host}{port}"


def fetch_bundle(base: str, token: JoinToken) -> bytes:
    """Fetch the root bundle over a connection that proves nothing, and believe it for the token's digest alone.

    Raises:
        Denied: it is not the token's.
        Unavailable: it cannot be had.
    """
    body = _bundle(base)
    digest = digest_of_bundle(body)
    if not hmac.compare_digest(digest, token.digest):
        raise Denied(
            f"the root bundle of {base} does not match the token: expected SHA-256 {token.digest.hex()},"
            f" got {digest.hex()}",
            hint="check the address; if the root was rotated, get the present token",
        )
    if write_bundle(parse_bundle(body)) != body:
        raise Denied("the root bundle is not in the form that this version writes")
    return body


def ask(
    base: str,
    path: str,
    members: Mapping[str, object],
    *,
    roots: bytes,
    pair: KeyPair | None = None,
    over: Conversation | None = None,
) -> dict[str, Any]:
    """Post a JSON document and return the JSON answer.

    Args:
        base: from ``parse_server``.
        path: of the route.
        members: of the document.
        roots: the server is verified under these, PEM.
        pair: shown to the server, if given.
        over: with the requests before and after it, if given.

    Raises:
        Denied, UsageProblem, Unavailable: as the server says, or because nothing usable came.
    """
    status, document = exchange(base, path, members, roots=roots, pair=pair, over=over)
    if status != 200:
        raise _worded(status, document)
    return document


def exchange(
    base: str,
    path: str,
    members: Mapping[str, object],
    *,
    roots: bytes,
    pair: KeyPair | None = None,
    over: Conversation | None = None,
) -> tuple[int, dict[str, Any]]:
    """Post a JSON document; returns status 200 or 202 and the JSON answer.

    Args:
        base, path, members, roots, pair, over: as for ``ask``.

    Raises:
        Denied, UsageProblem, Unavailable: as ``ask``.
    """
    body = json.dumps(members).encode()
    status, body = _call("POST", f"{base}{path}", roots=roots, body=body, pair=pair, over=over)
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Unavailable(
            f"expected JSON from {base}, got something else with HTTP status {status}",
            hint="check the address and that serve runs there",
        )
    if status not in {200, 202}:
        raise _worded(status, document)
    return status, document


def send(
    method: str,
    base: str,
    path: str,
    *,
    roots: bytes,
    pair: KeyPair | None,
    body: bytes | None = None,
    limit: int = MAX_ANSWER,
) -> bytes | None:
    """One request for bytes; None where the server has nothing at the path.

    Args:
        limit: how many bytes an answer may have.

    Raises:
        Denied, UsageProblem, Unavailable: as the server says, or because nothing usable came.
    """
    status, answer = _call(method, f"{base}{path}", roots=roots, body=body, pair=pair, limit=limit)
    if status == 200:
        return answer
    if status == 404 and method == "GET":
        return None
    try:
        document = json.loads(answer)
    except (ValueError, RecursionError):
        document = None
    raise _worded(status, document if isinstance(document, dict) else {})


def signing_request(key: ec.EllipticCurvePrivateKey) -> str:
    """A certificate signing request as SwarmKit's nodes send it, with an empty subject, PEM."""
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM).decode("ascii")


def spki_of(key: Any) -> bytes:
    """A public key's SubjectPublicKeyInfo, DER."""
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PKCS #8, PEM."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """A certificate, PEM."""
    return certificate.public_bytes(Encoding.PEM)


def _bundle(base: str) -> bytes:
    status, body = _call("GET", f"{base}{BUNDLE_PATH}", roots=None)
    if status != 200:
        raise Unavailable(
            f"expected the root bundle from {base}, got HTTP status {status}",
            hint="check the address and that serve runs there",
        )
    return body


def _worded(status: int, document: dict[str, Any]) -> Exception:
    """The server's refusal in our own classes."""
    error = document.get("error")
    members = error if isinstance(error, dict) else {}
    text = printable(members.get("message")) or f"HTTP status {status}"
    hint = printable(members.get("hint")) or None
    if status in {401, 403}:
        return Denied(text, hint=hint)
    if status in _USAGE_STATUSES:
        return UsageProblem(text, hint=hint)
    return Unavailable(text, hint=hint)


def printable(value: object) -> str:
    """What a server says, without characters that could steer a terminal; nothing for what is no text."""
    text = value if isinstance(value, str) else ""
    return "".join(character for character in text[:500] if character.isprintable())


def _call(
    method: str,
    url: str,
    *,
    roots: bytes | None,
    body: bytes | None = None,
    pair: KeyPair | None = None,
    limit: int = MAX_ANSWER,
    over: Conversation | None = None,
) -> tuple[int, bytes]:
    """One bounded HTTPS request; without roots nothing about the peer is verified."""
    arguments: dict[str, Any] = {"roots": roots, "body": body, "pair": pair, "limit": limit, "over": over}
    # A connection that was kept may have ended since: that is no answer to this request yet.
    tries = 3 if over is not None and over.is_open else 2
    for _ in range(tries - 1):
        try:
            return _call_once(method, url, **arguments)
        except _ConnectionEnded:
            time.sleep(AGAIN_SECONDS)
    return _call_once(method, url, **arguments)


def _call_once(
    method: str,
    url: str,
    *,
    roots: bytes | None,
    body: bytes | None,
    pair: KeyPair | None,
    limit: int,
    over: Conversation | None,
) -> tuple[int, bytes]:
    import warnings

    import urllib3

    headers = {"Content-Type": "application/json"} if body is not None else {}
    with _pool_of(over, roots, pair) as pool, warnings.catch_warnings():
        # The one unverified request is meant: what it brings is believed for its digest alone.
        warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
        try:
            response = pool.request(method, url, body=body, headers=headers, redirect=False, preload_content=False)
            data = response.read(limit + 1)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            forget_broken()
            raise _unreachable(url, error, is_ended=_is_ended(error)) from None
    if len(data) > limit:
        raise Unavailable(f"expected at most {limit} bytes from {url}")
    return response.status, data


@contextmanager
def _pool_of(over: Conversation | None, roots: bytes | None, pair: KeyPair | None) -> Iterator[PoolManager]:
    """A conversation's, which goes on unless the request fails; or one for a single request.

    A connection whose server nobody verified is of a single request: later ones of a conversation would believe it.
    """
    if over is None or roots is None:
        pool = build_pool(roots, pair)
        try:
            yield pool
        finally:
            pool.clear()
        return
    try:
        yield over.pool(roots, pair)
    except BaseException:
        over.close()
        raise


def build_pool(roots: bytes | None, pair: KeyPair | None) -> PoolManager:
    """Where connections are opened as ``tls_context`` says, and nothing is tried twice."""
    import urllib3

    return urllib3.PoolManager(ssl_context=tls_context(roots, pair), timeout=TIMEOUT_SECONDS, retries=False)


def tls_context(roots: bytes | None, pair: KeyPair | None) -> ssl.SSLContext:
    """How we shake hands as a client.

    Args:
        roots: the server is verified under these, PEM; None verifies nothing.
        pair: shown to the server, if given.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if roots is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cadata=roots.decode("ascii"))
    if pair is not None:
        with _in_memory(key_pem(pair.key) + certificate_pem(pair.certificate)) as path:
            context.load_cert_chain(path)
    return context


@contextmanager
def _in_memory(data: bytes) -> Iterator[str]:
    """A file that is on no disk (memfd_create(2)): Python's TLS takes keys from files alone."""
    descriptor = os.memfd_create("swarmsec", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        yield f"/proc/self/fd/{descriptor}"


class _ConnectionEnded(Unavailable):
    """The server ended a connection without an answer."""


def _is_ended(error: Exception) -> bool:
    import urllib3

    if isinstance(error, urllib3.exceptions.SSLError):
        return "EOF occurred" in str(error)
    return isinstance(error, urllib3.exceptions.ProtocolError | ConnectionResetError)


def _unreachable(url: str, error: Exception, *, is_ended: bool) -> Exception:
    if "certificate verify failed" in str(error):
        return Denied(
            f"the server at {url} is not the expected authority, or its certificate does not name this address",
            hint="start it with: swarmsec serve --name NAME; a node that missed a rotation of the root joins again",
        )
    kind = _ConnectionEnded if is_ended else Unavailable
    return kind(
        f"{url} could not be reached: {printable(str(error))[:200]}",
        hint="check the address and that serve runs there",
    )
