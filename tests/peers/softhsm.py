"""SoftHSM (Debian's ``softhsm2``): a PKCS#11 module whose tokens are directories, so that they can be pulled and put
back.

Each instance has its own configuration and tokens. A process finds them through ``SOFTHSM2_CONF``, which its owner
sets; tokens are visible to whoever loads the module after they were put in.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import PyKCS11

from tests.peers.errors import PeerProblem

MODULE: Final = Path("/usr/lib/softhsm/libsofthsm2.so").resolve()
PIN: Final = "4711-swarm"
SO_PIN: Final = "so-4711-swarm"
_COUNT: Final = """
import sys
import PyKCS11
module, label, pin, name = sys.argv[1:]
library = PyKCS11.PyKCS11Lib()
library.load(module)
(slot,) = (s for s in library.getSlotList(tokenPresent=True) if library.getTokenInfo(s).label.strip() == label)
session = library.openSession(slot)
session.login(pin)
for kind in (PyKCS11.CKO_PRIVATE_KEY, PyKCS11.CKO_PUBLIC_KEY):
    print(len(session.findObjects([(PyKCS11.CKA_CLASS, kind), (PyKCS11.CKA_LABEL, name)])))
"""


class SoftHsm:
    """Tokens below a directory, and the PIN file for them.

    Args:
        directory: made where it is missing.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.tokens = directory / "tokens"
        self.configuration = directory / "softhsm2.conf"
        self.pin_file = directory / "pin"
        self._library: Any = None
        self.tokens.mkdir(parents=True)
        text = f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n"
        self.configuration.write_text(text)
        self.write_pin(PIN)

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to see these tokens."""
        return {"SOFTHSM2_CONF": str(self.configuration)}

    def write_pin(self, pin: str, mode: int = 0o600) -> None:
        """Write the PIN file."""
        self.pin_file.write_text(f"{pin}\n")
        self.pin_file.chmod(mode)

    def make_token(self, label: str) -> Path:
        """A new token; returns its directory."""
        before = set(self.tokens.iterdir())
        command = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", SO_PIN, "--pin", PIN]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=30, check=False, env={**os.environ, **self.environment}
        )
        made = set(self.tokens.iterdir()) - before
        if done.returncode or len(made) != 1:
            raise PeerProblem(f"expected softhsm2-util to make a token, got {done.stdout} {done.stderr}")
        return made.pop()

    def pull(self, token: Path) -> None:
        """Take a token out."""
        token.rename(self.directory / f"pulled-{token.name}")

    def put(self, token: Path) -> None:
        """Put a token back."""
        (self.directory / f"pulled-{token.name}").rename(token)

    def uri(self, token: str = "swarm", name: str = "root", *, query: bool = True) -> str:  # no secret
        """The URI of a key."""
        access = f"?module-path={MODULE}&pin-source=file:{self.pin_file}" if query else ""
        return f"pkcs11:token={token};object={name}{access}"

    def session(self, label: str = "swarm") -> Any:
        """A session of this process, logged in, with the plain binding. ``SOFTHSM2_CONF`` must be set."""
        library = self._library = PyKCS11.PyKCS11Lib()
        library.load(str(MODULE))
        (slot,) = (
            slot for slot in library.getSlotList(tokenPresent=True) if library.getTokenInfo(slot).label.strip() == label
        )
        session = library.openSession(slot, PyKCS11.CKF_RW_SESSION)
        try:
            session.login(PIN)
        except PyKCS11.PyKCS11Error as error:
            # A process logs in once for all of its sessions.
            if error.value != PyKCS11.CKR_USER_ALREADY_LOGGED_IN:
                raise
        return session

    def keys_named(self, label: str, name: str) -> tuple[int, int]:
        """How many private and public keys of a name a token has, as a process of its own sees it.

        This process may have loaded the module before, with the tokens of that time.
        """
        command = [sys.executable, "-c", _COUNT, str(MODULE), label, PIN, name]
        environment = {**os.environ, **self.environment}
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=environment)
        if done.returncode:
            raise PeerProblem(f"expected the keys of token {label}, got {done.stderr}")
        private, public = map(int, done.stdout.split())
        return private, public

    def close(self) -> None:
        """Let go of the module, where ``session`` took it."""
        self._library = None
