"""Debian's ``docker-registry`` on loopback, and ``skopeo`` to fill it and to judge digests."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.peers.processes import ManagedProcess

START_SECONDS = 60.0
_LISTENS = re.compile(r"listening on 127\.0\.0\.1:(\d+)")
_PROBE = """
import sys, urllib.error, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=2)
except urllib.error.HTTPError as error:
    sys.exit(error.code != 401)
"""


class Registry:
    """One registry with an empty storage.

    Args:
        directory: holds its storage and its log.
        htpasswd: file of logins that it asks for; None for none.
        inside: the command line that runs another one where the registry is to be; as it is for this machine itself.
    """

    def __init__(
        self,
        directory: Path,
        *,
        htpasswd: Path | None = None,
        inside: Callable[[Sequence[str]], list[str]] = list,
    ) -> None:
        self._inside = inside
        directory.mkdir(parents=True, exist_ok=True)
        self.port = 0
        config = directory / "config.yml"
        config.write_text(json.dumps(self._config(directory, htpasswd)))
        log = directory / "registry.log"
        self._process = ManagedProcess(inside(["docker-registry", "serve", str(config)]), log=log)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._process.start()
        self._process.wait_ready(self._answers, timeout=START_SECONDS, what="a registry that answers")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.stop()

    def push(self, layout: Path, tag: str, reference: str, *, login: str | None = None) -> str:
        """Copy an image of an OCI layout, with all its platforms; returns its digest as skopeo sees it."""
        credentials = ["--dest-creds", login] if login is not None else []
        target = f"docker://{self.host}/{reference}"
        source = f"oci:{layout}:{tag}"
        self._skopeo("copy", "--all", "--preserve-digests", "--dest-tls-verify=false", *credentials, source, target)
        return self.digest_of(reference, login=login)

    def digest_of(self, reference: str, *, login: str | None = None) -> str:
        """The digest of a tag, by ``skopeo inspect``."""
        credentials = ["--creds", login] if login is not None else []
        target = f"docker://{self.host}/{reference}"
        raw = self._skopeo("inspect", "--raw", "--tls-verify=false", *credentials, target)
        done = subprocess.run(["skopeo", "manifest-digest", "/dev/stdin"], input=raw, capture_output=True, check=True)
        return done.stdout.decode().strip()

    def _skopeo(self, *arguments: str) -> bytes:
        return skopeo(*arguments, inside=self._inside)

    def _answers(self) -> bool:
        listens = _LISTENS.search(self._process.said())
        if listens is None:
            return False
        self.port = int(listens[1])
        ask = self._inside([sys.executable, "-c", _PROBE, f"http://{self.host}/v2/"])
        return subprocess.run(ask, capture_output=True, check=False, timeout=START_SECONDS).returncode == 0

    def _config(self, directory: Path, htpasswd: Path | None) -> dict[str, Any]:
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": str(directory / "storage")}, "delete": {"enabled": True}},
            # It picks a port that is free and says which.
            "http": {"addr": "127.0.0.1:0"},
        }
        if htpasswd is not None:
            config["auth"] = {"htpasswd": {"realm": "registry", "path": str(htpasswd)}}
        return config


def skopeo(*arguments: str, inside: Callable[[Sequence[str]], list[str]] = list) -> bytes:
    """Run skopeo and return what it prints."""
    done = subprocess.run(inside(["skopeo", *arguments]), capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout
