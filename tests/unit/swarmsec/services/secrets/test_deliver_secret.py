"""Each denial of a task's request for a secret: its reason is told, on record, and no value leaves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ca.identity import NodeRole
from policies.loading import load_documents
from swarmsec.errors import Denied, UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.secretstore.names import SecretName
from swarmsec.services.access.apply_policy import apply_policies
from swarmsec.services.ca.revoke_certificates import revoke_certificates
from swarmsec.services.requester import Requester
from swarmsec.services.secrets.deliver_secret import (
    checked_labels,
    deliver_secret,
    version_label,
)
from swarmsec.services.secrets.delivery_records import Attachment, CheckedTask, SecretRequest
from swarmsec.services.secrets.keep_secrets import (
    NewSecret,
    create_secret,
    delete_versions,
    destroy_versions,
    put_secret,
)
from swarmsec.services.secrets.rotate_secret import begin_rotation
from swarmsec.services.trust.judge_image import ImageJudge, JudgedImage, Standing
from tests.unit.swarmsec.homes import OPERATOR
from tests.unit.swarmsec.services.desk import Desk, new_key

NAME = SecretName.parse("team/app/db")
NODE = "ou8f1zzm7n3j0r2f9vxy2r0o5"
POLICY = """
apiVersion: swarmsec.dev/v1
kind: SecretAccessPolicy
metadata: {name: shop}
spec:
  rules:
    - {secrets: ["team/app/*"], services: ["shop_*"], images: ["registry.example/shop/*"], effect: allow}
"""
REQUEST = SecretRequest(
    secret_name="team.app.db",
    secret_labels={"io.swarmsec.name": NAME.text},
    service_id="service1",
    service_name="shop_api",
    service_labels={},
    task_id="task1",
    task_name="shop_api.1.task1",
    task_image="registry.example/shop/api",
    node_id=NODE,
)
TASK = CheckedTask(
    task_id="task1",
    service_id="service1",
    service_name="shop_api",
    service_labels={},
    image="registry.example/shop/api:1",
    node_id=NODE,
    hostname="m1",
)


@dataclass
class Counter:
    """Where tasks ask for a secret of two versions, attached to their service."""

    desk: Desk

    def apply(self, text: str) -> None:
        documents = load_documents(text.encode(), source="test")
        self.desk.home.store.write(lambda transaction: apply_policies(transaction, documents, OPERATOR))

    def ask(self, request: SecretRequest = REQUEST, task: CheckedTask = TASK, **options: Any) -> bytes:
        driver = Requester(actor=OPERATOR.actor)
        return self.desk.home.store.write(
            lambda transaction: deliver_secret(
                transaction, self.desk.keys, request, task, driver, **{"judge": ImageJudge()} | options
            )
        ).value.reveal()

    def labelled(self, version: str) -> CheckedTask:
        """A task whose service names a version."""
        label = self.desk.home.store.read(lambda transaction: version_label(transaction, self.desk.keys, NAME))
        return replace(TASK, service_labels={label: version})

    def verify_denied(
        self, match: str, request: SecretRequest = REQUEST, task: CheckedTask = TASK, **more: Any
    ) -> None:
        with pytest.raises(Denied, match=match) as caught:
            self.ask(request, task, **more)
        entry = self.desk.last_entry()
        assert (entry["action"], entry["outcome"], entry["reason"]) == ("secret.deliver", "denied", str(caught.value))
        assert (entry["fields"]["task"], entry["fields"]["node"]) == (request.task_id, request.node_id)


class Vouching:
    """A trust service that vouches for everything."""

    def judge(self, transaction: object, text: str, documents: object) -> JudgedImage:
        return JudgedImage(text=text, standing=Standing.TRUSTED)


def attach(desk: Desk) -> None:
    attachment = Attachment(
        name=NAME.text,
        service_id="service1",
        service_name="shop_api",
        docker_secret="team.app.db",
        target="db",
        mode="driver",
        created=0,
    )

    def unit(transaction: Any) -> None:
        new = NewSecret(name=NAME, value=SecretBytes(b"one"), labels={})
        create_secret(transaction, desk.keys, new, OPERATOR)
        transaction.attachments.put(attachment)
        put_secret(transaction, desk.keys, NAME, SecretBytes(b"two"), OPERATOR)

    desk.home.store.write(unit)


@pytest.fixture
def counter(desk: Desk) -> Counter:
    attach(desk)
    made = Counter(desk=desk)
    made.apply(POLICY)
    return made


def test_a_task_gets_the_version_that_its_service_names_else_the_current_one(counter: Counter) -> None:
    assert counter.ask() == b"two"
    entry = counter.desk.last_entry()
    assert (entry["action"], entry["outcome"], entry["object"]["version"]) == ("secret.deliver", "success", 2)
    assert counter.ask(task=counter.labelled("1")) == b"one"
    assert counter.desk.last_entry()["object"]["version"] == 1


@pytest.mark.parametrize(
    ("field", "match"), [("task_id", "another task"), ("service_id", "another service"), ("node_id", "another node")]
)
@pytest.mark.parametrize("claim", ["", "other"])
def test_what_the_manager_says_otherwise_is_denied(counter: Counter, field: str, match: str, claim: str) -> None:
    changes: dict[str, Any] = {field: claim}
    counter.verify_denied(match, replace(REQUEST, **changes))


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        ({}, "has no label"),
        ({"io.swarmsec.name": "../x"}, "expected a name"),
        ({"io.swarmsec.name": "team/app/none"}, "no secret"),
    ],
)
def test_a_docker_secret_that_stands_for_none_of_ours_is_denied(
    counter: Counter, labels: dict[str, str], match: str
) -> None:
    counter.verify_denied(match, replace(REQUEST, secret_labels=labels))


@pytest.mark.parametrize(
    "change",
    [
        {"service_name": "stranger"},
        {"image": "registry.example/other/api:1"},
        {"image": "!!"},
    ],
)
def test_what_no_rule_allows_is_denied(counter: Counter, change: dict[str, Any]) -> None:
    counter.verify_denied("no rule allows it", task=replace(TASK, **change))


def test_without_a_policy_everything_is_denied(desk: Desk) -> None:
    attach(desk)
    Counter(desk=desk).verify_denied("no ")


def test_a_service_that_nobody_attached_is_denied(counter: Counter) -> None:
    def detach(transaction: Any) -> None:
        transaction.attachments.remove(NAME.text, "service1")
        delete_versions(transaction, NAME, [1], OPERATOR)

    counter.desk.home.store.write(detach)
    counter.verify_denied("attach")


def test_an_image_that_nobody_vouches_for_is_denied_where_the_rule_asks(counter: Counter) -> None:
    counter.apply(POLICY.replace("effect: allow", "requireTrustedImage: true, effect: allow"))
    counter.verify_denied("trust")
    trusting: Any = Vouching()
    assert counter.ask(judge=trusting) == b"two"


def test_a_node_whose_certificate_was_revoked_or_ended_is_denied(counter: Counter) -> None:
    record = counter.desk.issue(NodeRole.WORKER, NODE, new_key())
    assert counter.ask(requires_node_certificate=True) == b"two"
    counter.desk.home.store.write(lambda transaction: revoke_certificates(transaction, record.serial, OPERATOR))
    counter.verify_denied("revoked or expired")
    counter.desk.issue(NodeRole.WORKER, NODE, new_key())
    assert counter.ask() == b"two"
    counter.desk.move_clock(timedelta(days=3650))
    counter.verify_denied("revoked or expired")


def test_a_node_without_a_certificate_of_ours_is_denied_on_an_adopted_swarm(counter: Counter) -> None:
    assert counter.ask() == b"two"
    counter.verify_denied("no certificate of this authority", requires_node_certificate=True)


@pytest.mark.parametrize("change", [delete_versions, destroy_versions])
def test_a_label_that_names_a_retired_version_is_denied(counter: Counter, change: Callable[..., Any]) -> None:
    counter.desk.home.store.write(lambda transaction: change(transaction, NAME, [1], OPERATOR))
    counter.verify_denied("expected a live version 1", task=counter.labelled("1"))
    assert counter.ask() == b"two"


@pytest.mark.parametrize("text", ["", "x", "-1", "1.0", "1" * 10, "²"])
def test_a_label_that_is_no_version_is_denied(counter: Counter, text: str) -> None:
    counter.verify_denied("expected a version in the label", task=counter.labelled(text))


def test_a_label_that_names_a_version_that_never_was_is_denied(counter: Counter) -> None:
    counter.verify_denied("there is none", task=counter.labelled("9"))


def test_a_version_that_a_rotation_has_only_prepared_is_denied(counter: Counter) -> None:
    counter.desk.home.store.write(
        lambda transaction: begin_rotation(
            transaction, counter.desk.keys, NAME, SecretBytes(b"three"), OPERATOR, validates=True
        )
    )
    counter.verify_denied("version 3 of team/app/db is not published", task=counter.labelled("3"))
    assert counter.ask() == b"two"


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)


@given(LABELS, LABELS, LABELS)
def test_claimed_labels_count_only_if_the_service_has_or_had_exactly_them(
    claimed: dict[str, str], present: dict[str, str], previous: dict[str, str]
) -> None:
    request = replace(REQUEST, service_labels=claimed)
    if claimed in (present, previous):
        assert checked_labels(request, present, previous) == claimed
    else:
        with pytest.raises(UsageProblem, match="not those of the service"):
            checked_labels(request, present, previous)
