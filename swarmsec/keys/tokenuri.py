"""PKCS#11 URIs (RFC 7512): how an operator names a key in a token, and how the store names it afterwards.

Read strictly: an attribute that is unknown, stands twice or is empty is refused, not ignored as the RFC allows, because
an ignored one would name another key than was meant. A PIN in the URI (``pin-value``) is refused: arguments are seen by
every process of the machine. What is stored has no query: which library is loaded into the process, and where the PIN
lies, is for ``swarmsec.toml`` to say, which only the owner of the home can write; the database may be another's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from swarmsec.errors import UsageProblem

SCHEME: Final = "pkcs11:"
MAX_URI: Final = 2048
MAX_TEXT_BYTES: Final = 255
MAX_ID_BYTES: Final = 64
_TOKEN_ATTRIBUTES: Final = ("token", "manufacturer", "model", "serial")
_TEXTS: Final = (*_TOKEN_ATTRIBUTES, "object")
_VALUE: Final = re.compile(r"(?:[A-Za-z0-9._~:\[\]@!$'()*+,=&/?|-]|%[0-9A-Fa-f]{2})+", re.ASCII)
_PIN_HINT: Final = "put the PIN into a file of mode 0600 and name it: pin-source=file:/PATH"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenKeyUri:
    """Where a key is, and how to get at it. Texts are empty where they are not given."""

    token: str = ""
    manufacturer: str = ""
    model: str = ""
    serial: str = ""
    object: str = ""
    id: bytes = b""
    module_path: str = ""
    pin_file: str = ""

    @property
    def key_name(self) -> str:
        """The URI of the key alone, without its query, in one form only."""
        texts = [(name, str(getattr(self, name)).encode()) for name in _TEXTS]
        parts = [f"{name}={quote_from_bytes(value, safe='')}" for name, value in texts if value]
        if self.id:
            parts.append("id=" + "".join(f"%{byte:02x}" for byte in self.id))
        return SCHEME + ";".join(parts)

    @property
    def token_name(self) -> str:
        """The token as errors name it."""
        return " ".join(f"{name} {getattr(self, name)!r}" for name in _TOKEN_ATTRIBUTES if getattr(self, name))

    def __str__(self) -> str:
        return self.key_name


def is_token_key(key_name: str) -> bool:
    """Whether the name of a key is that of one in a token."""
    return key_name.startswith(SCHEME)


def parse_token_uri(text: str) -> TokenKeyUri:
    """Read a URI that names a private key in a token.

    Args:
        text: ``pkcs11:token=…;object=…;id=…?module-path=…&pin-source=file:…``; at most 2,048 characters. A token is
            named by ``token`` or ``serial`` at least, the key by ``object`` or ``id``.

    Raises:
        UsageProblem: it is not of that form.
    """
    if not text.startswith(SCHEME) or len(text) > MAX_URI:
        raise UsageProblem(f"expected a URI that begins with {SCHEME}, of at most {MAX_URI} characters")
    path, has_query, query = text[len(SCHEME) :].partition("?")
    members = _attributes(path, ";")
    _verify_known(members, (*_TEXTS, "id", "type"))
    asked = _attributes(query, "&") if has_query else {}
    if "pin-value" in asked or "pin-value" in members:
        raise UsageProblem("expected no PIN in the URI: every process of this machine can read it", hint=_PIN_HINT)
    _verify_known(asked, ("module-path", "pin-source"))
    if members.pop("type", b"private") != b"private":
        raise UsageProblem("expected type=private, because a private key is what is named")
    found = TokenKeyUri(
        **{name: _text(name, members[name]) for name in _TEXTS if name in members},
        id=_bounded("id", members.get("id", b""), MAX_ID_BYTES),
        module_path=_absolute("module-path", asked["module-path"]) if "module-path" in asked else "",
        pin_file=_pin_file(asked["pin-source"]) if "pin-source" in asked else "",
    )
    if not (found.token or found.serial) or not (found.object or found.id):
        raise UsageProblem("expected token=… (or serial=…) and object=… (or id=…) in the URI")
    return found


def _attributes(text: str, separator: str) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    for part in text.split(separator):
        name, equals, value = part.partition("=")
        if not equals or not _VALUE.fullmatch(value):
            raise UsageProblem(f"expected NAME=VALUE parts in the URI, percent-encoded where needed, got {name!r:.40}")
        if name in members:
            raise UsageProblem(f"expected {name!r:.40} once in the URI")
        members[name] = unquote_to_bytes(value)
    return members


def _verify_known(members: dict[str, bytes], known: tuple[str, ...]) -> None:
    unknown = sorted(set(members) - set(known) - {"pin-value"})
    if unknown:
        raise UsageProblem(f"unknown attribute {unknown[0]!r:.40} in the URI", hint=f"known: {', '.join(known)}")


def _text(name: str, value: bytes) -> str:
    try:
        text = _bounded(name, value, MAX_TEXT_BYTES).decode()
    except UnicodeDecodeError:
        text = "\0"
    if not text.isprintable():
        raise UsageProblem(f"expected a printable {name} in the URI")
    return text


def _bounded(name: str, value: bytes, limit: int) -> bytes:
    if len(value) > limit:
        raise UsageProblem(f"expected at most {limit} bytes as {name} in the URI, got {len(value)}")
    return value


def _absolute(name: str, value: bytes) -> str:
    path = _text(name, value)
    if not Path(path).is_absolute():
        raise UsageProblem(f"expected an absolute path as {name}, got {path!r:.100}")
    return path


def _pin_file(value: bytes) -> str:
    kind, colon, rest = value.partition(b":")
    if kind != b"file" or not colon:
        raise UsageProblem("expected pin-source=file:/PATH; other sources are not read", hint=_PIN_HINT)
    return _absolute("pin-source", rest.removeprefix(b"//"))
