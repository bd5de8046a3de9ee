"""The example stack of the documentation: a real database whose password and certificate come from here."""

from __future__ import annotations

import subprocess
from contextlib import suppress
from pathlib import Path

from tests.peers.engines import Engine
from tests.peers.postgres_image import CHANGES, build_postgres_layer
from tests.peers.processes import wait_for
from tests.peers.running_trees import contents_below
from tests.peers.secret_driver import DriverProcess
from tests.peers.swarmsec_host import SwarmsecHost
from tests.swarm.test_secret_driver import MARKER, authority, in_container, manager

__all__ = ["authority", "manager"]

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "database"
BUSYBOX = "/bin/busybox"
LISTENING = "0A"
ASK = (
    "host=shop_db hostaddr=127.0.0.1 user=postgres dbname=postgres sslmode=verify-full sslrootcert=/run/secrets/tls.pem"
)
SELECT = f"psql --no-psqlrc -At '{ASK}' -c 'select 6*7, ssl from pg_stat_ssl where pid=pg_backend_pid()'"


def test_a_database_gets_its_password_and_certificate(
    authority: SwarmsecHost, manager: Engine, peer_directory: Path
) -> None:
    image = [f"--change={change}" for change in CHANGES]
    manager.docker("import", *image, "-", "postgres:16-alpine", stdin=build_postgres_layer(BUSYBOX))
    authority.run("ca", "init")
    authority.run("policy", "apply", str(EXAMPLE / "policy.yaml"))
    with DriverProcess(authority, manager) as driver:
        verify_closed(driver.process.pid)
        deploy = ("stack", "deploy", "--resolve-image", "never", "--compose-file", str(EXAMPLE / "stack.yaml"))
        manager.docker(*deploy, "shop")

        def answer() -> str:
            return in_container(manager, "shop_db", "sh", "-c", f"PGPASSWORD=$(cat /run/secrets/db) {SELECT}")

        wait_for(lambda: is_up(manager), timeout=60, what="the database")
        assert answer().strip() == "42|t"
        assert in_container(manager, "shop_db", "cat", "/run/secrets/db") == MARKER
        assert in_container(manager, "shop_db", "stat", "-c", "%a %u", "/run/secrets/tls.pem").strip() == "400 70"
        wrong = manager.docker("exec", container(manager), "sh", "-c", f"PGPASSWORD=wrong {SELECT}", check=False)
        assert "password authentication failed" in wrong.stderr

        first = in_container(manager, "shop_db", "cat", "/run/secrets/tls.pem")
        verify_certificate(authority, first, peer_directory, "shop_db")
        former = container(manager)
        manager.docker("service", "update", "--detach", "--force", "shop_db")
        wait_for(lambda: is_up(manager, former), timeout=60, what="the database once more")
        second = in_container(manager, "shop_db", "cat", "/run/secrets/tls.pem")
        verify_certificate(authority, second, peer_directory, "shop_db")
        assert key_of(first) != key_of(second)
        events = authority.run("secrets", "events", "pki/shop/db").stdout
        assert "success" in events
        manager.docker("stack", "rm", "shop")
    for file, content in contents_below(manager.data_root / "swarm"):
        assert not any(part in content for part in (MARKER.encode(), key_of(first).encode())), file


def verify_closed(pid: int) -> None:
    """A driver listens on no port, and nothing secret stands in its environment or arguments."""
    listening = {line.split()[9] for line in tcp_lines(pid) if line.split()[3] == LISTENING}
    own = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        # What it opens to look at comes and goes; a socket that it listens on stays.
        with suppress(FileNotFoundError):
            own.add(str(file.readlink()))
    assert not {f"socket:[{inode}]" for inode in listening} & own
    assert MARKER.encode() not in Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()


def tcp_lines(pid: int) -> list[str]:
    """What the kernel says of the TCP sockets where a process is."""
    tables = [Path(f"/proc/{pid}/net/{name}").read_text() for name in ("tcp", "tcp6")]
    return [line for table in tables for line in table.splitlines()[1:]]


def container(engine: Engine) -> str:
    return engine.docker("ps", "--quiet", "--filter", "name=shop_db").stdout.split()[0]


def is_up(engine: Engine, former: str = "") -> bool:
    """Whether a database answers, in another container than the former one."""
    running = engine.docker("ps", "--quiet", "--filter", "name=shop_db").stdout.split()
    if len(running) != 1 or running == [former]:
        return False
    asked = f"PGPASSWORD=$(cat /run/secrets/db) {SELECT}"
    return engine.docker("exec", running[0], "sh", "-c", asked, check=False).returncode == 0


def key_of(pem: str) -> str:
    """The middle of a private key, without its frame."""
    return pem.splitlines()[2]


def verify_certificate(authority: SwarmsecHost, pem: str, directory: Path, service: str) -> None:
    """OpenSSL believes the certificate under the root for the service's name, and finds key and certificate a pair."""
    file, root = directory / "tls.pem", directory / "root.pem"
    file.write_text(pem)
    root.write_text(authority.run("ca", "export").stdout)
    strict = ("-x509_strict", "-purpose", "sslserver", "-verify_hostname", service)
    openssl("verify", *strict, "-CAfile", str(root), str(file))
    assert openssl("x509", "-in", str(file), "-noout", "-pubkey") == openssl("pkey", "-in", str(file), "-pubout")
    names = openssl("x509", "-in", str(file), "-noout", "-ext", "subjectAltName")
    task = next(item for item in authority.json("ca", "list") if f".{item['node_id']}" in names)
    assert (task["role"], task["status"]) == ("server", "valid")
    file.unlink()


def openssl(*arguments: str) -> str:
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=True, timeout=30).stdout
