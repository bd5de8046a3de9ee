"""The external CA endpoint of the real server, asked as managers ask, its certificates judged by OpenSSL."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ca.identity import NodeRole, identity_of
from tests.integration.serve_clients import Bearer, new_key
from tests.integration.serve_world import ServedHome
from tests.peers.cfssl import (
    DockerGeneration,
    build_cross_sign_request,
    build_node_csr,
    build_sign_request,
    describe_certificate,
)
from tests.peers.errors import PeerProblem

SPKI = PublicFormat.SubjectPublicKeyInfo
SIGN = ("POST", "/api/v1/cfssl/sign")
CAPTURED = Path(__file__).parents[1] / "peers" / "captured"
CAPTURED_CLUSTER = json.loads((CAPTURED / "docker-20.10-worker.json").read_text())["subject"]["names"][0]["O"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leader:
    """A manager that asks the server."""

    served: ServedHome
    bearer: Bearer

    def ask(self, body: bytes) -> Any:
        """The answer's JSON; decisions are always HTTP 200."""
        answer = self.served.ask(*SIGN, bearer=self.bearer, body=body)
        assert answer.status == 200, answer
        document = answer.json()
        assert set(document) == {"success", "result", "errors", "messages"}
        return document

    def certificate(self, body: bytes) -> bytes:
        document = self.ask(body)
        assert document["success"] is True, document
        pem: str = document["result"]["certificate"]
        return pem.encode()

    def refusal(self, body: bytes) -> str:
        before = self.issued()
        document = self.ask(body)
        assert document["success"] is False
        assert document["result"] is None
        assert self.issued() == before
        return str(document["errors"][0]["message"])

    def issued(self) -> list[tuple[str, str]]:
        """Serials with their state."""
        return self.served.read(
            lambda transaction: [(record.serial, str(record.status)) for record in transaction.certificates.all()]
        )

    def request(self, node_id: str, key: ec.EllipticCurvePrivateKey, role: str = "swarm-worker") -> dict[str, Any]:
        """A request's members, to be changed by a test."""
        found: dict[str, Any] = json.loads(self.body(node_id, key, role))
        return found

    def body(
        self,
        node_id: str,
        key: ec.EllipticCurvePrivateKey,
        role: str = "swarm-worker",
        generation: DockerGeneration = DockerGeneration.DOCKER_25,
    ) -> bytes:
        return build_sign_request(
            build_node_csr(key), node_id=node_id, cluster_id=CAPTURED_CLUSTER, role=role, generation=generation
        )


@pytest.fixture(scope="module")
def leader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leader]:
    directory = tmp_path_factory.mktemp("signing")
    with pytest.MonkeyPatch.context() as patch, ServedHome(directory) as home:
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        home.create(cluster_id=CAPTURED_CLUSTER).serve()
        yield Leader(served=home, bearer=home.node(NodeRole.MANAGER, "leader"))


@pytest.mark.parametrize("generation", list(DockerGeneration))
@pytest.mark.parametrize("role", ["swarm-worker", "swarm-manager"])
def test_both_shapes_get_a_certificate(generation: DockerGeneration, role: str, leader: Leader) -> None:
    key = new_key()
    node_id = f"shape{generation.name[-2:].lower()}{role[-7:-1]}"

    certificate = x509.load_pem_x509_certificate(leader.certificate(leader.body(node_id, key, role, generation)))

    assert certificate.public_key() == key.public_key()
    assert identity_of(certificate).node_id == node_id
    assert identity_of(certificate).role.value == role


@pytest.mark.parametrize("name", ["docker-20.10-worker.json", "docker-20.10-manager.json"])
def test_captured_requests_are_signed_byte_for_byte(name: str, leader: Leader) -> None:
    pem = leader.certificate((CAPTURED / name).read_bytes())

    described = describe_certificate(pem)
    assert described["subject"]["organization"] == CAPTURED_CLUSTER


def test_a_repeated_request_gets_the_same_certificate(leader: Leader) -> None:
    body = leader.body("twice", new_key())

    first = leader.certificate(body)

    assert leader.certificate(body) == first


def test_a_key_serves_one_identity(leader: Leader) -> None:
    key = new_key()
    leader.certificate(leader.body("owner", key))

    assert "another identity" in leader.refusal(leader.body("thief", key))


def test_a_revoked_key_is_not_signed_again(leader: Leader) -> None:
    key = new_key()
    leader.certificate(leader.body("leaver", key))
    assert leader.served.run("ca", "revoke", "leaver").returncode == 0

    assert "revoked" in leader.refusal(leader.body("leaver", key))
    leader.certificate(leader.body("leaver", new_key()))


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda body: body["hosts"].append("extra.example"), "hosts", id="one host too many"),
        pytest.param(lambda body: body["hosts"].pop(), "hosts", id="one host too few"),
        pytest.param(lambda body: body.update(hosts=[]), "hosts", id="no hosts"),
        pytest.param(lambda body: body.update(hosts=["x"] * 1000), "hosts", id="a thousand hosts"),
        pytest.param(lambda body: body["hosts"].append("swarm-manager"), "hosts", id="a manager's host"),
        pytest.param(lambda body: body["subject"]["names"][0].update(O="other"), "cluster", id="another cluster"),
        pytest.param(lambda body: body["subject"]["names"][0].update(OU="swarm-ca"), "unit", id="another unit"),
        pytest.param(lambda body: body["subject"]["names"].append({}), "names", id="two names"),
        pytest.param(lambda body: body["subject"].update(CN=""), "", id="no name"),
        pytest.param(lambda body: body["subject"].update(CN="swarm-ca"), "", id="the authority's name"),
        pytest.param(lambda body: body["subject"].update(CN=["x"]), "text in CN", id="a list as name"),
        pytest.param(
            lambda body: body.update(profile="CA"), "a root named CN=swarm-ca", id="the profile of authorities"
        ),
        pytest.param(lambda body: body.update(certificate_request=""), "", id="no request"),
        pytest.param(lambda body: body.update(certificate_request="x" * 40_000), "", id="no PEM"),
        pytest.param(lambda body: body.update(subject=None), "object in subject", id="no subject"),
    ],
)
def test_what_swarmkit_would_not_ask_for_is_refused(change: Change, said: str, leader: Leader) -> None:
    body = leader.request("refused", new_key())
    change(body)

    assert said in leader.refusal(json.dumps(body).encode())


@pytest.mark.parametrize("generation", list(DockerGeneration))
def test_no_authority_is_signed(generation: DockerGeneration, leader: Leader) -> None:
    subject = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "swarm-ca")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(new_key(), hashes.SHA256())

    leader.refusal(build_cross_sign_request(request.public_bytes(Encoding.PEM), generation=generation))
    leader.refusal((CAPTURED / "docker-20.10-cross-sign.json").read_bytes())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"hosts":[],"hosts":[]}', b"[" * 60_000, b"\xff\xfe"])
def test_what_is_no_request_is_refused(body: bytes, leader: Leader) -> None:
    leader.refusal(body)


def _with_csr(leader: Leader, pem: bytes) -> bytes:
    return json.dumps(leader.request("keys", new_key()) | {"certificate_request": pem.decode()}).encode()


def _csr(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> x509.CertificateSigningRequest:
    return x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(lambda: rsa.generate_private_key(65537, 1024), id="rsa 1024"),
        pytest.param(lambda: ec.generate_private_key(ec.SECP192R1()), id="p192"),
        pytest.param(lambda: ec.generate_private_key(ec.SECP256K1()), id="secp256k1"),
    ],
)
def test_weak_keys_are_refused(key: Callable[[], ec.EllipticCurvePrivateKey], leader: Leader) -> None:
    leader.refusal(_with_csr(leader, _csr(key()).public_bytes(Encoding.PEM)))


def test_an_oversized_key_is_refused_without_its_cost(leader: Leader) -> None:
    spki = rsa.RSAPublicNumbers(65537, 2**16_384 - 1).public_key().public_bytes(Encoding.DER, SPKI)
    algorithm = _der(0x30, bytes.fromhex("06092a864886f70d01010b0500"))
    info = _der(0x30, b"\x02\x01\x00" + _der(0x30, b"") + spki + _der(0xA0, b""))
    der = _der(0x30, info + algorithm + _der(0x03, bytes(2049)))
    pem = x509.load_der_x509_csr(der).public_bytes(Encoding.PEM)

    assert "key" in leader.refusal(_with_csr(leader, pem))


def _der(tag: int, content: bytes) -> bytes:
    length = len(content).to_bytes(2, "big")
    return bytes([tag]) + (length[1:] if len(content) < 128 else b"\x82" + length) + content


def test_a_request_that_its_key_did_not_sign_is_refused(leader: Leader) -> None:
    der = bytearray(_csr(new_key()).public_bytes(Encoding.DER))
    der[-1] ^= 1
    damaged = x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM)

    leader.refusal(_with_csr(leader, damaged))


def test_what_a_csr_asks_for_beyond_its_key_is_ignored(leader: Leader) -> None:
    key = new_key()
    greedy = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.oid.NameOID.ORGANIZATIONAL_UNIT_NAME, "swarm-manager")]))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("swarm-manager")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    body = leader.request("greedy", key) | {"certificate_request": greedy.public_bytes(Encoding.PEM).decode()}

    document = leader.ask(json.dumps(body).encode())

    if document["success"]:
        certificate = x509.load_pem_x509_certificate(document["result"]["certificate"].encode())
        assert identity_of(certificate).role is NodeRole.WORKER
        assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["swarm-worker", "greedy"]


def test_openssl_judges_the_certificate(leader: Leader, tmp_path: Path) -> None:
    key = new_key()
    bearer = leader.served.bearer(key, leader.certificate(leader.body("judged", key, "swarm-manager")))
    roots = tmp_path / "roots.pem"
    roots.write_bytes(leader.served.roots)

    for purpose in ("sslserver", "sslclient"):
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", str(roots), str(bearer.file)]
        subprocess.run(command, check=True, capture_output=True)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_two_nodes_shake_hands_both_ways(version: str, leader: Leader, tmp_path: Path) -> None:
    roots = tmp_path / "roots.pem"
    roots.write_bytes(leader.served.roots)
    nodes = []
    for name, role in (("shaker1", "swarm-manager"), ("shaker2", "swarm-worker")):
        key = new_key()
        nodes.append(leader.served.bearer(key, leader.certificate(leader.body(name, key, role))))

    for server, client, host in ((nodes[0], nodes[1], "swarm-manager"), (nodes[1], nodes[0], "swarm-worker")):
        assert "Verify return code: 0 (ok)" in _shake_hands(server, client, host, roots, version)


def _shake_hands(server: Bearer, client: Bearer, host: str, roots: Path, version: str) -> str:
    flags = ["-CAfile", str(roots), "-x509_strict", "-verify_return_error", version]
    expects = ["-servername", host, "-verify_hostname", host]
    listening = subprocess.Popen(
        ["openssl", "s_server", "-accept", "127.0.0.1:0", "-Verify", "1", "-naccept", "1", *flags, *_files(server)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        address = _wait_accepting(listening.stdout)
        done = subprocess.run(
            ["openssl", "s_client", "-connect", address, "-verify", "1", *flags, *expects, *_files(client)],
            input=b"Q\n",
            capture_output=True,
            check=False,
            timeout=60,
        )
        return done.stdout.decode(errors="replace")
    finally:
        listening.kill()
        listening.communicate()


def _files(bearer: Bearer) -> list[str]:
    return ["-cert", str(bearer.file), "-key", str(bearer.file)]


def _wait_accepting(output: IO[bytes] | None) -> str:
    """Wait until it listens at a port that it picked; gives the address."""
    assert output is not None
    for line in output:
        word, _, address = line.decode().strip().partition(" ")
        if word == "ACCEPT":
            return address
    raise PeerProblem("expected s_server to accept")


def test_while_another_process_holds_the_store_managers_are_told_to_come_again(leader: Leader) -> None:
    body = leader.body("patient", new_key())
    holder = sqlite3.connect(leader.served.home / "state.db", isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        assert leader.served.status(*SIGN, bearer=leader.bearer, body=body) == 503
        assert leader.served.status("GET", "/readyz") == 503
    finally:
        holder.close()

    leader.certificate(body)
    leader.served.wait_status(200, "GET", "/readyz")
