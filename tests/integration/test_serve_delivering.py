"""A driver without a home asks the real server: values, reasons, a server that hangs, and who may ask at all."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from swarmsec.docker.secret_driver import parse_secret_request
from swarmsec.errors import SwarmsecError, Unavailable
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.secrets.deliver_secret import DeliveryDenied
from swarmsec.services.secrets.delivery_records import CheckedTask, RefusalKind, SecretRequest
from swarmsec.wiring.secrets import remotedeciding
from swarmsec.wiring.secrets.driving import DriverParts, SecretDriver
from swarmsec.wiring.secrets.remotedeciding import RemoteDecisions
from tests.integration.serve_world import ServedHome
from tests.integration.test_serve_enrolling import enrol, run, token
from tests.peers.processes import wait_for

MARKER = "marker-77b1d2-value"
NAME = "team/app/db"
POLICY = """
apiVersion: swarmsec.dev/v1
kind: SecretAccessPolicy
metadata: {name: shop}
spec:
  rules:
    - {secrets: ["team/app/*"], services: ["shop_*"], requireAttached: false, effect: allow}
"""
BODY = {
    "SecretName": "team.app.db",
    "SecretLabels": {"io.swarmsec.name": NAME},
    "ServiceID": "idshopapi",
    "ServiceName": "shop_api",
    "TaskID": "task1",
    "NodeID": "node1",
}
REQUEST = parse_secret_request(json.dumps(BODY).encode())
TASK = CheckedTask(
    task_id="task1",
    service_id="idshopapi",
    service_name="shop_api",
    service_labels={},
    image="busybox",
    node_id="node1",
    hostname="m1",
)
LATE = b"the manager or the store did not answer in time"
T = TypeVar("T")
PATIENT_SECONDS = 30.0
HANGS_SECONDS = 5.0
"""Far less than a server that stands still would take, far more than half a second on a busy machine."""


class Checker:
    """A manager that knows this one task."""

    def check(self, requests: Sequence[SecretRequest]) -> Sequence[CheckedTask | SwarmsecError]:
        return [TASK] * len(requests)

    def warm_up(self) -> None:
        return


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedHome]:
    directory = tmp_path_factory.mktemp("delivering")
    with pytest.MonkeyPatch.context() as patch, ServedHome(directory) as home:
        patch.setenv("SWARMSEC_STATE", str(directory / "state"))
        home.create()
        for name, text in (("value", MARKER), ("policy.yaml", POLICY)):
            (directory / name).write_text(text)
            (directory / name).chmod(0o600)
        assert home.run("secrets", "create", NAME, "--file", str(directory / "value")).returncode == 0
        assert home.run("policy", "apply", str(directory / "policy.yaml")).returncode == 0
        yield home.serve()


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server of a machine under load is no server that hangs."""
    for name in ("ASK_SECONDS", "REFUSE_SECONDS"):
        monkeypatch.setattr(remotedeciding, name, PATIENT_SECONDS)


@pytest.fixture
def identity(served: ServedHome, tmp_path: Path) -> Path:
    directory = tmp_path / "driver"
    assert enrol(served, token(served, "driver"), directory).returncode == 0
    return directory


def asking(
    served: ServedHome, identity: Path, work: Callable[[RemoteDecisions], Coroutine[Any, Any, T]]
) -> tuple[T, list[str]]:
    said: list[str] = []
    return asyncio.run(_asked(served, identity, work, said)), said


async def _asked(
    served: ServedHome, identity: Path, work: Callable[[RemoteDecisions], Coroutine[Any, Any, T]], said: list[str]
) -> T:
    decisions = RemoteDecisions(served.url, identity, said.append)
    await decisions.open()
    try:
        return await work(decisions)
    finally:
        await decisions.close()


async def deliver(decisions: RemoteDecisions, task: CheckedTask = TASK) -> SecretBytes:
    request = replace(REQUEST, task_id=task.task_id)
    return (await decisions.deliver(request, task, time.monotonic() + PATIENT_SECONDS)).value


def entries(served: ServedHome) -> list[dict[str, Any]]:
    lines = served.run("--json", "secrets", "events").stdout.splitlines()
    return [json.loads(line) for line in lines]


def test_a_value_comes_after_its_entry_and_stays_out_of_every_log(served: ServedHome, identity: Path) -> None:
    async def work(decisions: RemoteDecisions) -> bytes:
        await decisions.warm_up()
        return (await deliver(decisions)).reveal()

    value, said = asking(served, identity, work)

    assert (value, said) == (MARKER.encode(), [])
    newest = entries(served)[-1]
    assert (newest["outcome"], newest["name"], newest["version"], newest["task"]) == ("success", NAME, 1, "task1")
    last = json.loads(served.run("--json", "audit", "log").stdout.splitlines()[-1])
    assert last["actor"]["auth"] == "driver"
    assert MARKER not in served.log + served.run("--json", "audit", "log").stdout
    assert base64.b64encode(MARKER.encode()).decode() not in served.log


def test_a_refusal_is_on_record_with_its_kind_and_counts_against_nobody(served: ServedHome, identity: Path) -> None:
    async def work(decisions: RemoteDecisions) -> DeliveryDenied:
        stranger = replace(TASK, service_name="stranger")
        for _ in range(30):
            with pytest.raises(DeliveryDenied) as caught:
                await deliver(decisions, stranger)
        assert (await deliver(decisions)).reveal() == MARKER.encode()
        return caught.value

    before = counted(served, 'swarmsec_secret_deliveries_total{result="policy"}')
    refused, _ = asking(served, identity, work)

    assert (str(refused), refused.refusal) == ("no rule allows it", RefusalKind.POLICY)
    assert [entry["reason"] for entry in entries(served)[-2:]] == ["no rule allows it", None]
    assert counted(served, 'swarmsec_secret_deliveries_total{result="policy"}') - before == 30


def counted(served: ServedHome, name: str, words: str = "") -> float:
    """What the server's metrics of a name, with these words among their labels, add up to."""
    lines = served.ask("GET", "/metrics").body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name) and words in line)


def requests_for_deliveries(served: ServedHome) -> float:
    """How many the server has answered."""
    return counted(served, "swarmsec_http_requests_total", "secrets.deliver")


def test_what_waits_together_is_asked_together_and_each_gets_their_own_answer(
    served: ServedHome, identity: Path
) -> None:
    """Among them one that the policy refuses, and one that the server cannot read."""
    tasks = [replace(TASK, task_id=f"many{number}") for number in range(100)]
    tasks[30] = replace(tasks[30], service_name="stranger")
    tasks[31] = replace(tasks[31], image="x" * 5_000)

    async def work(decisions: RemoteDecisions) -> list[SecretBytes | BaseException]:
        return await asyncio.gather(*(deliver(decisions, task) for task in tasks), return_exceptions=True)

    before = requests_for_deliveries(served)
    answers, _ = asking(served, identity, work)

    assert 4 <= requests_for_deliveries(served) - before < 50
    given = [answer.reveal() for answer in answers if isinstance(answer, SecretBytes)]
    assert given == [MARKER.encode()] * 98
    assert isinstance(answers[30], DeliveryDenied)
    assert isinstance(answers[31], Unavailable)
    assert "task.image" in str(answers[31])
    told = {entry["task"]: entry["outcome"] for entry in entries(served)[-99:]}
    assert told == {task.task_id: "success" for task in tasks if task is not tasks[31]} | {"many30": "denied"}


def test_what_comes_to_the_server_too_late_is_refused_there_and_on_record_once(
    served: ServedHome, identity: Path
) -> None:
    late = replace(REQUEST, task_id="late1"), replace(TASK, task_id="late1")

    async def work(decisions: RemoteDecisions) -> DeliveryDenied:
        with pytest.raises(DeliveryDenied) as caught:
            await decisions.deliver(*late, time.monotonic())
        return caught.value

    refused, _ = asking(served, identity, work)

    assert refused.refusal is RefusalKind.LATE
    assert [entry["outcome"] for entry in entries(served) if entry["task"] == "late1"] == ["denied"]


def test_a_driver_of_another_version_is_told_so(served: ServedHome) -> None:
    """What drivers sent before they asked for several at once."""
    body = json.dumps({"request": asdict(REQUEST), "task": asdict(TASK)}).encode()
    answer = served.ask("POST", "/api/v1/secrets/deliver", served.identity("driver", name="former"), body)
    assert answer.status == 400
    assert b"the driver and the server must be of one version" in answer.body


def test_what_the_driver_refused_by_itself_is_put_on_record(served: ServedHome, identity: Path) -> None:
    async def work(decisions: RemoteDecisions) -> None:
        await decisions.refuse(REQUEST, "the manager knows no such task", RefusalKind.TASK)

    asking(served, identity, work)

    newest = entries(served)[-1]
    assert (newest["outcome"], newest["reason"]) == ("denied", "the manager knows no such task")


def test_a_server_that_hangs_costs_half_a_second_and_no_record(served: ServedHome, identity: Path) -> None:
    said: list[str] = []

    async def work(decisions: RemoteDecisions) -> tuple[bytes, float, bytes]:
        parts = DriverParts(decisions=decisions, checker=Checker(), load=lambda: None, report=said.append)
        driver, body = SecretDriver(parts), json.dumps(BODY).encode()
        await decisions.warm_up()
        os.kill(served.process.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            refused = await driver.answer(body)
            took = time.monotonic() - began
        finally:
            os.kill(served.process.pid, signal.SIGCONT)
        given = await driver.answer(body)
        ends = time.monotonic() + PATIENT_SECONDS
        while LATE in given and time.monotonic() < ends:
            # On a busy machine what comes right after may be late as well; a task is started anew then.
            given = await driver.answer(body)
        await driver.close()
        return refused, took, given

    (refused, took, given), _ = asking(served, identity, work)

    assert json.loads(refused) == {"Err": f"swarmsec: {LATE.decode()}"}
    assert took < HANGS_SECONDS
    assert base64.b64decode(json.loads(given)["Value"]) == MARKER.encode()
    wait_for(
        lambda: any("did not answer in time" in str(entry["reason"]) for entry in entries(served)),
        timeout=30,
        what="the refusal on record",
    )


def test_a_revoked_driver_gets_nothing_on_the_connection_that_it_had(served: ServedHome, identity: Path) -> None:
    async def work(decisions: RemoteDecisions) -> str:
        assert (await deliver(decisions)).reveal() == MARKER.encode()
        name = json.loads(run("access", "renew", "--server", served.url, "--dir", str(identity), "--json").stdout)
        assert served.run("access", "revoke", name["name"]).returncode == 0
        for _ in range(100):
            try:
                await deliver(decisions)
            except Unavailable as error:
                return str(error)
            await asyncio.sleep(0.1)
        return ""

    refusal, _ = asking(served, identity, work)

    assert "did not decide" in refusal or "could not be asked" in refusal


def test_a_renewed_identity_is_taken_up_while_the_driver_runs(served: ServedHome, identity: Path) -> None:
    async def work(decisions: RemoteDecisions) -> None:
        upkeep = asyncio.create_task(decisions.keep_fresh())
        former = decisions.session
        await asyncio.to_thread(run, "access", "renew", "--server", served.url, "--dir", str(identity))
        for _ in range(300):
            if decisions.session is not former:
                break
            await asyncio.sleep(0.1)
        assert decisions.session is not former
        assert (await deliver(decisions)).reveal() == MARKER.encode()
        upkeep.cancel()

    asking(served, identity, work)


def test_an_identity_that_does_not_fit_is_said_once_and_the_former_goes_on(served: ServedHome, identity: Path) -> None:
    said: list[str] = []

    async def work(decisions: RemoteDecisions) -> bytes:
        upkeep = asyncio.create_task(decisions.keep_fresh())
        # In one step: what it finds half written it would say, too.
        (identity / "other").write_text("no certificate")
        (identity / "other").rename(identity / "swarmsec.crt")
        while not said:
            await asyncio.sleep(0.1)
        await asyncio.sleep(2.5)
        upkeep.cancel()
        return (await deliver(decisions)).reveal()

    value = asyncio.run(_asked(served, identity, work, said))

    assert value == MARKER.encode()
    assert len([line for line in said if "cannot be taken up" in line]) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"deliveries": []}',
        b'{"deliveries": [7]}',
        json.dumps({"deliveries": [{}] * 33}).encode(),
        json.dumps({"request": REQUEST.__class__.__name__}).encode(),
        b"[" * 2000,
    ],
)
def test_what_cannot_be_meant_is_refused(body: bytes, served: ServedHome, identity: Path) -> None:
    bearer = served.identity("driver", name=f"d{len(body)}")
    answer = served.ask("POST", "/api/v1/secrets/deliver", bearer, body)
    assert answer.status == 400
