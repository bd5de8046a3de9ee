"""A manager's API that knows one service and any task of it, as quickly as Python answers: for measuring the driver.

Run as a program: ``python -m tests.peers.one_service_manager SOCKET``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Final

import uvloop
from aiohttp import web

SERVICE: Final = "idshopapi"
NODE: Final = "node1"
DOCKER_SECRET: Final = "team.app.db"  # a name
_SECRETS: Final = [
    {
        "SecretID": "s1",
        "SecretName": DOCKER_SECRET,
        "File": {"Name": "db", "UID": "0", "GID": "0", "Mode": 0o400},
    }
]
_VERSION: Final = json.dumps({"ApiVersion": "1.41", "Version": "20.10.24"}).encode()
_CONTAINER: Final = {"Image": "busybox:local", "Secrets": _SECRETS}
_SERVICE: Final = json.dumps(
    {
        "ID": SERVICE,
        "Version": {"Index": 7},
        "Spec": {"Name": "shop_api", "Labels": {}, "TaskTemplate": {"ContainerSpec": _CONTAINER}},
    }
).encode()
_TASK: Final = json.dumps(
    {
        "ID": "%s",
        "ServiceID": SERVICE,
        "NodeID": NODE,
        "DesiredState": "running",
        "Spec": {"ContainerSpec": _CONTAINER},
        "Status": {"State": "assigned"},
    }
).encode()
_NODE: Final = json.dumps(
    {
        "ID": NODE,
        "Version": {"Index": 7},
        "Spec": {"Role": "manager", "Availability": "active"},
        "Description": {"Hostname": "m1", "Engine": {"EngineVersion": "20.10.24"}},
        "Status": {"State": "ready", "Addr": "192.0.2.1"},
    }
).encode()


def _task(name: str) -> bytes:
    return _TASK % name.encode()


async def _answer(request: web.BaseRequest) -> web.StreamResponse:
    # With or without the version of the API before it.
    kind, name = ["", "", *request.path.split("/")][-2:]
    if name == "tasks":
        named = json.loads(request.query["filters"])["id"]
        return web.Response(body=b"[%s]" % b",".join(map(_task, named)), content_type="application/json")
    bodies = {"version": _VERSION, "services": b"[%s]" % _SERVICE}
    body = _NODE if (kind, name) == ("nodes", NODE) else bodies.get(name, b"")
    if not body:
        return web.Response(status=404, body=b'{"message":"no such object"}', content_type="application/json")
    return web.Response(body=body, content_type="application/json")


async def _serve(path: str) -> None:
    runner = web.ServerRunner(web.Server(_answer, access_log=None))
    await runner.setup()
    await web.UnixSite(runner, path).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(_serve(sys.argv[1]))
