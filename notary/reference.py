"""Image references and digests, parsed once.

The grammar is Docker's (distribution/reference, ``reference.go`` and ``normalize.go``): a name without registry is
``docker.io``, one without namespace there is ``library``, and ``index.docker.io`` is ``docker.io``. A missing tag
stays missing; what it means is the caller's matter. One thing is stricter than Docker: the registry is lower-cased,
because hosts are the same in any case and policies compare names, and ``Foo/bar``, where only the capital makes
``Foo`` a registry, is refused. Digests follow the OCI image specification ("Digests"), with
its two registered algorithms only.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from notary.errors import InvalidDigest, InvalidReference

MAX_REFERENCE_LENGTH = 1024
MAX_NAME_LENGTH = 255
"""Of domain and path together; Docker bounds the path alone since 2024, registries still bound both."""
MAX_DIRECTORY_LENGTH = 4096

DEFAULT_DOMAIN = "docker.io"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"

_MAX_QUOTED = 80
_HOST_PART = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_HOST_PART}(?:\.{_HOST_PART})*|\[(?:[a-f0-9:]+)\])(?::(?P<port>[0-9]{{1,5}}))?", re.ASCII)
_PATH_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_PATH_PART}(?:/{_PATH_PART})*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_HEX_64 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_OCI_SCHEME = "oci:"


class Algorithm(StrEnum):
    """Digest algorithms that are accepted."""

    SHA256 = "sha256"
    SHA512 = "sha512"

    @property
    def hex_length(self) -> int:
        """Hex digits of a digest of this algorithm."""
        return hashlib.new(self.value).digest_size * 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """The digest of some bytes: algorithm and lower-case hex."""

    algorithm: Algorithm
    hex: str

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.hex}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``sha256:`` or ``sha512:`` and the lower-case hex digits.

        Raises:
            InvalidDigest: the algorithm is another, or the digits are not exactly as many and lower-case.
        """
        word, _, digits = text.partition(":")
        if word not in {"sha256", "sha512"}:
            raise InvalidDigest(f"expected a digest sha256:… or sha512:…, got {_quoted(text)}")
        algorithm = Algorithm(word)
        if re.fullmatch(f"[0-9a-f]{{{algorithm.hex_length}}}", digits) is None:
            raise InvalidDigest(
                f"expected {algorithm.hex_length} lower-case hex digits after {algorithm}:, got {_quoted(digits)}"
            )
        return cls(algorithm=algorithm, hex=digits)

    @classmethod
    def of(cls, data: bytes, *, algorithm: Algorithm = Algorithm.SHA256) -> Self:
        """Return the digest of these bytes."""
        return cls(algorithm=algorithm, hex=hashlib.new(algorithm.value, data).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """An image by registry, repository, and tag or digest or both or neither.

    ``str`` gives the full form, with ``docker.io`` and ``library`` written out; parsing that gives the same value.
    """

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    def __str__(self) -> str:
        tag = "" if self.tag is None else f":{self.tag}"
        digest = "" if self.digest is None else f"@{self.digest}"
        return f"{self.repository}{tag}{digest}"

    @property
    def repository(self) -> str:
        """Registry and path, without tag and digest: what policies and trust metadata name."""
        return f"{self.domain}/{self.path}"

    def pinned(self, digest: Digest) -> ImageReference:
        """Return the same image held to a digest; the tag stays for people to read."""
        return replace(self, digest=digest)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``[DOMAIN/]PATH[:TAG][@DIGEST]``.

        Raises:
            InvalidReference: the text is no such reference.
        """
        if not 1 <= len(text) <= MAX_REFERENCE_LENGTH:
            raise InvalidReference(f"expected a reference of 1 to {MAX_REFERENCE_LENGTH} characters, got {len(text)}")
        if _HEX_64.fullmatch(text):
            raise InvalidReference("expected an image reference, got 64 hex digits, which is an image id")
        rest, at, digest = text.partition("@")
        name, tag = _split_tag(rest)
        domain, path = _split_domain(name)
        _check_name(domain, path, text)
        return cls(domain=domain, path=path, tag=tag, digest=_reference_digest(digest) if at else None)


def _split_tag(text: str) -> tuple[str, str | None]:
    colon = text.rfind(":")
    if colon <= text.rfind("/"):
        return text, None
    tag = text[colon + 1 :]
    return text[:colon], parse_tag(tag)


def parse_tag(text: str) -> str:
    """Check a tag: a letter, digit or underscore, then up to 127 of those, dots and hyphens.

    Raises:
        InvalidReference: the text is no tag.
    """
    if _TAG.fullmatch(text) is None:
        raise InvalidReference(f"expected a tag of 1 to 128 letters, digits, _ . and -, got {_quoted(text)}")
    return text


def _split_domain(name: str) -> tuple[str, str]:
    """Separate registry and path as Docker does (``splitDockerDomain``)."""
    first, slash, rest = name.partition("/")
    host = first.lower() if first.isascii() else first
    is_domain = "." in host or ":" in host or host == "localhost"
    domain, path = (host, rest) if slash and is_domain else (DEFAULT_DOMAIN, name)
    if domain == f"index.{DEFAULT_DOMAIN}":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = f"{DEFAULT_NAMESPACE}/{path}"
    return domain, path


def _check_name(domain: str, path: str, text: str) -> None:
    found = _DOMAIN.fullmatch(domain)
    if found is None or int(found["port"] or 0) > 65535:
        raise InvalidReference(f"expected a registry as host or host:port, got {_quoted(domain)}")
    if _PATH.fullmatch(path) is None:
        raise InvalidReference(
            f"expected a repository of lower-case letters, digits and separators, got {_quoted(text)}"
        )
    if len(domain) + 1 + len(path) > MAX_NAME_LENGTH:
        raise InvalidReference(f"expected a name of at most {MAX_NAME_LENGTH} characters, got a longer one")


def _reference_digest(text: str) -> Digest:
    try:
        return Digest.parse(text)
    except InvalidDigest as error:
        raise InvalidReference(str(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutReference:
    """An image in an OCI layout on disk.

    The directory is as given; the tag is what the layout annotates as ``org.opencontainers.image.ref.name``.
    """

    directory: str
    tag: str | None = None

    def __str__(self) -> str:
        return f"{_OCI_SCHEME}{self.directory}" + ("" if self.tag is None else f":{self.tag}")


def is_layout_reference(text: str) -> bool:
    """Tell whether the text means an OCI layout rather than an image in a registry."""
    return text.startswith(_OCI_SCHEME)


def parse_layout_reference(text: str) -> LayoutReference:
    """Parse ``oci:DIR[:TAG]``; the directory holds no colon, as with skopeo (containers-transports(5)).

    Raises:
        InvalidReference: the text is no such reference.
    """
    if not is_layout_reference(text):
        raise InvalidReference(f"expected oci:DIR or oci:DIR:TAG, got {_quoted(text)}")
    directory, colon, tag = text.removeprefix(_OCI_SCHEME).partition(":")
    if not 1 <= len(directory) <= MAX_DIRECTORY_LENGTH or not directory.isprintable():
        raise InvalidReference(f"expected a directory after oci:, got {_quoted(directory)}")
    return LayoutReference(directory=directory, tag=parse_tag(tag) if colon else None)


def layout_image(reference: LayoutReference, *, base_name: str, ref_name: str | None) -> ImageReference:
    """Name the image that a layout holds: what is signed and verified about it is signed under this name.

    Args:
        reference: to the layout.
        base_name: the last part of the directory's real path.
        ref_name: what the layout annotates as ``org.opencontainers.image.ref.name``, if anything.

    Returns:
        the annotated image where that is a full reference with its registry, as buildx writes it; else the directory
        as a repository of ``localhost``, with the layout's tag or ``latest``.

    Raises:
        InvalidReference: the directory's name has no letter or digit to make a name of.
    """
    if ref_name is not None and "/" in ref_name:
        named = ImageReference.parse(ref_name)
        if ref_name.lower().startswith(f"{named.domain}/"):
            return replace(named, tag=named.tag or reference.tag or DEFAULT_TAG, digest=None)
    path = re.sub(r"[^a-z0-9]+", "-", base_name.lower()).strip("-")
    if not path:
        raise InvalidReference(
            f"expected a directory whose name has a letter or digit, got {_quoted(base_name)}",
            hint="name the image with --as REGISTRY/NAME:TAG",
        )
    tag = reference.tag or (ref_name if ref_name is not None and _TAG.fullmatch(ref_name) else None)
    return ImageReference.parse(f"localhost/{path}:{tag or DEFAULT_TAG}")


def _quoted(text: str) -> str:
    """Quote a value for a message, shortened, with nothing unprintable."""
    return ascii(text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + "…")
