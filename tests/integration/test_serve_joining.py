"""``swarmsec node join`` against the real server, and against servers that are not what the token says."""

from __future__ import annotations

import json
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest
from cryptography import x509

from ca.identity import NodeRole, identity_of
from ca.tokens import JoinToken
from tests.integration.serve_world import PROGRAM, ServedHome

FILES = {"swarm-node.crt", "swarm-node.key", "swarm-root-ca.crt"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    directory = tmp_path_factory.mktemp("joining")
    with pytest.MonkeyPatch.context() as patch, ServedHome(directory) as home:
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        # Enough that the refusals of one test do not limit the next.
        yield home.create(settings="\n[serve]\nfailed_attempts_per_minute = 100000\n").serve()


def _join(url: str, token: str, directory: Path, *further: str, by: tuple[str, ...] = ()) -> tuple[int, str]:
    command = [*by, *PROGRAM, "node", "join", "--server", url, "--token", token, "--dir", str(directory), *further]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_a_join_writes_the_three_files_of_a_node(served: ServedHome, tmp_path: Path) -> None:
    status, said = _join(served.url, served.token(NodeRole.MANAGER), tmp_path / "node", "--name", "first")

    assert status == 0, said
    assert {path.name for path in (tmp_path / "node").iterdir()} == FILES
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "node").iterdir()}
    assert modes["swarm-node.key"] == 0o600
    assert (tmp_path / "node" / "swarm-root-ca.crt").read_bytes() == served.roots
    identity = identity_of(x509.load_pem_x509_certificate((tmp_path / "node" / "swarm-node.crt").read_bytes()))
    assert (identity.node_id, identity.role) == ("first", NodeRole.MANAGER)


def _wrong_secret(served: ServedHome) -> str:
    return JoinToken.build(served.roots, bytes(range(100, 116))).format()


def test_a_token_with_a_wrong_secret_is_refused(served: ServedHome, tmp_path: Path) -> None:
    status, said = _join(served.url, _wrong_secret(served), tmp_path / "node")

    assert status == 1
    assert "valid join token" in said
    assert not (tmp_path / "node" / "swarm-node.crt").exists()


@pytest.mark.parametrize(
    "token", ["", "x", "SWMTKN-1-0", "SWMTKN-1-" + "z" * 50 + "-" + "z" * 25, "SWMTKN-1-" + "0" * 9999]
)
def test_what_is_no_token_is_refused_without_asking_the_server(token: str, tmp_path: Path) -> None:
    status, said = _join("https://127.0.0.1:1", token, tmp_path / "node")

    assert status == 2, said
    assert not (tmp_path / "node").exists()


def test_a_server_with_another_root_is_not_believed(served: ServedHome, tmp_path: Path) -> None:
    with ServedHome(tmp_path / "other") as other:
        (tmp_path / "other").mkdir()
        other.create().serve()
        status, said = _join(other.url, served.token(), tmp_path / "node")

        assert status == 1
        assert "does not match the token" in said
        assert not (tmp_path / "node").exists()
        assert "SWMTKN" not in other.log


def test_a_bundle_that_was_changed_on_its_way_is_not_believed(served: ServedHome, tmp_path: Path) -> None:
    for bundle in (served.roots + b"\n", served.roots * 2, b"", served.roots[:-40]):
        with _impostor(served, tmp_path, bundle) as url:
            status, said = _join(url, served.token(), tmp_path / "node")
        assert status == 1, said


def test_a_bundle_alone_does_not_make_a_server(served: ServedHome, tmp_path: Path) -> None:
    with _impostor(served, tmp_path, served.roots) as url:
        status, said = _join(url, served.token(), tmp_path / "node")

    assert status == 1
    assert "not the expected authority" in said


@contextmanager
def _impostor(served: ServedHome, directory: Path, bundle: bytes) -> Iterator[str]:
    """A TLS server under a root of its own that hands out a bundle, and would take a token."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(bundle)))
            self.end_headers()
            self.wfile.write(bundle)

        def do_POST(self) -> None:
            raise AssertionError("a token was sent to a stranger")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the base class's
            pass

    files = ["-keyout", str(directory / "key.pem"), "-out", str(directory / "crt.pem")]
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=swarm-ca"]
    names = ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", "req", *kind, *names, *files], check=True, capture_output=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "crt.pem", directory / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_interrupted_join_goes_on_with_the_same_key(served: ServedHome, tmp_path: Path) -> None:
    directory = tmp_path / "node"
    assert _join(served.url, served.token(), directory)[0] == 0
    certificate, key = (directory / "swarm-node.crt").read_bytes(), (directory / "swarm-node.key").read_bytes()
    (directory / "swarm-node.crt").unlink()
    (directory / "swarm-root-ca.crt").unlink()

    assert _join(served.url, served.token(), directory)[0] == 0

    assert (directory / "swarm-node.crt").read_bytes() == certificate
    assert (directory / "swarm-node.key").read_bytes() == key


def test_a_second_join_into_the_same_directory_is_refused(served: ServedHome, tmp_path: Path) -> None:
    assert _join(served.url, served.token(), tmp_path / "node")[0] == 0

    status, said = _join(served.url, served.token(), tmp_path / "node")

    assert status == 2
    assert "exists" in said


def test_a_damaged_key_file_is_said(served: ServedHome, tmp_path: Path) -> None:
    (tmp_path / "swarm-node.key").write_text("no key")

    status, said = _join(served.url, served.token(), tmp_path)

    assert status == 2
    assert "swarm-node.key" in said


def test_a_server_that_is_not_there_is_3(served: ServedHome, tmp_path: Path) -> None:
    status, said = _join("https://127.0.0.1:1", served.token(), tmp_path / "node")

    assert status == 3
    assert "could not be reached" in said


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8443", "127.0.0.1:8443", "https://127.0.0.1:99999", "https://", "https://h/path"]
)
def test_what_is_no_address_is_2(url: str, served: ServedHome, tmp_path: Path) -> None:
    assert _join(url, served.token(), tmp_path / "node")[0] == 2


def test_a_directory_that_cannot_be_written_is_3(served: ServedHome, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    status, said = _join(served.url, served.token(), tmp_path / "file" / "node")

    assert status == 3, said
    assert "could not be used" in said


@pytest.mark.parametrize("name", ["localhost", "a.b", "swarm-ca", "swarm-manager", "../x", "", "X" * 64, "127.0.0.1"])
def test_names_that_are_not_a_nodes_are_refused(name: str, served: ServedHome) -> None:
    answer, _ = served.join(served.token(), name)

    assert answer.status in {400, 403}, answer


def test_the_servers_own_names_are_refused(served: ServedHome) -> None:
    names = served.read(lambda transaction: [record.subject_id for record in transaction.certificates.all()])
    assert "swarmsec-server" in names

    answer, _ = served.join(served.token(), "swarmsec-server")

    assert answer.status == 403


def test_a_name_belongs_to_its_key_until_it_is_revoked(served: ServedHome, tmp_path: Path) -> None:
    assert served.join(served.token(), "taken")[0].status == 200

    status, said = _join(served.url, served.token(), tmp_path / "node", "--name", "taken")
    assert status == 1
    assert "belongs to another node" in said

    assert served.run("ca", "revoke", "taken").returncode == 0
    assert _join(served.url, served.token(), tmp_path / "node", "--name", "taken")[0] == 0


def test_a_revoked_key_does_not_join_again(served: ServedHome) -> None:
    answer, key = served.join(served.token(), "outcast")
    assert answer.status == 200
    assert served.run("ca", "revoke", "outcast").returncode == 0

    again, _ = served.join(served.token(), "outcast", key)

    assert again.status == 403
    assert "revoked" in again.message


def test_an_address_that_the_servers_certificate_does_not_name_is_refused(served: ServedHome, tmp_path: Path) -> None:
    with _forwarded(served.port) as port:
        status, said = _join(f"https://127.0.0.2:{port}", served.token(), tmp_path / "node")

    assert status == 1
    assert "does not name this address" in said


@contextmanager
def _forwarded(port: int) -> Iterator[int]:
    """Another address of the server."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as onward:
                back = threading.Thread(target=_pump, args=(onward, self.connection))
                back.start()
                _pump(self.connection, onward)
                back.join()

    with ThreadingTCPServer(("127.0.0.2", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def test_no_token_is_ever_said(served: ServedHome, tmp_path: Path) -> None:
    good, wrong = served.token(), _wrong_secret(served)
    said = "".join(
        _join(served.url, token, tmp_path / name, *further)[1]
        for token, name, further in (
            (good, "a", ()),
            (wrong, "b", ()),
            (good, "c", ("--name", "a.b")),
            (good[:-1], "d", ()),
            (good + "x", "e", ()),
        )
    )
    for body in (
        json.dumps({"token": good, "csr": "x"}),
        json.dumps({"token": good, "csr": "x", "unknown": good}),
        json.dumps({"token": good * 10, "csr": "x"}),
        json.dumps({"token": [good], "csr": good}),
        f'{{"token": "{good}"',
    ):
        said += str(served.ask("POST", "/api/v1/node/join", body=body.encode()))
    with served.opened() as (home, _):
        log = home.store.read(lambda transaction: str(list(transaction.log_entries.since(0))))

    for secret in (good.rpartition("-")[2], wrong.rpartition("-")[2]):
        for text in (said, served.log, log):
            assert secret not in text


def test_a_rotated_token_is_worth_nothing_at_once(served: ServedHome) -> None:
    former = served.token()

    rotated = served.run("ca", "token", "worker", "--rotate")

    assert rotated.returncode == 0
    assert served.join(former)[0].status == 403
    assert served.join(rotated.stdout.strip())[0].status == 200


def test_wrong_guesses_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWARMSEC_STATE", str(tmp_path / "state"))
    with ServedHome(tmp_path) as home:
        home.create(settings="\n[serve]\nfailed_attempts_per_minute = 1\n").serve()
        answers = [home.join(_wrong_secret(home))[0] for _ in range(12)]

        assert [answer.status for answer in answers] == [403] * 10 + [429] * 2
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        status, said = _join(home.url, home.token(), tmp_path / "node")
        assert status == 3
        assert "too many" in said
        # Other routes, and callers who prove who they are, go on.
        assert home.status("GET", "/api/v1/ca/bundle") == 200
