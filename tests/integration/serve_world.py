"""A home with its real server, ``python -m swarmsec serve``, and clients of every kind, for the tests of serving.

The home is changed through the services in this process, which is another one than the server's, or through commands
of their own; the server is only spoken to over TLS. ``SWARMSEC_STATE`` of the test process names the state directory.
"""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ca.identity import NodeIdentity, NodeRole
from ca.profiles import Profile
from swarmsec.clock import SystemClock
from swarmsec.http import Role
from swarmsec.keys.signers import SealedKeys
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.ca.authority import Authority, load_authority
from swarmsec.services.ca.init_authority import init_authority
from swarmsec.services.ca.issue_for_hosts import issue_for_host
from swarmsec.services.ca.issue_for_nodes import issue_for_node
from swarmsec.services.ca.issued_certificates import certificate_pem
from swarmsec.services.nodes.standing_tokens import open_standing_token
from swarmsec.services.ports import Transaction
from swarmsec.services.records import CertificateRecord, KeyKind
from swarmsec.wiring.ca.authority import lifetime_of
from swarmsec.wiring.homes.creating import NewHome, create_home
from swarmsec.wiring.homes.home import Home, open_home
from tests.integration.serve_clients import (
    SECONDS,
    Answer,
    Bearer,
    Connection,
    join_body,
    new_key,
    pem_of,
    spki_of,
)
from tests.peers.errors import PeerProblem
from tests.peers.processes import ManagedProcess, wait_for
from tests.unit.swarmsec.homes import OPERATOR

T = TypeVar("T")
PROGRAM = (sys.executable, "-m", "swarmsec")
PASSPHRASE = SecretBytes(b"correct horse battery")


class ShiftedClock(SystemClock):
    """The machine's clock, as it was some time ago."""

    def __init__(self, ago: timedelta) -> None:
        self._ms = round(ago.total_seconds() * 1000)

    def unix_ms(self) -> int:
        return super().unix_ms() - self._ms


class ServedHome:
    """One home and its server.

    Args:
        directory: home and log lie below it.
        wrapper: put before the server's command, such as ``nsenter`` of a host.
    """

    def __init__(self, directory: Path, *, wrapper: Sequence[str] = ()) -> None:
        self.directory = directory
        self.home = directory / "home"
        self._wrapper = wrapper
        self._process: ManagedProcess | None = None
        self._count = 0
        self.port = 0
        self.host = "127.0.0.1"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # The home.

    def create(
        self,
        *,
        cluster_id: str | None = None,
        clock: SystemClock | None = None,
        settings: str = "",
        seal: str = "file",
        database_url: str = "sqlite:///state.db",
    ) -> Self:
        """Make the home an authority; with a ``clock``, its root begins then."""
        wanted = NewHome(path=self.home, seal=seal, database_url=database_url)
        former = os.umask(0o077)
        try:
            created = create_home(wanted, lambda _: PASSPHRASE, OPERATOR)
        finally:
            os.umask(former)
        created.home.close()
        with (self.home / "swarmsec.toml").open("a") as file:
            file.write(settings)
        with self.opened(clock) as (home, keys):
            home.store.write(
                lambda transaction: init_authority(
                    transaction, keys, OPERATOR, cluster_id=cluster_id, key_kind=KeyKind.P256
                )
            )
        return self

    @contextmanager
    def opened(self, clock: SystemClock | None = None) -> Iterator[tuple[Home, SealedKeys]]:
        """The open home with its keys."""
        home = open_home(self.home, requester=OPERATOR, clock=clock)
        try:
            yield home, home.keys(lambda _: PASSPHRASE)
        finally:
            home.close()

    def write(self, service: Callable[[Transaction, Authority], T], clock: SystemClock | None = None) -> T:
        """Change the home from this process, as a command does."""
        with self.opened(clock) as (home, keys):
            lifetime = lifetime_of(home.config)

            def unit(transaction: Transaction) -> T:
                return service(transaction, load_authority(transaction, keys, lifetime))

            return home.store.write(unit)

    def read(self, unit: Callable[[Any], T]) -> T:
        """Look into the home."""
        with self.opened() as (home, _):
            return home.store.read(unit)

    def identity(self, role: str, name: str = "", clock: SystemClock | None = None) -> Bearer:
        """Issue a client certificate with a role."""
        key = new_key()
        record = self.write(
            lambda transaction, authority: issue_for_host(
                transaction,
                authority,
                Profile.CLIENT,
                name=name or role.replace(":", "-").replace("/", "-"),
                role=Role.parse(role),
                spki_der=spki_of(key),
                hosts=("client.example",),
                requester=OPERATOR,
            ),
            clock,
        )
        return self.bearer(key, record)

    def node(self, role: NodeRole, name: str, key: ec.EllipticCurvePrivateKey | None = None) -> Bearer:
        """Issue a node's certificate."""
        chosen = key or new_key()

        def issue(transaction: Transaction, authority: Authority) -> CertificateRecord:
            identity = NodeIdentity(cluster_id=authority.cluster_id, role=role, node_id=name)
            return issue_for_node(transaction, authority, identity, spki_of(chosen), OPERATOR, via="test")

        return self.bearer(chosen, self.write(issue))

    def bearer(self, key: ec.EllipticCurvePrivateKey, record: CertificateRecord | bytes) -> Bearer:
        """Keep a key and its certificate (a record, or PEM) in a file."""
        pem = record if isinstance(record, bytes) else certificate_pem(record)
        self._count += 1
        file = self.directory / f"bearer-{self._count}.pem"
        file.write_bytes(pem_of(key) + pem)
        return Bearer(key=key, certificate=x509.load_pem_x509_certificate(pem), file=file)

    def token(self, role: NodeRole = NodeRole.WORKER) -> str:
        """The standing token."""
        with self.opened() as (home, keys):
            return home.store.read(lambda transaction: open_standing_token(transaction, keys, role)[1].format())

    @property
    def roots(self) -> bytes:
        """The root bundle."""
        return self.write(lambda _, authority: authority.bundle_pem)

    @property
    def cluster_id(self) -> str:
        return self.write(lambda _, authority: authority.cluster_id)

    def run(
        self, *arguments: str, wrapper: Sequence[str] = (), log: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the home, as a process of its own; with a ``log``, what it says goes there as it says it."""
        command = [*wrapper, *PROGRAM, "--home", str(self.home), *arguments]
        with ExitStack() as stack:
            stderr = subprocess.PIPE if log is None else stack.enter_context(log.open("w"))
            return subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                timeout=60,
                check=False,
            )

    # The server.

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"

    @property
    def log(self) -> str:
        """What the server of the last start said."""
        path = self.directory / "serve.log"
        return path.read_text() if path.exists() else ""

    @property
    def process(self) -> ManagedProcess:
        if self._process is None:
            raise PeerProblem("expected a server that was started")
        return self._process

    def launch(self, *arguments: str, listen: str = "127.0.0.1:0") -> ManagedProcess:
        """Start the server and return at once."""
        (self.directory / "serve.log").unlink(missing_ok=True)
        command = [*self._wrapper, *PROGRAM, "--home", str(self.home), "serve", "--listen", listen, *arguments]
        self._process = ManagedProcess(command, log=self.directory / "serve.log")
        self._process.start()
        return self._process

    def serve(self, *arguments: str, listen: str = "127.0.0.1:0") -> Self:
        """Start the server and wait until it listens."""
        self.launch(*arguments, listen=listen)
        self.wait_listening()
        return self

    def wait_listening(self) -> None:
        """Wait until it listens, and note where."""
        self.process.wait_ready(lambda: "listening on " in self.log, timeout=SECONDS, what="the server to listen")
        found = re.search(r"listening on https://(\S+):(\d+)\n", self.log)
        assert found is not None
        self.port = int(found[2])

    def stop(self) -> None:
        """Stop the server, if there is one."""
        if self._process is not None:
            self._process.stop(grace=15)
            self._process = None

    def kill(self) -> None:
        """Kill the server as a power cut would."""
        self.process.kill()
        self._process = None

    def connect(self, bearer: Bearer | None = None, roots: bytes | None = None) -> Connection:
        """A connection, to be used as a context."""
        return Connection(self.host, self.port, bearer, roots)

    def ask(self, method: str, path: str, bearer: Bearer | None = None, body: bytes | None = None) -> Answer:
        """One request on a connection of its own."""
        with self.connect(bearer) as connection:
            return connection.ask(method, path, body)

    def status(self, method: str, path: str, bearer: Bearer | None = None, body: bytes | None = None) -> int | None:
        """The status of one request, or None where the server ended the connection without an answer."""
        try:
            return self.ask(method, path, bearer, body).status
        except (OSError, http.client.HTTPException):
            return None

    def name_of(self, bearer: Bearer) -> str:
        """What the server calls a peer, asked again where a change of its roots ended the handshake under way."""

        def ask() -> str:
            with suppress(OSError, http.client.HTTPException):
                return str(self.ask("GET", "/api/v1/whoami", bearer).json()["name"])
            return ""

        return wait_for(ask, timeout=SECONDS, what="an answer to who am I")

    def join(
        self, token: str, name: str | None = None, key: ec.EllipticCurvePrivateKey | None = None
    ) -> tuple[Answer, ec.EllipticCurvePrivateKey]:
        """Ask for a certificate with a token, without the command."""
        chosen = key or new_key()
        return self.ask("POST", "/api/v1/node/join", body=join_body(token, chosen, name)), chosen

    def joined(self, role: NodeRole, name: str | None = None) -> Bearer:
        """Join over the network."""
        answer, key = self.join(self.token(role), name)
        assert answer.status == 200, answer
        return self.bearer(key, answer.json()["certificate"].encode())

    def wait_status(self, status: int | None, method: str, path: str, bearer: Bearer | None = None) -> None:
        """Ask again until the answer has this status, or there is none."""
        wait_for(
            lambda: self.status(method, path, bearer) == status, timeout=SECONDS, what=f"status {status} of {path}"
        )
