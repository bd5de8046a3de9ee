"""Signing over mutual TLS, each certificate and its log entry durable before the answer, beside ``cfssl serve``.

Both servers run on one core and their client on the other. Both are sent the same file of distinct requests as a
Swarm's manager words them; ours must find the manager's certificate in its table, the request's names right and the
key not used before, and its certificate and log entry on disk, while CFSSL signs, and records where it has a record.

Ours keeps its home in SQLite beside each of CFSSL's records; ``SWARMSEC_BENCH_DATABASE=postgresql`` puts it into the
same PostgreSQL server. ``SWARMSEC_BENCH_CORES=0-1:0-1`` lets both servers and the client run on both cores.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from benchmarks.cfssl import SIGN_PATH, CfsslServer, postgres_record, sqlite_record
from benchmarks.engine import build_request
from benchmarks.load import Load, Outcome, send
from benchmarks.measure import Figure, measure_pairs
from ca.identity import NodeRole, new_id
from tests.integration.serve_world import ServedHome
from tests.peers.cfssl import DockerGeneration, build_sign_request
from tests.peers.postgres import SUPERUSER, PostgresServer

CONNECTIONS = 64
KEPT_REQUESTS = int(os.environ.get("SWARMSEC_BENCH_REQUESTS", "1500"))
FRESH_REQUESTS = 400
ROUNDS = int(os.environ.get("SWARMSEC_BENCH_ROUNDS", "9"))
SERVER_CORES, _, LOAD_CORES = os.environ.get("SWARMSEC_BENCH_CORES", "0:1").partition(":")
DATABASE = os.environ.get("SWARMSEC_BENCH_DATABASE", "sqlite")
_OURS = "" if DATABASE == "sqlite" else ", ours with PostgreSQL"
_NAMES = {
    "sqlite": f"cfssl with SQLite{_OURS}",
    "postgresql": f"cfssl with PostgreSQL{_OURS}",
    "bare": f"cfssl without record{_OURS}",
}
Record = Callable[[Path], tuple[str, str]]
"""Makes a record of CFSSL beside a file: driver and data source."""
_TICKS = os.sysconf("SC_CLK_TCK")


def run() -> list[Figure]:
    """Measure kept connections beside each kind of record, then fresh ones."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="swarmsec-bench-", dir=Path.cwd())))
        os.environ["SWARMSEC_STATE"] = str(directory / "state")
        postgres = stack.enter_context(PostgresServer())
        conninfo = f"host={postgres.directory} user={SUPERUSER} dbname=postgres sslmode=disable"
        records: dict[str, tuple[Record | None, float]] = {
            "sqlite": (sqlite_record, 5.0),
            "postgresql": (lambda _: postgres_record(conninfo), 3.0),
            "bare": (None, 0.9),
        }
        figures = []
        for kind, (record, aim) in records.items():
            # Both sides of each comparison begin with nothing on record.
            with ExitStack() as pair:
                ours = _Ours(pair, directory / f"ours-{kind}", _database_url(postgres, conninfo, kind))
                peer = _Peer(pair, directory / kind, record)
                figures.append(_compare_kept(ours, peer, _NAMES[kind], aim))
                if record is None:
                    figures.append(_compare_fresh(ours, peer))
        return figures


def _compare_kept(ours: _Ours, peer: _Peer, name: str, aim: float) -> Figure:
    bodies = ours.files(KEPT_REQUESTS)
    return measure_pairs(
        f"signing, {CONNECTIONS} kept connections",
        name,
        "certificates/s",
        ours=lambda: _rate(ours.sign(next(bodies))),
        theirs=lambda: _answered_rate(peer.sign(ours.newest_file)),
        aim=aim,
        at_least=True,
        rounds=ROUNDS,
        warm_ups=1,
    )


def _compare_fresh(ours: _Ours, peer: _Peer) -> Figure:
    """By what the servers spend, since the client spends as much on a handshake and would be what is measured."""
    bodies = ours.files(FRESH_REQUESTS)
    return measure_pairs(
        "signing, a new connection each",
        _NAMES["bare"],
        "certificates/s of the server's processor time",
        ours=lambda: _per_second(ours.pid, lambda: ours.sign(next(bodies), fresh=True)),
        theirs=lambda: _per_second(peer.pid, lambda: peer.sign(ours.newest_file, fresh=True)),
        aim=0.45,
        at_least=True,
        rounds=ROUNDS,
        warm_ups=1,
    )


class _Ours:
    def __init__(self, stack: ExitStack, directory: Path, database_url: str) -> None:
        directory.mkdir()
        self._directory = directory
        self._home = ServedHome(directory, wrapper=("taskset", "--cpu-list", SERVER_CORES))
        self._home.create(database_url=database_url)
        self._cluster_id = self._home.cluster_id
        self._manager = self._home.node(NodeRole.MANAGER, "manager")
        self._roots = directory / "roots.pem"
        self._roots.write_bytes(self._home.roots)
        self.newest_file = directory / "none"
        stack.callback(self._home.stop)
        self._home.serve()

    @property
    def pid(self) -> int:
        return self._home.process.pid

    def files(self, count: int) -> Iterator[Path]:
        """Files of new requests."""
        while True:
            self.newest_file = self._directory / "requests.jsonl"
            self.newest_file.write_bytes(b"\n".join(self._request() for _ in range(count)))
            yield self.newest_file

    def sign(self, bodies: Path, *, fresh: bool = False) -> Outcome:
        return send(_load(self._home.port, bodies, self._roots, self._manager.file, fresh=fresh), cores=LOAD_CORES)

    def _request(self) -> bytes:
        return build_sign_request(
            build_request(),
            node_id=new_id(os.urandom(17)),
            cluster_id=self._cluster_id,
            role="swarm-worker",
            generation=DockerGeneration.DOCKER_20_10,
        )


class _Peer:
    def __init__(self, stack: ExitStack, directory: Path, record: Record | None) -> None:
        directory.mkdir()
        self._database = record(directory / "cfssl.db") if record else None
        self._server = CfsslServer(directory, self._database, cores=SERVER_CORES)
        stack.callback(self._server.stop)
        self._server.start()
        self._sent = 0

    @property
    def pid(self) -> int:
        return self._server.pid

    def sign(self, bodies: Path, *, fresh: bool = False) -> Outcome:
        load = _load(self._server.port, bodies, self._server.roots, self._server.identity, fresh=fresh)
        outcome = send(load, cores=LOAD_CORES)
        self._sent += outcome.answered
        if self._database is not None and self._server.records(self._database) != self._sent:
            raise RuntimeError("cfssl did not record what it signed")
        return outcome


def _database_url(postgres: PostgresServer, conninfo: str, kind: str) -> str:
    """Where our home is kept: a file of its own, or a database beside CFSSL's."""
    if DATABASE == "sqlite":
        return "sqlite:///state.db"
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {}").format(Identifier(f"ours_{kind}")))
    return f"postgresql:///ours_{kind}?host={postgres.directory}&user={SUPERUSER}&sslmode=disable"


def _load(port: int, bodies: Path, roots: Path, identity: Path, *, fresh: bool) -> Load:
    return Load(
        host="127.0.0.1",
        port=port,
        path=SIGN_PATH,
        bodies=bodies,
        roots=roots,
        identity=identity,
        connections=CONNECTIONS,
        fresh=fresh,
        expected="BEGIN CERTIFICATE",
    )


def _rate(outcome: Outcome) -> float:
    if outcome.errors:
        raise RuntimeError(f"{outcome.errors} requests failed, the first: {outcome.first_error}")
    return outcome.answered / outcome.seconds


def _answered_rate(outcome: Outcome) -> float:
    """CFSSL's record in SQLite answers some requests with "database is locked"."""
    if not outcome.answered:
        raise RuntimeError(f"cfssl answered none of {outcome.errors} requests, the first: {outcome.first_error}")
    return outcome.answered / outcome.seconds


def _per_second(pid: int, work: Callable[[], Outcome]) -> float:
    before = _spent(pid)
    outcome = work()
    _rate(outcome)
    return outcome.answered / (_spent(pid) - before)


def _spent(pid: int) -> float:
    """Processor seconds of a process so far (proc(5), fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
