"""Logins for registries as ``docker login`` keeps them: Docker's configuration file and its credential helpers.

The file is ``config.json`` in ``DOCKER_CONFIG`` or ``~/.docker``. For a registry counts, in this order: its entry in
``credHelpers``, the ``credsStore``, its entry in ``auths``. A helper is the program ``docker-credential-NAME``; it is
given the registry on standard input, after the word ``get``, and answers in JSON (docker-credential-helpers,
"Development"). Passwords travel in ``SecretBytes`` and stand in no argument, message or log.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from notary.reference import DEFAULT_DOMAIN
from swarmsec.errors import Unavailable, UsageProblem
from swarmsec.openedfile import open_to_read
from swarmsec.registry.hosts import HUB_KEY
from swarmsec.secretbytes import SecretBytes

MAX_FILE: Final = 1 << 20
MAX_ANSWER: Final = 65_536
HELPER_SECONDS: Final = 20.0
TOKEN_USER: Final = "<token>"  # noqa: S105  # the name by which helpers say that the secret is an identity token
_HELPER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_NOT_FOUND: Final = "credentials not found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user's name and password; or, where the user is ``<token>``, an identity token."""

    user: str
    secret: SecretBytes

    def basic(self) -> str:
        """The value of an ``Authorization`` header (RFC 7617)."""
        pair = self.user.encode() + b":" + self.secret.reveal()
        return "Basic " + base64.b64encode(pair).decode("ascii")


class DockerLogins:
    """Finds the login of a registry.

    Args:
        path: of the configuration file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._config: Mapping[str, Any] | None = None

    def of(self, domain: str) -> Login | None:
        """The login for a registry, None where there is none.

        Args:
            domain: of an image reference, such as ``docker.io`` or ``localhost:5000``.

        Raises:
            UsageProblem: the file or an entry of it cannot be meant.
            Unavailable: the file cannot be read, or a helper fails.
        """
        config = self._loaded()
        key = HUB_KEY if domain == DEFAULT_DOMAIN else domain
        helper = _member(config, "credHelpers").get(domain) or config.get("credsStore")
        if helper:
            return _ask_helper(helper, key)
        auths = _member(config, "auths")
        for name in (
            key,
            f"https://{key}",
            f"http://{key}",
            f"https://{key}/",
            f"https://{key}/v1/",
            f"https://{key}/v2/",
        ):
            if name in auths:
                return _login_of(auths[name], domain)
        return None

    def _loaded(self) -> Mapping[str, Any]:
        if self._config is None:
            self._config = parse_docker_config(_read(self._path))
        return self._config


def default_config_path() -> Path:
    """Where Docker keeps its configuration."""
    directory = os.environ.get("DOCKER_CONFIG")
    return (Path(directory) if directory else Path.home() / ".docker") / "config.json"


def parse_docker_config(data: bytes) -> dict[str, Any]:
    """Read Docker's configuration; empty bytes are an empty one.

    Raises:
        UsageProblem: it is no JSON object.
    """
    try:
        config = json.loads(data or b"{}")
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise UsageProblem("expected Docker's config.json to be a JSON object", hint="log in again: docker login")
    return config


def _read(path: Path) -> bytes:
    try:
        with open_to_read(path) as file:
            data = file.read(MAX_FILE + 1)
    except (FileNotFoundError, NotADirectoryError):
        return b""
    except OSError as error:
        raise Unavailable(f"{path} could not be read: {error.strerror}", hint="check its owner and mode") from None
    if len(data) > MAX_FILE:
        raise UsageProblem(f"expected at most {MAX_FILE} bytes in {path}")
    return data


def _member(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = config.get(name)
    return value if isinstance(value, dict) else {}


def _login_of(entry: object, domain: str) -> Login | None:
    """An entry of ``auths``: base 64 of ``user:password``, or an identity token; one that is empty is none."""
    members = entry if isinstance(entry, dict) else {}
    token = members.get("identitytoken")
    if isinstance(token, str) and token and _has_utf8(token):
        return Login(user=TOKEN_USER, secret=SecretBytes(token.encode()))
    auth = members.get("auth")
    if not isinstance(auth, str) or not auth:
        return None
    try:
        user, colon, secret = base64.b64decode(auth, validate=True).decode().partition(":")
    except ValueError:
        colon = ""
        user = secret = ""
    if not colon:
        raise UsageProblem(
            f"the login for {domain} in Docker's config.json cannot be read",
            hint=f"log in again: docker login {domain}",
        )
    return Login(user=user, secret=SecretBytes(secret.rstrip("\0").encode()))


def _ask_helper(name: object, key: str) -> Login | None:
    if not isinstance(name, str) or not _HELPER.fullmatch(name):
        raise UsageProblem("expected the name of a credential helper in Docker's config.json")
    program = shutil.which(f"docker-credential-{name}")
    if program is None:
        raise UsageProblem(f"no program docker-credential-{name}, which Docker's config.json names", hint="install it")
    try:
        ended = subprocess.run(
            [program, "get"], input=key.encode(), capture_output=True, timeout=HELPER_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        raise Unavailable(f"docker-credential-{name} did not answer") from None
    if ended.returncode != 0:
        # NOTE: what a helper prints is shown to nobody; it may hold what it was asked for.
        if _NOT_FOUND in ended.stdout[:1000].decode(errors="replace").lower():
            return None
        raise Unavailable(f"docker-credential-{name} failed with status {ended.returncode}", hint="unlock its store")
    return parse_helper_answer(ended.stdout)


def parse_helper_answer(data: bytes) -> Login | None:
    """Read what a credential helper prints; None for an empty login.

    Raises:
        Unavailable: it is not that.
    """
    try:
        members = json.loads(data[:MAX_ANSWER])
        user, secret = members["Username"], members["Secret"]
    except (ValueError, RecursionError, KeyError, TypeError):
        user = secret = None
    if not isinstance(user, str) or not isinstance(secret, str) or not _has_utf8(user + secret):
        raise Unavailable("expected a login from the credential helper, got something else")
    return Login(user=user, secret=SecretBytes(secret.encode())) if user or secret else None


def _has_utf8(text: str) -> bool:
    """Whether a text can be sent: JSON's escapes can spell halves of characters."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
