"""Every control passes over what is as it should be, and fails over what is spoiled, with its resource named."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from policies.controls import Means
from swarmsec.reports.checks import registered
from swarmsec.reports.facts import Answer, Facts, ImageFact, RotationFact
from swarmsec.reports.model import State
from tests.unit.swarmsec.reports.facts import (
    DAY,
    HOME,
    IMAGE,
    NOW,
    catalogue,
    container,
    facts,
    report,
    report_of,
    results,
    states,
    swarm,
)

Spoil = Callable[[dict[str, Any]], object]

SWARM_FAULTS: dict[str, tuple[Spoil, str]] = {
    "CIS-7.1": (lambda s: s["/nodes"].pop(), "cluster1"),
    "CIS-7.3": (lambda s: s["/networks"][0].update(Options={}), "back"),
    "CIS-7.4": (lambda s: container(s).update(Env=["DB_PASSWORD=hunter2"]), "shop_api"),
    "CIS-7.5": (lambda s: s["/swarm"]["Spec"].update(EncryptionConfig={}), "cluster1"),
    "CIS-7.7": (lambda s: s["/swarm"]["Spec"]["CAConfig"].update(NodeCertExpiry=91 * DAY * 10**9), "cluster1"),
    "CIS-7.8": (lambda s: s["/swarm"].update(RootRotationInProgress=True), "cluster1"),
    "SWS-01": (lambda s: container(s).update(Args=[f"SWMTKN-1-{'a' * 50}-{'b' * 25}"]), "shop_api"),
    "SWS-03": (lambda s: container(s).update(Mounts=[{"Source": "/var/run/docker.sock"}]), "shop_api"),
    "SWS-04": (lambda s: container(s).update(Image="registry.example/shop/api:1"), "shop_api"),
    "SWS-05": (lambda s: container(s)["Secrets"][0]["File"].update(Mode=0o444), "shop_api"),
    "SWS-06": (lambda s: container(s).update(Secrets=[]), "team.app.db"),
    "SWS-07": (
        lambda s: s["/services"].append(
            {"ID": "svc2", "Spec": {"Name": "other", "TaskTemplate": {"ContainerSpec": container(s)}}}
        ),
        "team.app.db",
    ),
    "SWS-08": (lambda s: s["/services"][0]["Spec"]["TaskTemplate"].pop("Placement"), "shop_api"),
    "SWS-10": (lambda s: s["/configs"][0]["Spec"].update(Name="db_password"), "db_password"),
    "SWS-13": (lambda s: s["/nodes"][0]["Spec"].update(Availability="active"), "m1"),
    "SWS-14": (lambda s: s["/nodes"][0]["ManagerStatus"].update(Reachability="unreachable"), "cluster1"),
    "SWS-15": (lambda s: s["/nodes"][1]["Description"]["Engine"].update(EngineVersion="23.0.1"), "m2"),
    "SWS-16": (lambda s: s["/info"].update(Debug=True), "m1"),
    "SWS-18": (lambda s: s["/swarm"]["Spec"]["CAConfig"].update(ExternalCAs=[]), "cluster1"),
    "CIS-2.2": (lambda s: s["/networks"][2].update(Options={}), "bridge"),
    "CIS-2.5": (lambda s: s["/info"]["RegistryConfig"].update(InsecureRegistryCIDRs=["10.0.0.0/8"]), "m1"),
    "CIS-2.6": (lambda s: s["/info"].update(Driver="aufs"), "m1"),
    "CIS-2.18": (lambda s: s["/info"].update(ExperimentalBuild=True), "m1"),
    "CIS-2.9": (lambda s: s["/info"].update(SecurityOptions=[]), "m1"),
    "CIS-2.12": (lambda s: s["/info"].update(Plugins={}), "m1"),
    "CIS-2.13": (lambda s: s["/info"].update(LoggingDriver="json-file"), "m1"),
    "CIS-2.17": (lambda s: s["/info"].update(SecurityOptions=["name=seccomp,profile=unconfined"]), "m1"),
    "CIS-4.1": (lambda s: container(s).update(User="0:0"), "shop_api"),
    "CIS-4.6": (lambda s: container(s).update(Healthcheck={"Test": ["NONE"]}), "shop_api"),
    "CIS-5.3": (lambda s: container(s).update(CapabilityAdd=["CAP_SYS_ADMIN"]), "shop_api"),
    "CIS-5.10": (lambda s: s["/services"][0]["Spec"]["TaskTemplate"].pop("Resources"), "shop_api"),
    "CIS-5.12": (lambda s: container(s).update(ReadOnly=False), "shop_api"),
    "CIS-5.25": (lambda s: container(s).update(Privileges={}), "shop_api"),
}

HOME_FAULTS: dict[str, dict[str, Any]] = {
    "OWN-1": {"certificates": (replace(HOME.certificates[0], is_overdue=True),)},
    "OWN-2": {
        "certificates": (
            replace(HOME.certificates[0], is_newest=False, status="superseded"),
            replace(HOME.certificates[0], role="worker"),
        )
    },
    "OWN-3": {"standing_tokens": {"worker": NOW - 91 * DAY}},
    "OWN-4": {"root_not_after": NOW + 300 * DAY},
    "OWN-5": {"short_lifetimes": True},
    "OWN-6": {"crl_next_update": NOW - 1},
    "OWN-7": {"trust_roles": tuple(replace(role, expires=NOW + DAY) for role in HOME.trust_roles or ())},
    "OWN-8": {"trust_roles": tuple(replace(role, threshold=1) for role in HOME.trust_roles or ())},
    "OWN-9": {"log_problem": "entry 7 is not as it was written"},
    "OWN-10": {"anchor_apart": False},
    "OWN-11": {"witnesses": 0},
    "OWN-12": {"secrets": tuple(replace(secret, changed=NOW - 91 * DAY) for secret in HOME.secrets)},
    "OWN-13": {"root_in_token": False},
    "OWN-16": {"rotation": RotationFact(started=NOW - DAY, waiting=3)},
    "SWS-12": {"last_backup": NOW - 27 * 3600},
    "CIS-7.6": {"unlock_key_rotated": NOW - 91 * DAY},
}
IMAGE_FAULTS = {
    "unsigned": {"OWN-14": State.FAIL, "OWN-15": State.PASS},
    "untrusted": {"OWN-14": State.FAIL, "OWN-15": State.PASS},
    "revoked": {"OWN-14": State.FAIL, "OWN-15": State.FAIL},
    "unpinned": {"OWN-14": State.FAIL, "OWN-15": State.NOT_CHECKED},
    "unknown": {"OWN-14": State.ERROR, "OWN-15": State.ERROR},
    "trusted": {"OWN-14": State.PASS, "OWN-15": State.PASS},
}
"""How an image stands, to what the two controls of running images say then."""


def test_nothing_fails_over_what_is_as_it_should_be() -> None:
    made = report(swarm())

    assert [(r.control.id, r.observed) for r in made.results if r.state in {State.FAIL, State.ERROR}] == []
    assert not made.is_incomplete


def test_every_control_has_a_result_and_every_check_a_control() -> None:
    controls = catalogue().controls
    made = report(swarm())

    assert {result.control.id for result in made.results} == set(controls)
    assert set(registered()) <= set(controls)
    without = {control.id for control in controls.values() if control.id not in registered()}
    assert {controls[control].means for control in without} == {Means.PERSON}


def test_every_check_has_a_fault_here() -> None:
    told = {"CIS-5.1", "CIS-2.15", "CIS-2.1", *IMAGE_FAULTS["trusted"]}
    host = {name for name in registered() if catalogue().controls[name].means is Means.AGENT}
    assert set(SWARM_FAULTS) | set(HOME_FAULTS) | told | host == set(registered())


@pytest.mark.parametrize("control", SWARM_FAULTS)
def test_a_planted_fault_is_found_and_its_resource_named(control: str) -> None:
    spoil, name = SWARM_FAULTS[control]
    answers = swarm()
    assert State.FAIL not in states(report(answers), control)
    spoil(answers)

    failures = [result for result in results(report(answers), control) if result.state is State.FAIL]

    assert failures, control
    assert {result.resource.name or result.resource.id for result in failures} == {name}
    assert all(result.observed and result.expected for result in failures)


@pytest.mark.parametrize("control", HOME_FAULTS)
def test_a_fault_of_the_home_is_found(control: str) -> None:
    assert State.FAIL not in states(report(), control)
    assert State.FAIL in states(report(**HOME_FAULTS[control]), control)


@pytest.mark.parametrize(
    ("rotation", "state"),
    [
        (None, State.PASS),
        (RotationFact(started=NOW - DAY + 1, waiting=3), State.PASS),
        (RotationFact(started=NOW - DAY), State.FAIL),
        (RotationFact(started=0), State.MANUAL),
    ],
)
def test_a_rotation_of_the_root_has_a_day(rotation: RotationFact | None, state: State) -> None:
    assert states(report(rotation=rotation), "OWN-16") == [state]


@pytest.mark.parametrize("standing", IMAGE_FAULTS)
def test_how_an_image_stands_decides(standing: str) -> None:
    images = {IMAGE: ImageFact(standing=standing, reason=f"it is {standing}", is_asked=True)}
    made = report(swarm(), images=images)

    assert {name: states(made, name)[0] for name in ("OWN-14", "OWN-15")} == IMAGE_FAULTS[standing]


def test_an_image_that_a_task_still_runs_counts_beside_that_of_its_service() -> None:
    answers, old = swarm(), IMAGE.replace("api@", "old@")
    task = {"ID": "t1", "ServiceID": "svc1", "Status": {"State": "running"}, "Spec": {"ContainerSpec": {"Image": old}}}
    answers["/tasks"] = [task]
    images = {**HOME.images, old: ImageFact(standing="revoked", reason="it was revoked", is_asked=True)}
    (found,) = results(report(answers, images=images), "OWN-15")

    assert found.state is State.FAIL
    assert old in found.observed
    assert found.resource.name == "shop_api"


def test_images_are_not_checked_where_the_home_signs_none_and_not_judged_where_the_policy_asks_for_no_signature() -> (
    None
):
    skipped = {IMAGE: ImageFact(standing="unsigned", reason="no tag", is_asked=False)}

    assert states(report(swarm(), trust_roles=None), "OWN-14") == [State.NOT_CHECKED]
    assert states(report(swarm(), trust_roles=None), "OWN-15") == [State.NOT_CHECKED]
    assert states(report(swarm(), images=skipped), "OWN-14") == [State.NOT_APPLICABLE]


@pytest.mark.parametrize(
    ("constraint", "state"),
    [
        ("node.labels.tier == app", State.PASS),
        ("node.labels.tier==app", State.PASS),
        ("engine.labels.zone == a", State.PASS),
        ("node.hostname == w1", State.PASS),
        ("node.labels.tier != web", State.FAIL),
        ("node.role == worker", State.FAIL),
        ("node.platform.os == linux", State.FAIL),
    ],
)
def test_which_constraints_choose_nodes_for_secrets(constraint: str, state: State) -> None:
    answers = swarm()
    answers["/services"][0]["Spec"]["TaskTemplate"]["Placement"] = {"Constraints": [constraint]}

    assert states(report(answers), "SWS-08") == [state]


def test_without_a_manager_nothing_of_the_swarm_passes() -> None:
    made = report()

    for result in made.results:
        if result.control.means is Means.MANAGER:
            assert result.state is State.NOT_CHECKED, result.control.id
    assert not made.is_incomplete


@pytest.mark.parametrize(
    "path", ["/info", "/swarm", "/nodes", "/services", "/tasks", "/networks", "/secrets", "/configs"]
)
@pytest.mark.parametrize("problem", ["refused", "shape"])
def test_what_could_not_be_read_is_an_error_and_never_a_pass(path: str, problem: str) -> None:
    known = facts(swarm())
    broken = Answer(problem="no") if problem == "refused" else Answer(document="a text")
    made = report_of(Facts(home=known.home, answers={**(known.answers or {}), path: broken}))

    reading = [control for control, check in registered().items() if path in check.reads]
    assert reading
    assert made.is_incomplete
    for control in reading:
        assert states(made, control) == [State.ERROR], control


def test_a_credential_s_value_is_never_shown() -> None:
    answers = swarm()
    container(answers).update(Env=["DB_PASSWORD=hunter2-very-secret"])

    assert all("hunter2" not in result.observed + result.reason for result in report(answers).results)


@pytest.mark.parametrize(
    ("variable", "is_found"),
    [
        ("API_KEY=abc", True),
        ("X=kJ8sLq02mZpX7vTnR4wYbC1dEfGhU6iO", True),
        ("DB_PASSWORD_FILE=/run/secrets/x", False),
        ("DB_PASSWORD=", False),
        ("PASSENGERS=4", False),
        ("LANG=C.UTF-8", False),
    ],
)
def test_what_looks_like_a_credential(variable: str, is_found: bool) -> None:
    answers = swarm()
    container(answers).update(Env=[variable])

    assert (State.FAIL in states(report(answers), "CIS-7.4")) is is_found


def test_odd_shapes_of_a_swarm_never_end_in_an_exception() -> None:
    wrong_environment = [{"Spec": {"TaskTemplate": {"ContainerSpec": {"Env": 5}}}}]
    shapes: tuple[Any, ...] = (None, 5, "x", [], {}, [{}], [{"Spec": 5}], wrong_environment)
    for odd in shapes:
        for path in swarm():
            report({**swarm(), path: odd})


@pytest.mark.parametrize(
    ("mount", "state"),
    [
        ({"Type": "bind", "Source": "/run/docker.sock"}, State.FAIL),
        ({"Type": "bind", "Source": "/var/run/../run//docker.sock/"}, State.FAIL),
        ({"Type": "bind", "Source": "//var/run"}, State.FAIL),
        ({"Type": "bind", "Source": "/run"}, State.FAIL),
        ({"Type": "bind", "Source": "/"}, State.FAIL),
        (
            {"Type": "volume", "Source": "v", "VolumeOptions": {"DriverConfig": {"Options": {"device": "/run"}}}},
            State.FAIL,
        ),
        ({"Type": "bind", "Source": "/var/lib"}, State.PASS),
        ({"Type": "bind", "Source": "/srv/run/docker.sock"}, State.PASS),
        ({"Type": "volume", "Source": "run"}, State.PASS),
    ],
)
def test_a_socket_comes_with_its_directories(mount: dict[str, object], state: State) -> None:
    answers = swarm()
    container(answers)["Mounts"] = [mount]

    assert states(report(answers), "SWS-03") == [state]


def _root(ends: int) -> str:
    """A root that is to end then, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "swarm-ca")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.not_valid_before(datetime(2026, 5, 4, tzinfo=UTC)).serial_number(7)
    made = builder.not_valid_after(datetime.fromtimestamp(ends, UTC)).sign(key, hashes.SHA256())
    return made.public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("pem", "state", "said"),
    [
        (_root(NOW + 364 * DAY), State.FAIL, "the root ends on 2028-01-14"),
        (_root(NOW + 366 * DAY), State.MANUAL, "the root is of 2026-05-04, no rotation is under way"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", State.MANUAL, "no rotation is under way"),
        ("\ud800" * 9, State.MANUAL, "no rotation is under way"),
    ],
)
def test_the_swarm_s_own_root_is_read(pem: str, state: State, said: str) -> None:
    answers = swarm()
    answers["/swarm"]["TLSInfo"] = {"TrustRoot": pem}
    (found,) = results(report(answers), "CIS-7.8")

    assert (found.state, found.observed) == (state, said)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("server { listen 80; }", ""),
        ("password: ${DB_PASSWORD}\nsecret_file: /run/secrets/x\ntoken: {{ token }}", ""),
        ("db:\n  password: hunter2-very-secret\n", "it sets password"),
        ('{"a": 1,\n "api_key": "hunter2-very-secret"}', "it sets api_key"),
        ("-----BEGIN RSA PRIVATE KEY-----\nhunter2", "it holds a private key"),
        ("-----BEGIN PRIVATE KEY-----\nhunter2", "it holds a private key"),
        (f"SWMTKN-1-{'a' * 50}-{'b' * 25}", "it holds a token or key of the Swarm"),
    ],
)
def test_what_a_config_holds_is_looked_at_and_never_shown(content: str, said: str) -> None:
    answers = swarm()
    answers["/configs"][0]["Spec"]["Data"] = base64.b64encode(content.encode()).decode()
    (found,) = results(report(answers), "SWS-10")

    assert found.state is (State.FAIL if said else State.PASS)
    assert found.observed == (said or "nothing suspicious in name or content")
    assert "hunter2" not in found.observed + found.reason
