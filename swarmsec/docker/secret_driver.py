"""The protocol of Docker's secret drivers: a legacy plugin that implements ``secretprovider``.

Shapes: moby ``pkg/plugins`` ("moby.plugins.http/v1") and swarmkit ``manager/drivers/secrets.go``. Docker sends no
``Content-Type``, an empty ``Host``, and leaves empty members out. It takes any answer but HTTP 200 for a failure, hides
its text at debug level, and asks again only for a new task.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from notary.errors import InvalidMetadata
from notary.strictjson import parse_strict
from swarmsec.errors import UsageProblem
from swarmsec.secretbytes import SecretBytes
from swarmsec.services.secrets.delivery_records import SecretRequest

ACTIVATE_PATH: Final = "/Plugin.Activate"
SECRET_PATH: Final = "/SecretProvider.GetSecret"  # noqa: S105  # a path
ACTIVATION: Final = b'{"Implements":["secretprovider"]}'
CONTENT_TYPE: Final = "application/vnd.docker.plugins.v1.2+json"
MAX_REQUEST: Final = 1 << 20
"""Labels of a service are bounded by SwarmKit's 4 MiB for a whole object; a request larger than this is refused."""
MAX_TEXT: Final = 4096
_IDS: Final = ("ServiceID", "TaskID", "NodeID")
_ID: Final = re.compile(r"[A-Za-z0-9]{0,64}", re.ASCII)


def parse_secret_request(data: bytes) -> SecretRequest:
    """Read what Docker asks for.

    Args:
        data: the body of ``POST /SecretProvider.GetSecret``, at most ``MAX_REQUEST`` bytes.

    Raises:
        UsageProblem: it is not such a request.
    """
    members = _members(data)
    for name in _IDS:
        _verify_id(name, members.get(name, ""))
    return SecretRequest(
        secret_name=_text(members, "SecretName"),
        secret_labels=_labels(members, "SecretLabels"),
        service_id=_text(members, "ServiceID"),
        service_name=_text(members, "ServiceName"),
        service_labels=_labels(members, "ServiceLabels"),
        task_id=_text(members, "TaskID"),
        task_name=_text(members, "TaskName"),
        task_image=_text(members, "TaskImage"),
        node_id=_text(members, "NodeID"),
    )


def answer_with(value: SecretBytes) -> bytes:
    """The answer that gives a value to this task alone.

    NOTE: without ``DoNotReuse`` a node gives one task's value to all of its tasks that were not started yet.
    """
    return b'{"Value":"' + base64.b64encode(value.reveal()) + b'","DoNotReuse":true}'


def answer_with_error(text: str) -> bytes:
    """The answer that gives nothing; Docker writes ``text`` at debug level and nowhere else."""
    return json.dumps({"Err": text}).encode()


def _members(data: bytes) -> Mapping[str, Any]:
    try:
        return parse_strict(data, limit=MAX_REQUEST)
    except InvalidMetadata as error:
        raise UsageProblem(f"expected a request as Docker sends it: {error}") from None


def _verify_id(name: str, value: object) -> None:
    if not isinstance(value, str) or _ID.fullmatch(value) is None:
        raise UsageProblem(f"expected {name} as Docker writes ids, got {value!r:.80}")


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name, "")
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise UsageProblem(f"expected {name} as a text of at most {MAX_TEXT} characters")
    return value


def _labels(members: Mapping[str, Any], name: str) -> Mapping[str, str]:
    value = members.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise UsageProblem(f"expected {name} as an object of texts")
    return value
