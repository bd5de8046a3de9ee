"""Clocks that run late: what is issued now is accepted by who is up to an hour behind, and by nobody further behind."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from ca.identity import NodeRole
from swarmsec.errors import Denied, Unauthenticated
from swarmsec.http import Caller
from swarmsec.server.connections import Connection
from swarmsec.server.identify import identify_peer
from swarmsec.wiring.nodes.renewing import renew
from swarmsec.wiring.serving.identities import IssuedIdentities
from tests.integration.serve_world import ServedHome, ShiftedClock
from tests.integration.test_serve_renewing import joined

NEARLY, BEYOND = timedelta(minutes=59), timedelta(minutes=75)
"""Certificates begin an hour before their issue, rounded down to the minute, and were issued some while ago here."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    directory = tmp_path_factory.mktemp("clocks")
    with pytest.MonkeyPatch.context() as patch, ServedHome(directory) as home:
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        yield home.create().serve()


@pytest.mark.parametrize(("behind", "is_accepted"), [(NEARLY, True), (BEYOND, False)])
def test_a_client_that_is_late_shakes_hands_within_the_hour(
    behind: timedelta, is_accepted: bool, served: ServedHome, tmp_path: Path
) -> None:
    """A root that was made this very minute, so that it is as young as what it issued."""
    root = tmp_path / "root.pem"
    root.write_bytes(served.roots)
    then = str(int(time.time() - behind.total_seconds()))
    server = ["-connect", f"127.0.0.1:{served.port}", "-CAfile", str(root)]
    command = ["openssl", "s_client", *server, "-attime", then, "-verify_return_error", "-brief"]

    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)

    assert (done.returncode == 0) == is_accepted, done
    assert ("Verification: OK" in done.stderr) == is_accepted
    if not is_accepted:
        assert "not yet valid" in done.stderr


@pytest.mark.parametrize(("behind", "is_accepted"), [(NEARLY, True), (BEYOND, False)])
def test_a_server_that_is_late_knows_its_clients_within_the_hour(
    behind: timedelta, is_accepted: bool, served: ServedHome
) -> None:
    bearer = served.identity("auditor", name=f"auditor-{is_accepted}")
    der = bearer.certificate.public_bytes(Encoding.DER)
    with served.opened() as (home, _):
        identities = IssuedIdentities(home.store, ShiftedClock(behind), served.cluster_id, {1})
        connection = Connection(address="127.0.0.1", since=0, abort=lambda: None)
        connection.certificate_der, connection.certificate_sha256 = der, hashlib.sha256(der).hexdigest()
        if is_accepted:
            assert str(asyncio.run(_identified(identities, connection)).role) == "auditor"
        else:
            with pytest.raises(Unauthenticated, match="outside its dates"):
                asyncio.run(_identified(identities, connection))


async def _identified(identities: IssuedIdentities, connection: Connection) -> Caller:
    found = identify_peer(identities, connection)
    return found if isinstance(found, Caller) else await found


def test_what_a_late_authority_issues_is_accepted_by_everybody_on_time(served: ServedHome) -> None:
    bearer = served.identity("operator", clock=ShiftedClock(NEARLY))

    assert served.ask("GET", "/api/v1/whoami", bearer=bearer).status == 200


def test_a_node_that_is_late_says_so_before_it_asks(served: ServedHome, tmp_path: Path) -> None:
    node = joined(served, tmp_path / "node", NodeRole.WORKER)
    before = (node / "swarm-node.crt").read_bytes()
    begins = served.read(lambda transaction: max(record.not_before for record in transaction.certificates.all()))

    with pytest.raises(Denied, match="counts only from") as raised:
        renew(served.url, node, now=lambda: datetime.fromtimestamp(begins - 1, UTC))

    assert "clock" in str(raised.value.hint)
    assert (node / "swarm-node.crt").read_bytes() == before
