"""The server's own certificate: what it names wherever the server listens, and who accepts it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.integration.serve_clients import SECONDS
from tests.integration.serve_world import ServedHome
from tests.peers.namespaces import Site
from tests.peers.processes import wait_for


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServedHome]:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    with ServedHome(tmp_path) as made:
        yield made.create()


def _shown(home: ServedHome, address: str = "127.0.0.1") -> x509.Certificate:
    return x509.load_pem_x509_certificate(ssl.get_server_certificate((address, home.port), timeout=SECONDS).encode())


def _names(certificate: x509.Certificate) -> set[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    return addresses | set(names.get_values_for_type(x509.DNSName))


def test_one_address_is_named_alone_with_the_names(home: ServedHome) -> None:
    home.serve("--name", "ca.example", "--name", "other.example")

    certificate = _shown(home)

    expected = {"127.0.0.1", "localhost", socket.gethostname().lower(), "ca.example", "other.example"}
    assert {name.lower() for name in _names(certificate)} == expected
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    listed = home.read(lambda transaction: [record.serial for record in transaction.certificates.all()])
    assert f"{certificate.serial_number:x}" in listed


def test_clients_verify_it_under_the_root_alone(home: ServedHome) -> None:
    home.serve()
    for host in ("127.0.0.1", "localhost"):
        home.host = host
        with home.connect(roots=home.roots) as connection:
            assert connection.ask("GET", "/healthz").status == 200


def test_names_from_the_settings_are_named_too(home: ServedHome) -> None:
    text = (home.home / "swarmsec.toml").read_text()
    (home.home / "swarmsec.toml").write_text(text + '\n[serve]\nnames = ["set.example"]\n')

    home.serve()

    assert "set.example" in _names(_shown(home))


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_a_wildcard_names_every_local_address(listen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    with Site() as site:
        host, peer = site.add_host("ca"), site.add_host("peer")
        host.run(["ip", "address", "add", "10.77.9.9/32", "dev", "lo"])
        host.run(["ip", "address", "add", "fd00:77::1/64", "dev", "eth0", "nodad"])
        peer.run(["ip", "address", "add", "fd00:77::2/64", "dev", "eth0", "nodad"])
        with ServedHome(tmp_path, wrapper=host.command([])) as home:
            home.create().serve(listen=listen)
            roots = tmp_path / "roots.pem"
            roots.write_bytes(home.roots)

            def verified(address: str) -> bool:
                command = ["curl", "--silent", "--fail", "--cacert", str(roots), "--max-time", "10"]
                return peer.run([*command, f"https://{address}:{home.port}/healthz"]).returncode == 0

            peer.run(["ip", "route", "add", "10.77.9.9/32", "via", host.address])
            addresses = [host.address, "10.77.9.9"] + (["[fd00:77::1]"] if listen.startswith("[") else [])
            for address in addresses:
                assert verified(address), address
            with home.opened() as (opened, _):
                server = opened.store.read(
                    lambda transaction: next(iter(transaction.certificates.by_subject("swarmsec-server")))
                )
            names = _names(x509.load_der_x509_certificate(server.der))
            assert {host.address, "10.77.9.9", "127.0.0.1", "::1", "fd00:77::1", "localhost"} <= names
            assert not {"0.0.0.0", "::"} & names


@pytest.mark.parametrize(
    ("listen", "status"), [("127.0.0.1", 2), ("127.0.0.1:x", 2), ("127.0.0.1:70000", 2), ("192.0.2.1:0", 3)]
)
def test_where_it_cannot_listen_is_said(listen: str, status: int, home: ServedHome) -> None:
    done = home.run("serve", "--listen", listen)

    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_said(home: ServedHome) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = home.run("serve", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")

    assert done.returncode == 3
    assert "cannot listen" in done.stderr


def test_a_bad_name_is_said(home: ServedHome) -> None:
    done = home.run("serve", "--listen", "127.0.0.1:0", "--name", "no name")

    assert done.returncode == 2, done.stderr


def test_every_start_has_a_certificate_and_key_of_its_own(home: ServedHome) -> None:
    first = _shown(home.serve())
    home.stop()
    second = _shown(home.serve())

    assert first.public_key() != second.public_key()
    assert not list(home.home.rglob("*.key"))
    wait_for(lambda: home.status("GET", "/readyz") == 200, timeout=SECONDS, what="the server to be ready")
