"""The signing requests that Swarm managers send to an external CA, byte for byte, and Debian's ``cfssl`` as a judge.

A manager encodes CFSSL's ``signer.SignRequest`` with Go's ``encoding/json``; the structure grew between the CFSSL of
Docker 20.10 and that of Docker 25 and later. Members without a JSON name keep their Go name, an unset time is year 1.

The shapes of Docker 20.10 are proven against captured requests (``captured/README.md``), those of later ones are from
SwarmKit's source. What a Docker 20.10 leader was measured to do around these requests, during
``docker swarm ca --rotate --ca-cert R --external-ca protocol=cfssl,url=…,cacert=R`` in a Swarm whose root was C:

- First it dials the server once, offers its certificate and closes without a request. With TLS 1.3 that succeeds even
  when the server then refuses the certificate, so a refusal is only seen in the engine's log, every ten seconds.
- Then it, and never another manager, sends one request per node, in no fixed order, over HTTP/1.1 without ALPN on a
  connection that is kept alive. A join sends the same request twice over one connection; a promotion, a demotion and
  each renewal bring a new key. After a change of leader the new one connects with its own certificate.
- Connections opened before its own renewal offer the leaf under C alone. Later ones offer the leaf under R followed by
  R signed by C, also after the rotation, until its next renewal. An open connection is used on with the identity that
  it began with, and one that is no longer used is not closed for minutes. So a server that trusts both roots sees
  either chain, one that trusts only C accepts it until that renewal, and one that trusts only R gets no
  request through, and the rotation never ends.
- C and R may have the same subject, ``CN=swarm-ca``. OpenSSL then finds the right one only by the authority key
  identifier of the leaf; without it every handshake after the leader's renewal failed.
"""

from __future__ import annotations

import json
import subprocess
from enum import Enum
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.peers.errors import PeerProblem

UNSET_TIME = "0001-01-01T00:00:00Z"
# basicConstraints with cA set, as the managers hex-encode it: SEQUENCE { BOOLEAN TRUE }.
CA_CONSTRAINT = {"id": "2.5.29.19", "critical": True, "value": "30030101ff"}


class DockerGeneration(Enum):
    """Which CFSSL structure an engine was built with."""

    DOCKER_20_10 = "20.10"
    DOCKER_25 = "25 and later"


def build_node_csr(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A node's certificate request as SwarmKit makes it: an empty subject and no extensions; PEM."""
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def build_sign_request(
    csr_pem: bytes, *, node_id: str, cluster_id: str, role: str, generation: DockerGeneration
) -> bytes:
    """The body by which a manager asks for a node's certificate.

    Args:
        csr_pem: the node's request, PEM.
        node_id: 25 characters of base 36; becomes the common name and a host.
        cluster_id: the same form; becomes the organization.
        role: ``swarm-worker`` or ``swarm-manager``; managers are also named ``swarm-ca``.
        generation: the engine's CFSSL.
    """
    hosts = [role, node_id] + (["swarm-ca"] if role == "swarm-manager" else [])
    subject = {
        "CN": node_id,
        "names": [_name(cluster_id, role, generation)],
        "SerialNumber": "",
    }
    return _encode(hosts, csr_pem, subject, profile="", extensions=[], generation=generation)


def build_cross_sign_request(csr_pem: bytes, *, generation: DockerGeneration) -> bytes:
    """The body by which a manager asks the old external root to sign a new root, on the way to an internal one.

    Args:
        csr_pem: a request of the new root's key for the subject ``CN=swarm-ca``, PEM.
        generation: the engine's CFSSL.
    """
    subject: dict[str, Any] = {"CN": "swarm-ca", "names": [], "SerialNumber": ""}
    return _encode(None, csr_pem, subject, profile="CA", extensions=[CA_CONSTRAINT], generation=generation)


def describe_certificate(pem: bytes) -> dict[str, Any]:
    """What ``cfssl certinfo`` reads in a certificate.

    Raises:
        PeerProblem: it refuses the certificate.
    """
    done = subprocess.run(["cfssl", "certinfo", "-cert", "-"], input=pem, capture_output=True, check=False, timeout=30)
    if done.returncode != 0:
        raise PeerProblem(f"cfssl certinfo: {done.stderr.decode(errors='replace').strip()}")
    described: dict[str, Any] = json.loads(done.stdout)
    return described


def _name(cluster_id: str, role: str, generation: DockerGeneration) -> dict[str, str]:
    if generation is DockerGeneration.DOCKER_25:
        return {"O": cluster_id, "OU": role}
    return {"C": "", "ST": "", "L": "", "O": cluster_id, "OU": role, "SerialNumber": ""}


def _encode(
    hosts: list[str] | None,
    csr_pem: bytes,
    subject: dict[str, Any],
    *,
    profile: str,
    extensions: list[dict[str, Any]],
    generation: DockerGeneration,
) -> bytes:
    body: dict[str, Any] = {
        "hosts": hosts,
        "certificate_request": csr_pem.decode("ascii"),
        "subject": subject,
        "profile": profile,
        "crl_override": "",
        "label": "",
    }
    if extensions:
        body["extensions"] = extensions
    if generation is DockerGeneration.DOCKER_25:
        body |= {"NotBefore": UNSET_TIME, "NotAfter": UNSET_TIME, "ReturnPrecert": False, "metadata": None}
    return json.dumps(body, separators=(",", ":")).encode("ascii")
