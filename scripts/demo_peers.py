"""What scripts/demo works with: the program it shows, a Swarm's manager as the authority meets it, and a judge."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509 import verification

START_SECONDS = 30.0
COMMAND_SECONDS = 60


class Surprise(Exception):
    """Something was not as it must be; the text says what."""


class Story:
    """What the reader sees: numbered steps, commands and what each proved, at most 80 columns wide."""

    def __init__(self) -> None:
        self._in_colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._steps = 0
        self.proofs = 0

    def step(self, title: str) -> None:
        """Begin a step."""
        self._steps += 1
        print(f"\n{self._paint('1', f'{self._steps}. {title}')}", flush=True)

    def did(self, text: str, *, mark: str = "$") -> None:
        """Show a command, or with another mark a request."""
        print(self._paint("2", f"   {mark} {text}"), flush=True)

    def proved(self, text: str) -> None:
        """Say what is now known."""
        self.proofs += 1
        print(f"   {self._paint('32', 'ok')} {text}", flush=True)

    def end(self, text: str, *, good: bool) -> None:
        """Say how it ended."""
        print(f"\n{self._paint('1;32' if good else '1;31', text)}", flush=True)

    def _paint(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._in_colour else text


def expect(condition: bool, otherwise: str) -> None:
    """Go on only if the condition holds."""
    if not condition:
        raise Surprise(otherwise)


def write_image(directory: Path, tag: str, word: str) -> str:
    """Write an image of one word as an OCI layout, as a build tool does; returns its digest."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True, exist_ok=True)

    def blob(media_type: str, data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{media_type}", "digest": f"sha256:{digest}", "size": len(data)}

    config = blob("config.v1+json", json.dumps({"os": "linux", "architecture": "amd64", "word": word}).encode())
    body = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [],
    }
    manifest = blob("manifest.v1+json", json.dumps(body).encode())
    named = {**manifest, "annotations": {"org.opencontainers.image.ref.name": tag}}
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    return str(manifest["digest"])


class Product:
    """The command line under test, on one home with its state beside it.

    Args:
        program: how it is called.
        home, state: its directories.
        story: where commands are shown.
    """

    def __init__(self, program: list[str], home: Path, state: Path, story: Story) -> None:
        self.program = program
        self.home = home
        self.state = state
        self.story = story

    def beside(self, home: Path, state: Path) -> Product:
        """The same program on another home."""
        return Product(self.program, home, state, self.story)

    def command(self, *arguments: str) -> list[str]:
        """The whole command."""
        return [*self.program, "--home", str(self.home), *arguments]

    @property
    def environment(self) -> dict[str, str]:
        """The variables it runs with."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SWARMSEC_")}
        return {**kept, "SWARMSEC_STATE": str(self.state)}

    def run(self, *arguments: str, status: int = 0, shown: str = "") -> str:
        """Run a command that must end with this status; returns its output, both streams where it was refused."""
        self.story.did(shown or f"swarmsec {' '.join(arguments)}")
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        what = f"swarmsec {' '.join(arguments[:2])}"
        expect(
            done.returncode == status,
            f"expected {what} to end with {status}, got {done.returncode}: {done.stderr.strip() or done.stdout}",
        )
        expect("Traceback" not in done.stderr, f"{what} ended in a traceback: {done.stderr}")
        return done.stdout if status == 0 else done.stderr + done.stdout

    @contextmanager
    def serving(self, log: Path) -> Iterator[tuple[str, int]]:
        """Run the server; gives its address, stops it at the end and wants it to end well."""
        self.story.did("swarmsec serve --listen 127.0.0.1:0 &")
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.command("serve", "--listen", "127.0.0.1:0"),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            yield _wait_listening(process, log)
            process.terminate()
            expect(process.wait(20) == 0, f"expected the server to end with 0: {log.read_text()[-500:]}")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _wait_listening(process: subprocess.Popen[bytes], log: Path) -> tuple[str, int]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"^listening on https://(127\.0\.0\.1):(\d+)$", log.read_text(), re.MULTILINE)
        if found:
            return found[1], int(found[2])
        time.sleep(0.05)
    raise Surprise(f"the server did not come up: {log.read_text()[-500:]}")


class Manager:
    """A Swarm's manager as the authority meets it: HTTPS with a client certificate, Docker's words in JSON.

    Args:
        address: of the server.
        root: file of the root that the server must stand under.
        certificate, key: files of the client's own; none for a stranger without a certificate.
    """

    def __init__(
        self, address: tuple[str, int], root: Path, certificate: Path | None = None, key: Path | None = None
    ) -> None:
        self._address = address
        self._context = ssl.create_default_context(cafile=str(root))
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        if certificate is not None:
            self._context.load_cert_chain(certificate, key)

    def ask(self, method: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        """One request.

        Returns:
            status and parsed JSON; status 0 if the TLS handshake was refused.
        """
        connection = http.client.HTTPSConnection(*self._address, context=self._context, timeout=20)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            return response.status, json.loads(response.read(262_144))
        except (ssl.SSLError, ConnectionError):
            return 0, {}
        except ValueError:
            raise Surprise(f"expected JSON from {path}") from None
        finally:
            connection.close()


def docker_request(cluster: str, node: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """A signing request, member for member as Docker 20.10's manager sends it."""
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    name = {"C": "", "ST": "", "L": "", "O": cluster, "OU": "swarm-worker", "SerialNumber": ""}
    document = {
        "hosts": ["swarm-worker", node],
        "certificate_request": csr.public_bytes(Encoding.PEM).decode(),
        "subject": {"CN": node, "names": [name], "SerialNumber": ""},
        "profile": "",
        "crl_override": "",
        "label": "",
    }
    return json.dumps(document, separators=(",", ":")).encode()


def forge(original: Path, directory: Path) -> tuple[Path, Path]:
    """A certificate with the names of another, signed by nobody but its own key; returns its files."""
    template = x509.load_pem_x509_certificate(original.read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(template.subject)
        .issuer_name(template.issuer)
        .public_key(key.public_key())
        .serial_number(template.serial_number)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
    )
    for extension in template.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    certificate, private = directory / "forged.crt", directory / "forged.key"
    certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, private


def verify_certificate(root: Path, certificate: Path) -> str:
    """Let somebody else's program judge a node certificate, as a server's and as a client's; returns its name."""
    if shutil.which("openssl") is None:
        store = verification.Store([x509.load_pem_x509_certificate(root.read_bytes())])
        leaf = x509.load_pem_x509_certificate(certificate.read_bytes())
        try:
            verification.PolicyBuilder().store(store).build_client_verifier().verify(leaf, [])
        except verification.VerificationError as error:
            raise Surprise(f"cryptography does not verify {certificate.name} under the root: {error}") from None
        return "cryptography"
    for purpose in ("sslserver", "sslclient"):
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", root, certificate]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        expect(done.returncode == 0, f"openssl does not verify {certificate.name}: {done.stderr.strip()}")
    return "openssl verify"


def unit_of(certificate: Path) -> str:
    """The role that a certificate states, as SwarmKit reads it: its organizational unit."""
    subject = x509.load_pem_x509_certificate(certificate.read_bytes()).subject
    return str(subject.get_attributes_for_oid(x509.NameOID.ORGANIZATIONAL_UNIT_NAME)[0].value)
