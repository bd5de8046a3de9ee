"""Docker's requests for secrets are read strictly; answers have its shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swarmsec.docker.secret_driver import MAX_REQUEST, answer_with, answer_with_error, parse_secret_request
from swarmsec.errors import UsageProblem
from swarmsec.secretbytes import SecretBytes

REQUEST: dict[str, Any] = {
    "SecretName": "team.app.db",
    "SecretLabels": {"io.swarmsec.name": "team/app/db"},
    "ServiceHostname": "{{.Node.Hostname}}",
    "ServiceID": "4ip67p7wr10zqg924nxem8f7g",
    "ServiceName": "shop_api",
    "ServiceLabels": {"a": "b"},
    "TaskID": "ytdesd9b005chpvte5hwk4fql",
    "TaskName": "shop_api.1.ytdesd9b005chpvte5hwk4fql",
    "TaskImage": "busybox:local",
    "NodeID": "ou8f1zzm7n3j0r2f9vxy2r0o5",
    "ServiceEndpointSpec": {"Mode": 0},
}


def test_a_request_as_docker_sends_it() -> None:
    request = parse_secret_request(json.dumps(REQUEST).encode())

    assert request.secret_labels == {"io.swarmsec.name": "team/app/db"}
    assert (request.task_id, request.node_id) == (REQUEST["TaskID"], REQUEST["NodeID"])


def test_what_docker_leaves_out_is_empty() -> None:
    request = parse_secret_request(b"{}")

    assert (request.task_id, request.secret_name, dict(request.service_labels)) == ("", "", {})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b'{"a":1,"a":2}',
        b'{"TaskID":NaN}',
        b'{"TaskID":"../x"}',
        b'{"TaskID":5}',
        b'{"NodeID":"' + b"a" * 65 + b'"}',
        b'{"SecretName":5}',
        b'{"SecretName":"\\ud800"}',
        b'{"SecretLabels":[]}',
        b'{"SecretLabels":{"a":5}}',
        b'{"ServiceName":"' + b"a" * 5000 + b'"}',
        b"[" * 100_000,
        b" " * (MAX_REQUEST + 1),
    ],
    ids=lambda data: repr(data[:30]),
)
def test_what_docker_never_sends(data: bytes) -> None:
    with pytest.raises(UsageProblem, match="expected "):
        parse_secret_request(data)


def test_a_value_is_for_one_task_alone() -> None:
    assert json.loads(answer_with(SecretBytes(b"\x00\xff"))) == {"Value": "AP8=", "DoNotReuse": True}
    assert json.loads(answer_with_error('a "reason"')) == {"Err": 'a "reason"'}
