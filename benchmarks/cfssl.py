"""``cfssl serve`` as a peer: mutual TLS, P-256, with a record in SQLite, in PostgreSQL, or without one."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks.engine import KeySigner
from ca.issuing import Issuer, LeafOrder, issue_leaves, issue_root, serial_from
from ca.pem import write_block
from ca.profiles import Profile, validity
from tests.peers.processes import ManagedProcess, wait_for

SIGN_PATH = "/api/v1/cfssl/sign"
_CONFIG = {"signing": {"default": {"expiry": "2160h", "usages": ["digital signature", "server auth", "client auth"]}}}
# Both of CFSSL's migrations: Debian 12's version fills the first two lines' columns only, Debian 13's all of them.
_SCHEMA = """
CREATE TABLE certificates (
  serial_number {blob} NOT NULL, authority_key_identifier {blob} NOT NULL, ca_label {blob}, status {blob} NOT NULL,
  reason int, expiry {time}, revoked_at {time}, pem {blob} NOT NULL,
  issued_at {time}, not_before {time}, metadata {json}, sans {json}, common_name text,
  PRIMARY KEY (serial_number, authority_key_identifier)
)
"""


class CfsslServer:
    """One server; its directory holds its authority, and an identity for its client.

    Args:
        directory: exists and is empty.
        database: ``(driver, data source)`` of a record with its schema, or None.
        cores: where it runs, as ``taskset`` names them.
    """

    def __init__(self, directory: Path, database: tuple[str, str] | None, *, cores: str) -> None:
        self._directory = directory
        self.roots, self.identity = directory / "root.pem", directory / "client.pem"
        self._make_authority()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._process = ManagedProcess(self._command(database, cores), log=directory / "cfssl.log")

    @property
    def pid(self) -> int:
        """Of the server."""
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it listens."""
        self._process.start()
        wait_for(self._is_listening, timeout=30, what="cfssl to listen")

    def stop(self) -> None:
        """Stop it."""
        self._process.stop()

    def records(self, database: tuple[str, str] | None) -> int:
        """How many certificates its record has."""
        if database is None:
            return 0
        driver, source = database
        opened = psycopg.connect(source) if driver == "postgres" else sqlite3.connect(source)
        try:
            return int(opened.execute("SELECT count(*) FROM certificates").fetchone()[0])  # type: ignore[index]  # counting gives a row
        finally:
            opened.close()

    def _command(self, database: tuple[str, str] | None, cores: str) -> Sequence[str]:
        directory = self._directory
        (directory / "config.json").write_text(json.dumps(_CONFIG))
        command = ["taskset", "--cpu-list", cores, "cfssl", "serve", "-address=127.0.0.1", f"-port={self.port}"]
        command += [f"-ca={directory}/root.pem", f"-ca-key={directory}/root.key", f"-config={directory}/config.json"]
        command += [f"-tls-cert={directory}/server.crt", f"-tls-key={directory}/server.key"]
        command += [f"-mutual-tls-ca={directory}/root.pem", "-loglevel=5"]
        if database is not None:
            driver, source = database
            settings = directory / "db.json"
            settings.write_text(json.dumps({"driver": driver, "data_source": source}))
            command.append(f"-db-config={settings}")
        return command

    def _make_authority(self) -> None:
        signer, now = KeySigner(), datetime.now(UTC)
        root_der = issue_root(signer, serial=_serial(), now=now)
        issuer = Issuer(x509.load_der_x509_certificate(root_der), signer)
        self.roots.write_bytes(write_block(root_der, "CERTIFICATE"))
        (self._directory / "root.key").write_bytes(_key_pem(signer.key))
        for name, profile in (("server", Profile.SERVER), ("client", Profile.CLIENT)):
            holder = KeySigner()
            order = LeafOrder(
                issuer=issuer,
                profile=profile,
                subject=x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]),
                spki_der=holder.public_key_der,
                hosts=[name, str(ip_address("127.0.0.1"))],
                validity=validity(now, issuer_not_after=issuer.not_after),
                serial=_serial(),
            )
            (leaf,) = issue_leaves([order])
            pem = write_block(leaf, "CERTIFICATE")
            (self._directory / f"{name}.crt").write_bytes(pem)
            (self._directory / f"{name}.key").write_bytes(_key_pem(holder.key))
            (self._directory / f"{name}.pem").write_bytes(_key_pem(holder.key) + pem)

    def _is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def sqlite_record(path: Path) -> tuple[str, str]:
    """Make a record in SQLite."""
    with sqlite3.connect(path) as connection:
        connection.execute(_SCHEMA.format(blob="blob", time="timestamp", json="text"))
    connection.close()
    return "sqlite3", str(path)


def postgres_record(conninfo: str) -> tuple[str, str]:
    """Make a record in a PostgreSQL database.

    Args:
        conninfo: of libpq, as both Go's driver and psycopg read it.
    """
    with psycopg.connect(conninfo) as connection:
        connection.execute(_SCHEMA.format(blob="bytea", time="timestamptz", json="jsonb"))
    return "postgres", conninfo


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def _serial() -> int:
    return serial_from(os.urandom(20))
