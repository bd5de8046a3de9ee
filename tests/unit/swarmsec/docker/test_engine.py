"""The engine's client: whatever goes wrong has a kind and a next step."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from swarmsec.docker.endpoint import DockerEndpoint
from swarmsec.docker.engine import EngineApi, engine_words, refusal_of
from swarmsec.docker.swarm_engine import DockerSwarm
from swarmsec.errors import Kind, SwarmsecError
from tests.peers.simulated_manager import LOCKED, NOT_A_MANAGER, OUT_OF_SEQUENCE, Refused, SimulatedManager
from tests.unit.swarmsec.docker.conftest import CLUSTER
from tests.unit.swarmsec.wiring.ca.foreignroots import key_pem


def caught_from(swarm: DockerSwarm) -> SwarmsecError:
    with pytest.raises(SwarmsecError) as caught:
        swarm.swarm()
    assert caught.value.hint or caught.value.kind in {Kind.DENIED, Kind.NOT_FOUND, Kind.EXISTS, Kind.USAGE}
    return caught.value


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (503, NOT_A_MANAGER, Kind.USAGE),
        (503, LOCKED, Kind.UNAVAILABLE),
        (500, OUT_OF_SEQUENCE, Kind.CHANGED),
        (500, "rpc error: code = Unknown desc = The swarm does not have a leader.", Kind.UNAVAILABLE),
        (500, "panic", Kind.UNAVAILABLE),
        (400, "rpc error: code = InvalidArgument desc = CA certificate expires too soon", Kind.USAGE),
        (401, "invalid key provided", Kind.DENIED),
        (403, "authorization denied by plugin p: no", Kind.DENIED),
        (404, "page not found", Kind.NOT_FOUND),
        (409, "swarm is not locked", Kind.EXISTS),
    ],
)
def test_each_refusal_has_its_kind(
    swarm: DockerSwarm, manager: SimulatedManager, status: int, message: str, kind: Kind
) -> None:
    manager.refuse["/swarm"] = Refused(status, message)
    assert caught_from(swarm).kind is kind


def test_the_frame_of_grpc_is_taken_off() -> None:
    body = b'{"message":"rpc error: code = InvalidArgument desc = too\\u001b[2J soon"}'
    assert engine_words(body) == "too [2J soon"
    assert str(refusal_of(400, body, "x")) == "the Docker Engine refused: too [2J soon"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"message":5}', b"\xff"])
def test_a_refusal_without_words_tells_its_status(body: bytes) -> None:
    assert "500" in str(refusal_of(500, body, "x")) or "5" in str(refusal_of(500, body, "x"))


def test_no_docker(tmp_path: Path) -> None:
    error = caught_from(DockerSwarm(EngineApi(DockerEndpoint.parse(f"unix://{tmp_path}/none.sock"))))
    assert (error.kind, str(error)) == (
        Kind.UNAVAILABLE,
        f"no Docker Engine answers at unix://{tmp_path}/none.sock: no such file or directory",
    )
    assert error.hint == "check that it runs, or name another one with --docker HOST"


def test_an_engine_that_stops_answering_midway(manager: SimulatedManager) -> None:
    swarm = DockerSwarm(EngineApi(DockerEndpoint.parse(manager.url), answer_seconds=2))
    swarm.info()
    manager.hang.add("/swarm")
    error = caught_from(swarm)
    assert (error.kind, "did not answer in time" in str(error)) == (Kind.UNAVAILABLE, True)
    swarm._api.close()


def test_an_engine_that_went_away(swarm: DockerSwarm, manager: SimulatedManager) -> None:
    swarm.info()
    swarm._api.close()
    manager.stop()
    assert caught_from(swarm).kind is Kind.UNAVAILABLE


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b'{"ID":"a"}', b'{"ID":5}', b"{" * 100_000])
def test_an_answer_that_is_none(swarm: DockerSwarm, manager: SimulatedManager, body: bytes) -> None:
    manager.raw["/swarm"] = body
    error = caught_from(swarm)
    assert (error.kind, str(error).startswith("expected ")) == (Kind.UNAVAILABLE, True)


def test_tls_both_ways(tmp_path: Path, root_pem: str) -> None:
    made = certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made / "cert.pem", made / "key.pem")
    context.load_verify_locations(made / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    with SimulatedManager(None, cluster_id=CLUSTER, root_pem=root_pem, tls=context) as manager:
        good = DockerSwarm(EngineApi(DockerEndpoint.parse(manager.url, made)))
        assert good.swarm().id == CLUSTER
        bare = caught_from(DockerSwarm(EngineApi(DockerEndpoint.parse(manager.url), answer_seconds=2)))
        assert bare.kind is Kind.UNAVAILABLE
        (tmp_path / "other").mkdir()
        other = caught_from(DockerSwarm(EngineApi(DockerEndpoint.parse(manager.url, certificates(tmp_path / "other")))))
        assert (other.kind, "showed a certificate that is not under" in str(other)) == (Kind.DENIED, True)
    missing = caught_from(DockerSwarm(EngineApi(DockerEndpoint.parse(manager.url, tmp_path / "nothing"))))
    assert (missing.kind, missing.hint) == (Kind.USAGE, "name their directory with --docker-tls")


def certificates(directory: Path) -> Path:
    """A root with a certificate for localhost under it, as Docker names the files."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, directory.name)])
    now = datetime.now(UTC)

    def signed(subject: x509.Name, public: ec.EllipticCurvePublicKey, *extensions: x509.ExtensionType) -> bytes:
        builder = x509.CertificateBuilder(
            issuer, subject, public, x509.random_serial_number(), now - timedelta(hours=1), now + timedelta(hours=1)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(root_key, hashes.SHA256()).public_bytes(Encoding.PEM)

    host = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    (directory / "ca.pem").write_bytes(signed(issuer, root_key.public_key(), x509.BasicConstraints(True, None)))
    (directory / "cert.pem").write_bytes(signed(x509.Name([]), key.public_key(), host))
    (directory / "key.pem").write_bytes(key_pem(key))
    return directory
