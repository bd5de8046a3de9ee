"""Debian's ``cfssl`` as a client of the signing endpoint: what another implementation asks and understands."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ca.identity import NodeRole, identity_of
from tests.integration.serve_clients import Bearer, new_key, pem_of
from tests.integration.serve_world import ServedHome
from tests.peers.cfssl import build_node_csr, describe_certificate
from tests.unit.ca.authority import assert_extensions, key_id_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A manager that uses cfssl."""

    served: ServedHome
    manager: Bearer
    directory: Path

    def sign(self, node_id: str, role: str, hosts: list[str], *, organization: str = "") -> tuple[int, str, str]:
        """``cfssl sign -remote``; returns its exit code and both outputs."""
        certificate, key, root = (self.directory / name for name in ("crt.pem", "key.pem", "root.pem"))
        certificate.write_bytes(self.manager.certificate.public_bytes(Encoding.PEM))
        key.write_bytes(pem_of(self.manager.key))
        root.write_bytes(self.served.roots)
        request, subject = self.directory / "request.pem", self.directory / "subject.json"
        request.write_bytes(build_node_csr(new_key()))
        names = [{"O": organization or self.served.cluster_id, "OU": role}]
        subject.write_text(json.dumps({"CN": node_id, "names": names}))
        command = [
            *("cfssl", "sign", "-remote", self.served.url, "-tls-remote-ca", str(root)),
            *("-mutual-tls-client-cert", str(certificate), "-mutual-tls-client-key", str(key)),
            *(f"-hostname={','.join(hosts)}", str(request), str(subject)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    def issued(self) -> list[str]:
        return self.served.read(lambda transaction: [record.serial for record in transaction.certificates.all()])


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    directory = tmp_path_factory.mktemp("cfssl-client")
    with pytest.MonkeyPatch.context() as patch, ServedHome(directory) as home:
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        home.create().serve()
        yield Client(served=home, manager=home.node(NodeRole.MANAGER, "leader"), directory=directory)


@pytest.mark.parametrize("role", ["swarm-worker", "swarm-manager"])
def test_cfssl_gets_a_certificate_and_describes_it(role: str, client: Client) -> None:
    node_id = f"n{role[-6:]}"
    hosts = [role, node_id, *(["swarm-ca"] if role == "swarm-manager" else [])]

    status, out, said = client.sign(node_id, role, hosts)

    assert status == 0, said
    pem: str = json.loads(out)["cert"]
    certificate = x509.load_pem_x509_certificate(pem.encode())
    identity = identity_of(certificate)
    root = x509.load_pem_x509_certificate(client.served.roots)
    assert_extensions(
        certificate,
        {
            "KeyUsage": (True, "digital_signature"),
            "ExtendedKeyUsage": (False, "1.3.6.1.5.5.7.3.1 1.3.6.1.5.5.7.3.2"),
            "BasicConstraints": (True, "ca=False pathlen=None"),
            "SubjectKeyIdentifier": (False, key_id_of(certificate)),
            "AuthorityKeyIdentifier": (False, key_id_of(root)),
            "SubjectAlternativeName": (False, " ".join(hosts)),
        },
    )
    assert (identity.node_id, identity.role.value) == (node_id, role)
    described: dict[str, Any] = describe_certificate(pem.encode())
    assert described["sans"] == hosts
    assert described["subject"]["common_name"] == node_id
    assert described["sigalg"] == "ECDSAWithSHA256"


@pytest.mark.parametrize(
    ("role", "hosts", "organization", "why"),
    [
        ("swarm-worker", ["swarm-worker"], "", "expected exactly the hosts swarm-worker, n1"),
        ("swarm-worker", ["swarm-worker", "other"], "", "expected exactly the hosts swarm-worker, n1"),
        ("swarm-worker", ["swarm-worker", "n1", "evil.example"], "", "expected exactly the hosts swarm-worker, n1"),
        ("swarm-manager", ["swarm-manager", "n1"], "", "expected exactly the hosts swarm-manager, n1, swarm-ca"),
        ("swarm-worker", ["swarm-worker", "n1"], "anothercluster", "cluster"),
        ("admin", ["admin", "n1"], "", "swarm-worker"),
    ],
)
def test_cfssl_understands_a_refusal(role: str, hosts: list[str], organization: str, why: str, client: Client) -> None:
    before = client.issued()

    status, out, said = client.sign("n1", role, hosts, organization=organization)

    assert (status != 0 or not out.strip(), client.issued()) == (True, before), (out, said)
    assert "BEGIN CERTIFICATE" not in out
    # A CFSSL error has a code and a message, and it repeats ours.
    assert '"code"' in said
    assert why in said
