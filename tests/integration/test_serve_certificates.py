"""Which client certificates count on the real server, and when one stops to."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from datetime import timedelta

import pytest

from ca.identity import NodeRole
from ca.profiles import Profile
from swarmsec.errors import Changed
from swarmsec.http import Role, RoleKind
from swarmsec.services.ca.authority import Authority
from swarmsec.services.ca.issue_for_hosts import issue_for_host
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.ports import Transaction
from swarmsec.services.swarm.trust_swarm import distrust_swarm, trust_swarm
from tests.integration.serve_clients import SECONDS, Bearer, ForeignSwarm, new_key, spki_of
from tests.integration.serve_world import ServedHome, ShiftedClock
from tests.peers.cfssl import DockerGeneration, build_node_csr, build_sign_request
from tests.peers.processes import wait_for
from tests.unit.swarmsec.homes import OPERATOR

WHOAMI = ("GET", "/api/v1/whoami")
SIGN = ("POST", "/api/v1/cfssl/sign")
LIST = ("GET", "/api/v1/ca/certificates")
LONG_AGO = ShiftedClock(timedelta(days=10))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    directory = tmp_path_factory.mktemp("certificates")
    with pytest.MonkeyPatch.context() as patch, ServedHome(directory) as home:
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        yield home.create(clock=LONG_AGO, settings="\n[ca]\ncertificate_hours = 24\n").serve()


def _trust(served: ServedHome, swarm: ForeignSwarm) -> str:
    """Accept a Swarm's root; returns its SHA-256."""
    return served.write(
        lambda transaction, authority: trust_swarm(transaction, authority, swarm.root_pem, OPERATOR)
    ).sha256


def _sign_body(served: ServedHome, node_id: str) -> bytes:
    return build_sign_request(
        build_node_csr(new_key()),
        node_id=node_id,
        cluster_id=served.cluster_id,
        role="swarm-worker",
        generation=DockerGeneration.DOCKER_25,
    )


def test_no_certificate_is_anonymous(served: ServedHome) -> None:
    assert served.status("GET", "/api/v1/ca/bundle") == 200
    assert served.status(*WHOAMI) == 403


def test_an_expired_certificate_does_not_get_through_the_handshake(served: ServedHome) -> None:
    expired = served.identity("admin", "expired", LONG_AGO)

    assert served.status(*WHOAMI, bearer=expired) is None


def test_a_certificate_that_does_not_hold_yet_does_not_get_through(served: ServedHome) -> None:
    early = served.identity("admin", "early", ShiftedClock(timedelta(days=-2)))

    assert served.status(*WHOAMI, bearer=early) is None


def test_a_foreign_authority_does_not_get_through_the_handshake(served: ServedHome) -> None:
    foreign = ForeignSwarm(served.cluster_id, served.directory)

    assert served.status(*WHOAMI, bearer=foreign.node(NodeRole.MANAGER, "node1")) is None


def test_a_certificate_of_our_root_that_the_table_does_not_have_is_nobody(served: ServedHome) -> None:
    key, kept = new_key(), list[Bearer]()

    def issue_and_undo(transaction: Transaction, authority: Authority) -> None:
        record = issue_for_host(
            transaction,
            authority,
            Profile.CLIENT,
            name="ghost",
            role=Role(kind=RoleKind.ADMIN),
            spki_der=spki_of(key),
            hosts=("ghost.example",),
            requester=OPERATOR,
        )
        kept.append(served.bearer(key, record))
        raise Changed("the transaction is undone, the certificate exists")

    with pytest.raises(Changed):
        served.write(issue_and_undo)
    answer = served.ask(*WHOAMI, bearer=kept[0])

    assert answer.status == 401
    assert answer.json()["error"]["code"] == "unauthenticated"


@pytest.mark.parametrize(("profile", "status"), [(Profile.SERVER, None), (Profile.CLIENT, 401)])
def test_a_certificate_without_a_role_is_nobody(profile: Profile, status: int | None, served: ServedHome) -> None:
    key = new_key()
    record = served.write(
        lambda transaction, authority: issue_for_host(
            transaction,
            authority,
            profile,
            name="database",
            role=None,
            spki_der=spki_of(key),
            hosts=("database.example",),
            requester=OPERATOR,
        )
    )

    assert served.status(*WHOAMI, bearer=served.bearer(key, record)) == status


def test_a_revoked_certificate_stops_at_once_on_open_connections_too(served: ServedHome) -> None:
    bearer = served.identity("operator", "leaver")
    with served.connect(bearer) as idle, served.connect(bearer) as busy:
        assert idle.ask(*WHOAMI).status == 200
        assert busy.ask(*WHOAMI).status == 200

        done = served.run("ca", "revoke", bearer.serial, "--comment", "left the company")

        assert done.returncode == 0, done.stderr
        wait_for(idle.is_closed, timeout=SECONDS, what="the idle connection to be closed")
        assert served.status(*WHOAMI, bearer=bearer) == 401
        with pytest.raises((OSError, http.client.HTTPException)):
            busy.ask(*WHOAMI)


def test_revoking_one_leaves_the_others_connected(served: ServedHome) -> None:
    stays, goes = served.identity("operator", "stays"), served.identity("operator", "goes")
    with served.connect(stays) as connection:
        assert connection.ask(*WHOAMI).status == 200
        served.write(lambda transaction, _: revoke_certificates(transaction, "goes", OPERATOR))
        served.wait_status(401, *WHOAMI, bearer=goes)

        assert connection.ask(*WHOAMI).status == 200


def test_a_superseded_certificate_still_counts(served: ServedHome) -> None:
    manager = served.node(NodeRole.MANAGER, "renewed")
    newer = served.node(NodeRole.MANAGER, "renewed")

    assert newer.serial != manager.serial
    for bearer in (manager, newer):
        assert served.status(*SIGN, bearer=bearer, body=_sign_body(served, "w1")) == 200


def test_a_worker_may_not_ask_for_certificates(served: ServedHome) -> None:
    worker = served.joined(NodeRole.WORKER)

    answer = served.ask(*SIGN, bearer=worker, body=_sign_body(served, "w2"))

    assert answer.status == 403


def test_a_demoted_manager_may_no_longer_ask(served: ServedHome) -> None:
    manager = served.node(NodeRole.MANAGER, "demoted")
    assert served.status(*SIGN, bearer=manager, body=_sign_body(served, "w3")) == 200

    served.node(NodeRole.WORKER, "demoted")

    served.wait_status(401, *WHOAMI, bearer=manager)


def test_under_a_swarms_root_only_managers_of_our_cluster_count_and_only_for_signing(served: ServedHome) -> None:
    swarm = ForeignSwarm(served.cluster_id, served.directory)
    manager, worker = swarm.node(NodeRole.MANAGER, "m1"), swarm.node(NodeRole.WORKER, "w1")
    stranger = swarm.node(NodeRole.MANAGER, "m2", cluster_id="anothercluster")
    assert served.status(*WHOAMI, bearer=manager) is None

    _trust(served, swarm)

    served.wait_status(403, *WHOAMI, bearer=manager)
    signed = served.ask(*SIGN, bearer=manager, body=_sign_body(served, "w4")).json()
    assert signed["success"] is True
    assert served.status(*LIST, bearer=manager) == 403
    told = json.dumps({"roots_sha256": "0" * 64}).encode()
    assert served.status("POST", "/api/v1/node/check", bearer=manager, body=told) == 403
    for bearer in (worker, stranger):
        assert served.status(*SIGN, bearer=bearer, body=_sign_body(served, "w5")) == 401


def test_a_swarms_root_comes_and_goes_while_other_connections_live(served: ServedHome) -> None:
    swarm = ForeignSwarm(served.cluster_id, served.directory)
    manager = swarm.node(NodeRole.MANAGER, "mover")
    operator = served.identity("operator", "watcher")
    root = served.directory / "swarm-root.pem"
    root.write_bytes(swarm.root_pem)
    with served.connect(operator) as kept:
        assert kept.ask(*WHOAMI).status == 200

        accepted = served.run("--json", "ca", "trust-swarm", str(root))
        assert accepted.returncode == 0, accepted.stderr
        served.wait_status(403, *WHOAMI, bearer=manager)
        with served.connect(manager) as open_before:
            assert open_before.ask(*WHOAMI).status == 403
            sha256 = next(iter(json.loads(accepted.stdout).values()))
            assert served.run("ca", "trust-swarm", "--drop", sha256).returncode == 0
            served.wait_status(None, *WHOAMI, bearer=manager)
            assert open_before.ask(*WHOAMI).status == 401

        assert kept.ask(*WHOAMI).status == 200


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_dropped_root_ends_resumed_sessions_too(version: str, served: ServedHome) -> None:
    swarm = ForeignSwarm(served.cluster_id, served.directory)
    manager = swarm.node(NodeRole.MANAGER, "resumer")
    sha256 = _trust(served, swarm)
    served.wait_status(403, *WHOAMI, bearer=manager)
    session = served.directory / f"session{version}"
    saved = _s_client(served, manager, version, "-sess_out", str(session))
    assert "HTTP/1.1 403" in saved

    served.write(lambda transaction, _: distrust_swarm(transaction, sha256, OPERATOR, reason="test"))
    served.wait_status(None, *WHOAMI, bearer=manager)

    resume = ["-sess_in", str(session)] if session.exists() else []
    assert "HTTP/1.1 403" not in _s_client(served, manager, version, *resume)


def _s_client(served: ServedHome, bearer: Bearer, version: str, *flags: str) -> str:
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{served.port}", version, "-cert", str(bearer.file)]
    command += ["-key", str(bearer.file), "-quiet", *flags]
    request = b"GET /api/v1/whoami HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    done = subprocess.run(command, input=request, capture_output=True, check=False, timeout=30)
    return done.stdout.decode(errors="replace")
