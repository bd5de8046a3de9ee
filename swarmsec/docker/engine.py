"""Speaking with a Docker Engine: bounded requests, and every failure in our own words.

The ``docker`` package brings the transport (unix socket, TCP with TLS). Its ``swarm.update`` is not used: it writes a
specification that it makes up itself, which switches autolock off, drops external authorities and rotates the root
unasked. Objects go through here as the JSON that they are, so that members of later versions are kept.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from swarmsec.brokentls import forget_broken
from swarmsec.docker.endpoint import DockerEndpoint
from swarmsec.errors import (
    AlreadyExists,
    Changed,
    Denied,
    NotFound,
    SwarmsecError,
    Unavailable,
    UsageProblem,
)
from swarmsec.peertrust import bare_context

if TYPE_CHECKING:
    import requests
    from requests.adapters import HTTPAdapter

MAX_ANSWER: Final = 128 << 20
"""A Swarm of 10,000 nodes describes itself in about 30 MiB."""
CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 25.0
"""An engine itself gives its Swarm 20 seconds."""
OLDEST_API: Final = "1.40"
_VERSION: Final = re.compile(r"1[.][0-9]{1,3}")
_PART: Final = 1 << 16
_MAX_WORDS: Final = 300
_NO_LEADER: Final = ("does not have a leader", "no elected primary", "has lost its quorum", "context deadline exceeded")


class EngineApi:
    """One engine's HTTP API.

    Args:
        endpoint: where it is.
        answer_seconds: how long each part of an answer may take.
    """

    def __init__(self, endpoint: DockerEndpoint, *, answer_seconds: float = ANSWER_SECONDS) -> None:
        self.endpoint = endpoint
        self._timeout = (CONNECT_SECONDS, answer_seconds)
        self._session: requests.Session | None = None
        self._base = ""

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """Read an object; errors as ``call``."""
        return self.call("GET", path, query=query)

    def call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> Any:
        """Send one request.

        Args:
            path: without a version, such as ``/swarm``; the engine's own newest version is put before it.
            body: sent as JSON.

        Returns:
            the answer's JSON, None where it is empty.

        Raises:
            Unavailable: no engine there, no answer in time, or one that cannot be understood; locked; no leader.
            UsageProblem: the engine is no manager, or refuses the request as wrong.
            NotFound, AlreadyExists, Changed, Denied: as the engine says.
        """
        self._knock()
        session = self._open()
        data = None if body is None else msgspec.json.encode(body)
        headers = {} if data is None else {"Content-Type": "application/json"}
        return self._decoded(
            self._send(session, method, f"{self._base}{path}", params=query, data=data, headers=headers)
        )

    def close(self) -> None:
        """Let go of the connections."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _open(self) -> requests.Session:
        if self._session is not None:
            return self._session
        from docker import APIClient
        from docker.errors import DockerException, TLSParameterError

        try:
            client = APIClient(
                base_url=self.endpoint.url, version=OLDEST_API, timeout=self._timeout[1], tls=self._tls() or False
            )
        except TLSParameterError as error:
            raise self._no_tls(error) from None
        except (DockerException, OSError, ValueError) as error:
            raise self._unreachable(error) from None
        # What this machine's environment says of proxies, logins and roots is not for an engine.
        client.trust_env = False
        client.mount("https://", _tls_adapter())
        try:
            version = self._decoded(self._send(client, "GET", f"{client.base_url}/version"))
            self._base = f"{client.base_url}/v{_api_version(version)}"
        except BaseException:
            client.close()
            raise
        session: requests.Session = client
        self._session = session
        return session

    def _send(self, session: requests.Session, method: str, url: str, **options: Any) -> bytes:
        from requests.exceptions import RequestException

        try:
            with session.request(
                method, url, timeout=self._timeout, allow_redirects=False, stream=True, **options
            ) as response:
                content = self._content(response)
        except (RequestException, OSError) as error:
            forget_broken()
            raise self._unreachable(error) from None
        if not 200 <= response.status_code < 300:
            raise refusal_of(response.status_code, content, self.endpoint.url)
        return content

    def _knock(self) -> None:
        """See that a socket answers; the package under us leaves a descriptor behind where none does."""
        if not self.endpoint.url.startswith("unix://"):
            return
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(CONNECT_SECONDS)
            try:
                probe.connect(self.endpoint.url.removeprefix("unix://"))
            except OSError as error:
                raise self._unreachable(error) from None

    def _tls(self) -> Any:
        directory = self.endpoint.tls
        if directory is None:
            return None
        from docker.errors import TLSParameterError
        from docker.tls import TLSConfig

        try:
            return TLSConfig(
                client_cert=(str(directory / "cert.pem"), str(directory / "key.pem")),
                ca_cert=str(directory / "ca.pem"),
                verify=True,
            )
        except (TLSParameterError, OSError) as error:
            raise self._no_tls(error) from None

    def _no_tls(self, error: Exception) -> SwarmsecError:
        return UsageProblem(
            f"expected ca.pem, cert.pem and key.pem in {self.endpoint.tls}: {printable(str(error))}",
            hint="name their directory with --docker-tls",
        )

    def _content(self, response: requests.Response) -> bytes:
        parts, size = [], 0
        for part in response.iter_content(_PART):
            size += len(part)
            if size > MAX_ANSWER:
                raise Unavailable(f"expected at most {MAX_ANSWER} bytes from the Docker Engine at {self.endpoint.url}")
            parts.append(part)
        return b"".join(parts)

    def _decoded(self, content: bytes) -> Any:
        if not content.strip():
            return None
        try:
            return msgspec.json.decode(content)
        except (ValueError, RecursionError):
            raise Unavailable(
                f"expected JSON from the Docker Engine at {self.endpoint.url}, got something else",
                hint="check that a Docker Engine listens there",
            ) from None

    def _unreachable(self, error: BaseException) -> SwarmsecError:
        text, where = str(error), self.endpoint.url
        if "timed out" in text.lower() or "timeout" in type(error).__name__.lower():
            return Unavailable(
                f"the Docker Engine at {where} did not answer in time",
                hint="see how it is doing with: docker --host HOST info",
            )
        if "certificate verify failed" in text or "doesn't match" in text:
            return Denied(
                f"the Docker Engine at {where} showed a certificate that is not under {self.endpoint.tls}/ca.pem",
                hint="check the address and --docker-tls",
            )
        hint = "check that it runs, or name another one with --docker HOST"
        if "Permission denied" in text:
            hint = "run this as a user who may use Docker"
        if "alert" in text or "HTTP request to an HTTPS" in text:
            hint = "it asks for TLS with a client certificate: name the directory of yours with --docker-tls"
        return Unavailable(f"no Docker Engine answers at {where}: {_cause(text)}", hint=hint)


def refusal_of(status: int, content: bytes, where: str) -> SwarmsecError:
    """An engine's refusal in our own words.

    Args:
        status: of HTTP.
        content: the body.
        where: the engine.

    Returns:
        the error to raise.
    """
    words = engine_words(content) or f"HTTP status {status}"
    if "update out of sequence" in words:
        return Changed("somebody else changed the same object meanwhile", hint="look at it again, then repeat")
    if status == 503 and "encrypted and needs to be unlocked" in words:
        return Unavailable(f"the Swarm is locked on {where}", hint="unlock it with: swarmsec swarm autolock unlock")
    if status == 503 and ("not a swarm manager" in words or "not part of a swarm" in words):
        return UsageProblem(
            f"the Docker Engine at {where} is not a manager of a Swarm", hint="name a manager with --docker HOST"
        )
    if status == 503 or any(sign in words for sign in _NO_LEADER):
        return Unavailable(f"the Swarm cannot answer now: {words}", hint="see: docker node ls")
    match status:
        case 404:
            return NotFound(words)
        case 409:
            return AlreadyExists(words)
        case 401 | 403:
            return Denied(words)
        case _ if 400 <= status < 500:
            return UsageProblem(f"the Docker Engine refused: {words}")
        case _:
            return Unavailable(f"the Docker Engine failed: {words}", hint="its log says more")


def engine_words(content: bytes) -> str:
    """What an engine says in an error, without the frame that gRPC puts around it."""
    text = ""
    with suppress(ValueError, RecursionError):
        document = msgspec.json.decode(content[:_PART])
        if isinstance(document, dict):
            text = str(document.get("message", ""))
    _, frame, rest = text.partition("rpc error: code = ")
    if frame:
        text = rest.partition(" desc = ")[2] or rest
    return printable(text)


def printable(text: str) -> str:
    """A stranger's words without characters that could steer a terminal, cut to a sentence or two."""
    return "".join(character if character.isprintable() else " " for character in text[:_MAX_WORDS]).strip()


def _tls_adapter() -> HTTPAdapter:
    from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter

    adapter = HTTPAdapter()
    adapter.init_poolmanager(DEFAULT_POOLSIZE, DEFAULT_POOLSIZE, ssl_context=bare_context())
    return adapter


def _api_version(document: object) -> str:
    """The engine's newest version of its API; with an older one it would leave members out that must be kept."""
    version = document.get("ApiVersion") if isinstance(document, dict) else None
    if not isinstance(version, str) or _VERSION.fullmatch(version) is None:
        raise Unavailable(
            "expected the version of a Docker Engine, got something else",
            hint="check that a Docker Engine listens there",
        )
    return version


def _cause(text: str) -> str:
    for sign in ("No such file or directory", "Permission denied", "Connection refused", "Name or service not known"):
        if sign in text:
            return sign.lower()
    return printable(text)[:120]
