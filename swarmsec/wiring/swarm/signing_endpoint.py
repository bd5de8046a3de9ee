"""Our signing endpoint as the Swarm's leader meets it: an address, and a TLS handshake under our root."""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from ca.hosts import parse_host
from swarmsec.docker.external_ca import PATH
from swarmsec.errors import UsageProblem

DIAL_SECONDS: Final = 5.0
"""As long as SwarmKit waits (swarmkit, ca/external.go)."""
_URL: Final = re.compile(
    r"https://(?:\[(?P<address>[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)\]|(?P<name>[A-Za-z0-9._-]{1,253}))"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?(?P<path>/[A-Za-z0-9._~/-]{0,200})?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningUrl:
    """Where managers send signing requests: exactly this text is what Docker calls."""

    host: str
    port: int
    text: str

    @classmethod
    def parse(cls, text: str) -> SigningUrl:
        """Check an address; without a path it gets the endpoint's own.

        Raises:
            UsageProblem: it is no ``https://HOST[:PORT][/PATH]``.
            ca.errors.InvalidRequest: the host is no name or address.
        """
        found = _URL.fullmatch(text)
        if found is None or int(found["port"] or 443) > 65_535:
            given = "one with a login" if "@" in text else f"{text[:100]!r}"
            hint = "for example https://ca.example.internal:8443"
            raise UsageProblem(f"expected --url https://HOST:PORT, got {given}", hint=hint)
        host = str(parse_host(found["address"] or found["name"]))
        path = found["path"] if found["path"] not in (None, "/") else PATH
        port = int(found["port"] or 443)
        shown = f"[{host}]" if found["address"] else host
        written = f"https://{shown}{':' + found['port'] if found['port'] else ''}{path}"
        return cls(host=host, port=port, text=written)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialled:
    """How a handshake went.

    Args:
        problem: why it failed; empty where the server is ours.
        cluster_id: the cluster that the server's certificate is of; empty where there was none.
    """

    problem: str
    cluster_id: str = ""

    @property
    def answers(self) -> bool:
        """Whether the server is there, under the root, with the name."""
        return not self.problem


def dial(url: SigningUrl, root_pem: str) -> Dialled:
    """Shake hands with an endpoint, trusting one root alone, and ask nothing of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=root_pem)
    try:
        with (
            socket.create_connection((url.host, url.port), timeout=DIAL_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=url.host) as connection,
        ):
            der = connection.getpeercert(binary_form=True) or b""
    except ssl.SSLCertVerificationError as error:
        return Dialled(problem=f"its certificate is refused: {error.verify_message}")
    except TimeoutError:
        return Dialled(problem="it does not answer in time")
    except OSError as error:
        return Dialled(problem=(error.strerror or str(error)).lower()[:200])
    return Dialled(problem="", cluster_id=_cluster_of(der))


def _cluster_of(der: bytes) -> str:
    names = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return str(names[0].value) if len(names) == 1 else ""
