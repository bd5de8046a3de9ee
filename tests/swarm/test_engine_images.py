"""An image that a real Docker Engine made and pushed: signed, verified, pinned, moved, promoted, revoked.

Engine, registry, ``skopeo`` and swarmsec are on one host, so that the registry is on the engine's own loopback, where
Docker speaks plain HTTP as well. What each of them says of a digest must be the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.peers.engines import Engine, StartEngines
from tests.peers.registry import Registry


class Machine:
    """Runs swarmsec on an engine's host, in a home of its own."""

    def __init__(self, engine: Engine, directory: Path) -> None:
        self._engine = engine
        places = {"SWARMSEC_HOME": str(directory / "home"), "SWARMSEC_STATE": str(directory / "state")}
        self._environment = {**os.environ, **places}

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._engine.host.run([sys.executable, "-m", "swarmsec", *arguments], env=self._environment)

    def good(self, *arguments: str) -> str:
        done = self(*arguments)
        assert done.returncode == 0, done
        return done.stdout

    def refused(self, words: str, *arguments: str) -> None:
        done = self(*arguments)
        assert (done.returncode, words in done.stderr, done.stdout) == (1, True, ""), done


def test_an_image_that_an_engine_pushed(engines: StartEngines, peer_directory: Path) -> None:
    (engine,) = engines("m1")
    with Registry(peer_directory / "registry", inside=engine.host.command) as registry:
        swarmsec = Machine(engine, peer_directory)
        swarmsec.good("trust", "init", "--yes")
        name = f"{registry.host}/shop/api"
        first = engine.push_busybox_image(f"{name}:1", ["echo", "one"])
        assert registry.digest_of("shop/api:1") == first
        swarmsec.refused("nobody signed", "image", "verify", f"{name}:1")
        assert swarmsec.good("image", "sign", f"{name}:1") == f"{name}:1 {first}\n"
        assert swarmsec.good("image", "verify", f"{name}:1") == f"{name}:1 {first}\n"

        pinned = swarmsec.good("image", "verify", "--pin", f"{name}:1").strip()
        assert pinned == f"{name}@{first}"
        engine.docker("pull", pinned)
        assert pinned in engine.docker("image", "inspect", "--format", "{{.RepoDigests}}", pinned).stdout

        second = engine.push_busybox_image(f"{name}:1", ["echo", "two"])
        assert registry.digest_of("shop/api:1") == second != first
        swarmsec.refused("as signed, got", "image", "verify", f"{name}:1")
        assert swarmsec.good("image", "verify", pinned) == f"{pinned} {first}\n"
        swarmsec.good("image", "sign", f"{name}:1")

        engine.docker("tag", f"{name}:1", f"{name}:stable")
        engine.docker("push", f"{name}:stable")
        assert registry.digest_of("shop/api:stable") == second
        swarmsec.good("image", "promote", f"{name}:1", f"{name}:stable")
        assert swarmsec.good("image", "verify", f"{name}:stable") == f"{name}:stable {second}\n"

        swarmsec.good("image", "revoke", f"{name}:stable", "--reason", "leaked a key")
        swarmsec.refused("nobody signed", "image", "verify", f"{name}:stable", f"{name}:1")
        swarmsec.refused("was revoked: leaked a key", "image", "verify", f"{name}@{second}")
