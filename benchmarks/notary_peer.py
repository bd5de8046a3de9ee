"""``notary-server`` on PostgreSQL as a peer, and a publisher of its older dialect of TUF.

The server signs snapshot and timestamp itself (``trust_service`` local), which spares it the way to ``notary-signer``
and so is its faster form. Tables as its own migrations make them.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import ipaddress
import json
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

import psycopg
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from securesystemslib.formats import encode_canonical

from tests.peers.postgres import SUPERUSER, PostgresServer
from tests.peers.processes import ManagedProcess, wait_for

GUN: Final = "registry.example/team/app"
_TABLES: Final = """
CREATE TABLE tuf_files (id serial PRIMARY KEY, created_at timestamp, updated_at timestamp, deleted_at timestamp,
    gun varchar(255) NOT NULL, role varchar(255) NOT NULL, version integer NOT NULL, data bytea NOT NULL,
    sha256 char(64), UNIQUE (gun, role, version));
CREATE INDEX tuf_files_sha256_idx ON tuf_files (sha256);
CREATE TABLE changefeed (id serial PRIMARY KEY, created_at timestamp DEFAULT current_timestamp,
    gun varchar(255) NOT NULL, version integer NOT NULL, sha256 char(64) DEFAULT NULL,
    category varchar(20) NOT NULL DEFAULT 'update');
CREATE INDEX idx_changefeed_gun ON changefeed (gun);
"""


class NotaryServer:
    """A server that starts and ends with the context, and one signed collection in it.

    Args:
        directory: for its files.
        port: on the loopback address.
    """

    def __init__(self, directory: Path, port: int) -> None:
        self._directory = directory
        self._port = port
        self._stack = contextlib.ExitStack()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._version = 1
        self._targets: dict[str, Any] = {}

    def __enter__(self) -> Self:
        database = self._stack.enter_context(PostgresServer())
        with psycopg.connect(
            host=str(database.directory), user=SUPERUSER, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(_TABLES)
        _write_certificate(self._directory)
        config = {
            "server": {
                "http_addr": f"127.0.0.1:{self._port}",
                "tls_key_file": "./tls.key",
                "tls_cert_file": "./tls.crt",
            },
            "trust_service": {"type": "local"},
            "storage": {
                "backend": "postgres",
                "db_url": f"postgres:///postgres?host={database.directory}&user={SUPERUSER}&sslmode=disable",
            },
            "logging": {"level": "error"},
        }
        (self._directory / "server.json").write_text(json.dumps(config))
        process = ManagedProcess(
            ["/usr/bin/notary-server", "-config", str(self._directory / "server.json")],
            log=self._directory / "server.log",
        )
        process.start()
        self._stack.callback(process.stop)
        wait_for(self._answers, timeout=20, what="notary-server to answer")
        self._begin()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def publish(self, tag: str, sha256: str) -> None:
        """Sign a tag and have it stored; the answer comes after the transaction."""
        self.publish_all({tag: (sha256, 1)})

    def publish_all(self, tags: Mapping[str, tuple[str, int]]) -> None:
        """The same for many tags at once, each with its digest in hex and its size."""
        for tag, (sha256, size) in tags.items():
            digest = base64.b64encode(bytes.fromhex(sha256)).decode()
            self._targets[tag] = {"hashes": {"sha256": digest}, "length": size}
        self._version += 1
        self._post({"targets": self._signed_targets()})

    def write_client(self, directory: Path) -> Path:
        """Write the configuration of a ``notary`` client that keeps its memory in a directory; returns its path."""
        server = {"url": f"https://127.0.0.1:{self._port}", "root_ca": str(self._directory / "tls.crt")}
        config = directory / "client.json"
        config.write_text(json.dumps({"trust_dir": str(directory / "trust"), "remote_server": server}))
        return config

    def _begin(self) -> None:
        certificate = _certificate(self._key, GUN, None).public_bytes(Encoding.PEM)
        own = {"root": _key_object("ecdsa-x509", certificate), "targets": self._targets_key()}
        keys = {_key_id(key): key for key in own.values()}
        roles = {role: {"keyids": [_key_id(key)], "threshold": 1} for role, key in own.items()}
        for role in ("snapshot", "timestamp"):
            served = json.loads(self._ask("GET", f"/v2/{GUN}/_trust/tuf/{role}.key"))
            key = _key_object(served["keytype"], base64.b64decode(served["keyval"]["public"]))
            keys[_key_id(key)] = key
            roles[role] = {"keyids": [_key_id(key)], "threshold": 1}
        root = {"_type": "Root", "consistent_snapshot": False, "expires": _expires(), "keys": keys, "roles": roles}
        signed_root = self._signed({**root, "version": 1}, _key_id(own["root"]))
        self._post({"root": signed_root, "targets": self._signed_targets()})

    def _signed_targets(self) -> bytes:
        targets = {"_type": "Targets", "delegations": {"keys": {}, "roles": []}, "expires": _expires()}
        body = {**targets, "targets": self._targets, "version": self._version}
        return self._signed(body, _key_id(self._targets_key()))

    def _targets_key(self) -> dict[str, Any]:
        public = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return _key_object("ecdsa", public)

    def _signed(self, body: dict[str, Any], keyid: str) -> bytes:
        text = str(encode_canonical(body))
        der = self._key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
        raw = b"".join(number.to_bytes(32, "big") for number in utils.decode_dss_signature(der))
        signature = {"keyid": keyid, "method": "ecdsa", "sig": base64.b64encode(raw).decode()}
        # Its server looks files up by the hash of the form that it would write itself: no spaces.
        compact = json.dumps(signature, separators=(",", ":"))
        return f'{{"signed":{text},"signatures":[{compact}]}}'.encode()

    def _post(self, roles: dict[str, bytes]) -> None:
        parts = [
            f'--b\r\nContent-Disposition: form-data; name="files"; filename="{role}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n".encode()
            + data
            + b"\r\n"
            for role, data in roles.items()
        ]
        body = b"".join(parts) + b"--b--\r\n"
        self._ask("POST", f"/v2/{GUN}/_trust/tuf/", body, {"Content-Type": "multipart/form-data; boundary=b"})

    def _ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        if not hasattr(self, "_connection"):
            context = ssl.create_default_context(cafile=str(self._directory / "tls.crt"))
            self._connection = http.client.HTTPSConnection("127.0.0.1", self._port, context=context, timeout=20)
        self._connection.request(method, path, body=body, headers=headers or {})
        response = self._connection.getresponse()
        data = response.read()
        if response.status != 200:
            raise RuntimeError(f"notary-server: {response.status} {data[:300]!r}")
        return data

    def _answers(self) -> bool:
        try:
            self._ask("GET", "/_notary_server/health")
        except (OSError, RuntimeError, http.client.HTTPException):
            vars(self).pop("_connection", None)
            return False
        return True


def _key_object(kind: str, public: bytes) -> dict[str, Any]:
    return {"keytype": kind, "keyval": {"private": None, "public": base64.b64encode(public).decode()}}


def _key_id(key: dict[str, Any]) -> str:
    return hashlib.sha256(str(encode_canonical(key)).encode()).hexdigest()


def _expires() -> str:
    return f"{datetime.now(UTC) + timedelta(days=300):%Y-%m-%dT%H:%M:%SZ}"


def _write_certificate(directory: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = _certificate(key, "localhost", "127.0.0.1")
    (directory / "tls.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    (directory / "tls.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _certificate(key: ec.EllipticCurvePrivateKey, common_name: str, address: str | None) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=30))
    )
    if address is not None:
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
        builder = builder.add_extension(names, critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return builder.sign(key, hashes.SHA256())
