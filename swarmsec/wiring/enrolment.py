"""The node's side of joining: believe nothing before the root bundle matches the token, make the key here.

Files, in the form that Docker's own have: ``swarm-node.key`` (0600), ``swarm-root-ca.crt``, and last
``swarm-node.crt``; a directory without that last file is one where joining was interrupted, and the same command
goes on with the same key.
"""

from __future__ import annotations

import hmac
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from ca import pem
from ca.algorithms import PARSE_ERRORS
from ca.bundle import parse_bundle, parse_certificate, write_bundle
from ca.errors import CaError
from ca.hosts import parse_host
from ca.identity import NodeIdentity, identity_of
from ca.tokens import JoinToken, digest_of_bundle
from swarmsec.atomicfile import write_atomically
from swarmsec.errors import AlreadyExists, Denied, Unavailable, UsageProblem

CERTIFICATE: Final = "swarm-node.crt"
KEY: Final = "swarm-node.key"
ROOTS: Final = "swarm-root-ca.crt"
MAX_ANSWER: Final = 262_144
TIMEOUT_SECONDS: Final = 10.0
_SERVER: Final = re.compile(
    r"https://(?:\[(?P<address>[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>[1-9][0-9]{0,4}))?/?",
    re.ASCII,
)
_USAGE_STATUSES: Final = frozenset({400, 404, 405, 409, 412, 413, 415})


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What a node is from now on."""

    identity: NodeIdentity
    certificate: x509.Certificate
    directory: Path


def join(server: str, token_text: str, directory: Path, name: str | None) -> Joined:
    """Join this machine to an authority.

    Args:
        server: ``https://HOST:PORT``.
        token_text: a join token.
        directory: where the node's files go.
        name: the wanted node id; the authority picks one without it.

    Raises:
        ca.errors.InvalidToken: not a token.
        AlreadyExists: the directory holds a certificate.
        Denied: the authority is not the token's, or refuses.
        Unavailable: it cannot be reached, or a file cannot be written.
    """
    token = JoinToken.parse(token_text)
    base = _base_url(server)
    if (directory / CERTIFICATE).exists():
        raise AlreadyExists(f"{directory / CERTIFICATE} exists", hint="name another --dir, or remove it to join again")
    bundle = _verified_bundle(base, token)
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = _node_key(directory / KEY)
        answer = _redeem(base, bundle, token, key, name)
        joined = _verify_answer(answer, bundle, key, directory)
        write_atomically(directory / ROOTS, bundle, mode=0o644)
        write_atomically(directory / CERTIFICATE, _pem(joined.certificate), mode=0o644)
    except OSError as error:
        raise Unavailable(
            f"{error.filename or directory} could not be written: {error.strerror}",
            hint="check owner, mode and free space of --dir",
        ) from None
    return joined


def _base_url(server: str) -> str:
    found = _SERVER.fullmatch(server)
    if found is None or int(found["port"] or 443) > 65_535:
        # What stands before an @ may be a password.
        given = "one with a login" if "@" in server else f"{server!r:.100}"
        raise UsageProblem(f"expected --server https://HOST:PORT, got {given}")
    host = str(parse_host(found["address"] or found["name"]))
    port = f":{found['port']}" if found["port"] else ""
    return f"https://{f'[{host}]' if found['address'] else host}{port}"


def _verified_bundle(base: str, token: JoinToken) -> bytes:
    """Fetch the root bundle over a connection that proves nothing, and believe it for its digest alone."""
    status, body = _call("GET", f"{base}/api/v1/ca/bundle", roots=None)
    if status != 200:
        raise Unavailable(f"expected the root bundle from {base}, got HTTP status {status}")
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


def _node_key(path: Path) -> ec.EllipticCurvePrivateKey:
    if path.exists():
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except ValueError:
            key = None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise UsageProblem(f"expected an EC private key in {path}", hint="remove it or name another --dir")
        return key
    made = ec.generate_private_key(ec.SECP256R1())
    write_atomically(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), mode=0o600)
    return made


def _redeem(
    base: str, bundle: bytes, token: JoinToken, key: ec.EllipticCurvePrivateKey, name: str | None
) -> dict[str, Any]:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    members: dict[str, object] = {"token": token.format(), "csr": _pem(request).decode("ascii")}
    if name is not None:
        members["name"] = name
    status, body = _call("POST", f"{base}/api/v1/node/join", roots=bundle, body=json.dumps(members).encode())
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Unavailable(f"expected JSON from {base}, got something else with HTTP status {status}")
    if status != 200:
        raise _worded(status, document)
    return document


def _worded(status: int, document: dict[str, Any]) -> Exception:
    """The server's refusal in our own classes."""
    error = document.get("error")
    members = error if isinstance(error, dict) else {}
    text = _printable(members.get("message")) or f"HTTP status {status}"
    hint = _printable(members.get("hint")) or None
    if status in {401, 403}:
        return Denied(text, hint=hint)
    if status in _USAGE_STATUSES:
        return UsageProblem(text, hint=hint)
    return Unavailable(text, hint=hint)


def _printable(value: object) -> str:
    text = value if isinstance(value, str) else ""
    return "".join(character for character in text[:500] if character.isprintable())


def _verify_answer(answer: dict[str, Any], bundle: bytes, key: ec.EllipticCurvePrivateKey, directory: Path) -> Joined:
    refusal = Denied("the authority answered with a certificate that is not ours", hint="report this to its operator")
    try:
        (certificate_der,) = pem.parse_blocks(str(answer.get("certificate", "")).encode(), "CERTIFICATE")
        certificate = parse_certificate(certificate_der)
        certificate.verify_directly_issued_by(parse_bundle(bundle)[0])
        identity = identity_of(certificate)
    except (*PARSE_ERRORS, CaError, InvalidSignature):
        raise refusal from None
    own = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != own:
        raise refusal
    return Joined(identity=identity, certificate=certificate, directory=directory)


def _call(method: str, url: str, *, roots: bytes | None, body: bytes | None = None) -> tuple[int, bytes]:
    """One bounded HTTPS request; without roots nothing about the peer is verified."""
    import ssl
    import warnings

    import urllib3

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if roots is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(cadata=roots.decode("ascii"))
    headers = {"Content-Type": "application/json"} if body is not None else {}
    with (
        urllib3.PoolManager(ssl_context=context, timeout=TIMEOUT_SECONDS, retries=False) as pool,
        warnings.catch_warnings(),
    ):
        # The one unverified request is meant: what it brings is believed for its digest alone.
        warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
        try:
            response = pool.request(method, url, body=body, headers=headers, redirect=False, preload_content=False)
            data = response.read(MAX_ANSWER + 1)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise _unreachable(url, error) from None
    if len(data) > MAX_ANSWER:
        raise Unavailable(f"expected at most {MAX_ANSWER} bytes from {url}")
    return response.status, data


def _unreachable(url: str, error: Exception) -> Exception:
    if "certificate verify failed" in str(error):
        return Denied(
            f"the server at {url} is not the token's authority, or its certificate does not name this address",
            hint="start it with: swarmsec serve --name NAME",
        )
    return Unavailable(
        f"{url} could not be reached: {_printable(str(error))[:200]}",
        hint="check the address and that serve runs there",
    )


def _pem(value: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    return value.public_bytes(Encoding.PEM)
