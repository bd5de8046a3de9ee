"""Manifests from a registry, by tag or digest: exact bytes with the digest that we computed.

OCI distribution specification 1.1, "Pulling manifests" (end-3). ``Docker-Content-Digest`` is only a claim and is held
against our own digest. What an answer means for the caller: 404 and bytes that are wrong are an answer (``Denied``);
401, 403, 429, 5xx and silence are none (``Unavailable``), so that a registry that throttles never reads as an image
that is not there. 429, 5xx and broken connections are tried again a few times, within bounds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from notary.errors import InvalidDigest
from notary.manifest import MAX_MANIFEST_BYTES, Manifest, MediaType, parse_manifest, verify_digest
from notary.reference import DEFAULT_TAG, Digest, ImageReference
from swarmsec.errors import Denied, Unavailable, UsageProblem
from swarmsec.registry.hosts import Address, Origin, parse_url, registry_origins
from swarmsec.registry.transport import Answer, NoConnection, Transport

if TYPE_CHECKING:
    from swarmsec.registry.credentials import Login

ATTEMPTS: Final = 3
MAX_REDIRECTS: Final = 3
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 5.0
"""Seconds: before the second attempt, doubling; and what ``Retry-After`` may ask for at most."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_ACCEPT: Final = ", ".join(MediaType)
"""All of them: a registry converts to what it thinks is accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """A manifest's or index's exact bytes, and what they were parsed to."""

    data: bytes
    manifest: Manifest


class NoSuchImage(Denied):
    """The registry says that there is no such tag, digest or repository."""


class RegistryClient:
    """Pulls manifests.

    Args:
        transport: brings bytes.
        login_of: finds the login of a registry by its name; asked when the registry wants one.
        insecure: hosts that may be spoken to in plain HTTP beside loopback.
        pause: waits between attempts, in seconds.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        login_of: Callable[[str], Login | None],
        insecure: Collection[str] = (),
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._transport = transport
        self._login_of = login_of
        self._insecure = insecure
        self._pause = pause
        self._origins: dict[str, Origin] = {}
        self._authorizations: dict[tuple[str, str], str] = {}

    def pull(self, reference: ImageReference) -> Pulled:
        """Pull the manifest or index that a reference means in its registry: by tag where it has one.

        Raises:
            NoSuchImage: there is none.
            NotTrusted: the bytes are not what they must be.
            Denied: the registry sends us where we may not go, or too much.
            Unavailable: no usable answer.
        """
        asked = reference.tag or (str(reference.digest) if reference.digest is not None else DEFAULT_TAG)
        return self._pull(reference, asked)

    def pull_digest(self, reference: ImageReference, digest: Digest) -> Pulled:
        """Pull by digest alone, whatever the tag means; errors as ``pull``."""
        return self._pull(reference, str(digest))

    def _pull(self, reference: ImageReference, asked: str) -> Pulled:
        answer = self._ask(reference, f"/v2/{reference.path}/manifests/{asked}")
        if answer.status == 404:
            raise NoSuchImage(f"no image {reference.repository}, {asked}, in the registry", hint="check name and tag")
        if answer.status != 200:
            raise _refused(reference, answer.status)
        if ":" in asked:
            verify_digest(answer.body, Digest.parse(asked))
        _verify_claim(answer)
        manifest = parse_manifest(answer.body, content_type=answer.headers.get("content-type"))
        return Pulled(data=answer.body, manifest=manifest)

    def _ask(self, reference: ImageReference, path: str) -> Answer:
        """Ask until there is an answer that is not for later."""
        pause = FIRST_PAUSE
        for attempt in range(1, ATTEMPTS + 1):
            wait = pause
            try:
                answer = self._ask_authorized(reference, path)
            except NoConnection:
                if attempt == ATTEMPTS:
                    raise
            else:
                if answer.status != 429 and answer.status < 500:
                    return answer
                if attempt == ATTEMPTS:
                    raise _refused(reference, answer.status)
                wait = max(pause, _retry_after(answer))
            self._pause(min(wait, LONGEST_PAUSE))
            pause *= 2
        raise AssertionError("the last attempt answers or raises")

    def _ask_authorized(self, reference: ImageReference, path: str) -> Answer:
        key = (reference.domain, reference.path)
        answer, origin = self._ask_origin(reference.domain, path, self._authorizations.get(key))
        if answer.status != 401:
            return answer
        from swarmsec.registry.challenges import answer_challenge, parse_challenge  # most verify without a login

        self._authorizations.pop(key, None)
        challenge = parse_challenge(answer.headers.get("www-authenticate", ""))
        self._authorizations[key] = answer_challenge(
            challenge,
            registry=origin,
            path=reference.path,
            login=self._login_of(reference.domain),
            transport=self._transport,
            insecure=self._insecure,
        )
        return self._ask_origin(reference.domain, path, self._authorizations[key])[0]

    def _ask_origin(self, domain: str, path: str, authorization: str | None) -> tuple[Answer, Origin]:
        origin = self._origins.get(domain)
        if origin is None:
            origin = self._origins[domain] = self._found_origin(domain)
        return self._follow(Address(origin=origin, path=path), authorization), origin

    def _found_origin(self, domain: str) -> Origin:
        """Where a registry's API is: behind TLS, or, only where plain HTTP is allowed and there is no TLS, without."""
        secure, *plain = registry_origins(domain, insecure=self._insecure)
        if not plain:
            return secure
        try:
            return secure if self._transport.speaks_tls(secure) else plain[0]
        except NoConnection:
            # Without a port the two are at different ones.
            return plain[0]

    def _follow(self, address: Address, authorization: str | None) -> Answer:
        first = address.origin
        for _ in range(MAX_REDIRECTS + 1):
            headers = {"Accept": _ACCEPT}
            if authorization is not None and address.origin == first:
                headers["Authorization"] = authorization
            answer = self._transport.get(address, headers=headers, limit=MAX_MANIFEST_BYTES)
            if answer.status not in _REDIRECTS:
                return answer
            address = self._redirected(address, answer)
        raise Denied(f"expected at most {MAX_REDIRECTS} redirects from {first}, got more")

    def _redirected(self, address: Address, answer: Answer) -> Address:
        location = answer.headers.get("location", "")
        if location.startswith("/") and not location.startswith("//"):
            location = f"{address.origin}{location}"
        try:
            target = parse_url(location, insecure=self._insecure)
        except UsageProblem:
            raise Denied(f"expected {address.origin} to redirect to a URL, got something else") from None
        if address.origin.scheme == "https" and target.origin.scheme != "https":
            raise Denied(f"expected a redirect to https, as {address.origin} is, got {target.origin}")
        return target


def _verify_claim(answer: Answer) -> None:
    """A registry that contradicts its own bytes is broken or lies."""
    claimed = answer.headers.get("docker-content-digest")
    if claimed is None:
        return
    try:
        digest = Digest.parse(claimed)
    except InvalidDigest as error:
        raise Denied(f"what the registry says of the image cannot be read: {error}") from None
    verify_digest(answer.body, digest)


def _refused(reference: ImageReference, status: int) -> Unavailable:
    hint = {401: f"log in: docker login {reference.domain}", 403: "check what the login may pull"}
    return Unavailable(
        f"the registry gave no answer about {reference.repository}: HTTP status {status}",
        hint=hint.get(status, "try again later"),
    )


def _retry_after(answer: Answer) -> float:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) <= 6 else 0.0
