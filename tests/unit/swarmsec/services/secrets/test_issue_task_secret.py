"""Certificates as secrets: what is in the file, what stands in table and log, and what no task is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from policies.loading import load_documents
from swarmsec.audit.entry import parse_entry
from swarmsec.errors import Denied, NotFound, UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.names import SecretName
from swarmsec.services.access.apply_policy import apply_policies
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.ports import Transaction
from swarmsec.services.requester import Requester
from swarmsec.services.secrets.attach_secret import DRIVER_MODE, NATIVE_MODE, verify_mode
from swarmsec.services.secrets.deliver_secret import Delivery, deliver_secret
from swarmsec.services.secrets.keep_secrets import NewSecret, create_secret
from swarmsec.services.secrets.kept_secrets import find_secret
from swarmsec.services.trust.judge_image import ImageJudge
from swarmsec.wiring.secrets.taskcertificates import task_issuing
from swarmsec.wiring.serving.certificate import ServerCertificate
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk
from tests.unit.swarmsec.services.secrets.test_deliver_secret import NODE, REQUEST, TASK

NAME = SecretName.parse("pki/shop/api")
POLICY = """
apiVersion: swarmsec.dev/v1
kind: SecretAccessPolicy
metadata: {name: shop}
spec:
  rules:
    - {secrets: ["pki/shop/*"], services: ["shop_*", "gateway", "swarm-*"], requireAttached: false, effect: allow}
"""
SPKI = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
ASKING = replace(REQUEST, secret_name="pki.shop.api", secret_labels={"io.swarmsec.name": NAME.text})


@dataclass
class Counter:
    """Where tasks ask for a certificate."""

    desk: Desk

    def ask(self, service: str = "shop_api", task_name: str = "", *, issues: bool = True) -> bytes:
        request = replace(ASKING, service_name=service, task_name=task_name or f"{service}.1.task1")
        task = replace(TASK, service_name=service)
        issuing = task_issuing(self.desk.home.config, self.desk.keys) if issues else None
        driver = Requester(actor=OPERATOR.actor)
        return self.desk.home.store.write(
            lambda transaction: deliver_secret(
                transaction, self.desk.keys, request, task, driver, judge=ImageJudge(), issuing=issuing
            )
        ).value.reveal()

    def refused(self, service: str = "shop_api", task_name: str = "", *, issues: bool = True) -> str:
        before = len(self.entries("ca.issue"))
        with pytest.raises(Denied) as caught:
            self.ask(service, task_name, issues=issues)
        entry = self.desk.last_entry()
        assert (entry["action"], entry["outcome"], entry["reason"]) == ("secret.deliver", "denied", str(caught.value))
        assert len(self.entries("ca.issue")) == before
        return str(caught.value)

    def entries(self, action: str) -> list[dict[str, Any]]:
        with self.desk.home.store.reading() as transaction:
            entries = [dict(parse_entry(stored.data)) for stored in transaction.log_entries.since(0)]
        return [entry for entry in entries if entry["action"] == action]


@pytest.fixture
def counter(desk: Desk) -> Counter:
    documents = load_documents(POLICY.encode(), source="test")
    desk.home.store.write(lambda transaction: apply_policies(transaction, documents, OPERATOR))
    return Counter(desk)


def test_a_refusal_has_written_nothing_and_costs_its_group_nothing(counter: Counter) -> None:
    issuing = task_issuing(counter.desk.home.config, counter.desk.keys)
    runs: list[str] = []

    def asking(service: str, slot: str) -> Callable[[Transaction], Delivery]:
        request = replace(ASKING, service_name=service, task_name=f"{service}.{slot}.task1")
        task = replace(TASK, service_name=service)

        def unit(transaction: Transaction) -> Delivery:
            runs.append(service)
            return deliver_secret(
                transaction, counter.desk.keys, request, task, OPERATOR, judge=ImageJudge(), issuing=issuing
            )

        return unit

    asked = [("shop_api", "1"), ("swarm-worker", "1"), ("shop_web", "none"), ("gateway", "1"), ("nobody", "1")]
    outcomes = counter.desk.home.store.write_group([asking(*one) for one in asked])
    assert [outcome.error is None for outcome in outcomes] == [True, False, False, True, False]
    assert runs == [service for service, _ in asked]


def names_of(certificate: x509.Certificate) -> list[str]:
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return found.value.get_values_for_type(x509.DNSName)


def test_a_task_gets_a_key_its_certificate_and_the_root(counter: Counter) -> None:
    file = counter.ask()
    key = load_pem_private_key(file, None)
    leaf, root = x509.load_pem_x509_certificates(file)
    assert leaf.public_key() == key.public_key()
    leaf.verify_directly_issued_by(root)
    assert names_of(leaf) == ["shop_api", "tasks.shop_api", "shop_api.1.task1"]
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert file.startswith(b"-----BEGIN PRIVATE KEY-----\n")


def test_table_and_log_have_it_and_nothing_keeps_its_key(counter: Counter) -> None:
    file = counter.ask()
    leaf, _ = x509.load_pem_x509_certificates(file)
    serial = f"{leaf.serial_number:x}"
    store = counter.desk.home.store
    (record,) = store.read(lambda transaction: transaction.certificates.by_subject("task1"))
    assert (record.serial, record.profile, record.role) == (serial, "server", "")
    assert record.not_after - record.not_before <= 169 * 3600
    assert counter.entries("ca.issue")[-1]["fields"]["hosts"][0] == "shop_api"
    given = counter.entries("secret.deliver")[-1]
    assert (given["outcome"], given["fields"]["serial"]) == ("success", serial)
    assert "version" not in given["object"]
    secret_lines = file.split(b"\n")[1:4]
    for path in counter.desk.home.path.iterdir():
        assert not any(line in path.read_bytes() for line in secret_lines), path


def test_each_start_gets_another_key(counter: Counter) -> None:
    files = [counter.ask() for _ in range(3)]
    keys = {x509.load_pem_x509_certificates(file)[0].public_key().public_bytes(*SPKI) for file in files}
    assert len(keys) == 3


def test_it_can_be_revoked_by_task_and_by_serial(counter: Counter) -> None:
    counter.ask()
    counter.ask()
    store = counter.desk.home.store
    revoked = store.write(lambda transaction: revoke_certificates(transaction, "task1", OPERATOR))
    assert len(revoked) == 2
    counter.ask()
    serial = counter.entries("secret.deliver")[-1]["fields"]["serial"]
    assert len(store.write(lambda transaction: revoke_certificates(transaction, serial, OPERATOR))) == 1


@pytest.mark.parametrize(
    "task_name", ["shop_api.1.other", "web.1.task1", "shop_api.0.task1", "shop_api.x.task1", "shop_api.1.1.task1", "x"]
)
def test_a_task_is_called_as_docker_calls_it(counter: Counter, task_name: str) -> None:
    assert "expected the task's name as shop_api.SLOT.task1" in counter.refused(task_name=task_name)


def test_a_task_on_each_node_is_called_by_its_node(counter: Counter) -> None:
    leaf, _ = x509.load_pem_x509_certificates(counter.ask(task_name=f"shop_api.{NODE}.task1"))
    assert names_of(leaf)[2] == f"shop_api.{NODE}.task1"


def test_what_the_policy_does_not_allow_is_not_issued(counter: Counter) -> None:
    assert "no rule allows it" in counter.refused("web")


@pytest.mark.parametrize("service", ["swarm-manager", "swarm-ca"])
def test_names_of_swarm_roles_are_not_issued(counter: Counter, service: str) -> None:
    assert "expected hosts that are no names of Swarm roles" in counter.refused(service)


def test_names_of_our_own_server_are_not_issued(counter: Counter) -> None:
    desk = counter.desk
    ServerCertificate(desk.home.store, desk.authority, ["gateway", "127.0.0.1"])
    assert counter.refused("gateway") == "the name gateway belongs to swarmsec's own server"


def test_where_nothing_is_issued_it_is_said(counter: Counter) -> None:
    assert "no certificates are issued here for pki/shop/api" in counter.refused(issues=False)


def test_nothing_is_kept_under_such_a_name(counter: Counter) -> None:
    store = counter.desk.home.store
    with pytest.raises(NotFound, match="its certificates are issued when tasks start"):
        store.read(lambda transaction: find_secret(transaction, NAME))
    new = NewSecret(name=NAME, value=SecretBytes(b"x"), labels={})
    with pytest.raises(UsageProblem, match="expected a name outside pki/"):
        store.write(lambda transaction: create_secret(transaction, counter.desk.keys, new, OPERATOR))
    verify_mode(NAME, DRIVER_MODE)
    with pytest.raises(UsageProblem, match="expected the driver for pki/shop/api, got --native"):
        verify_mode(NAME, NATIVE_MODE)
